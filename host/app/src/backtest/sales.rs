//! The market as a log tells it: what was sold and quoted, so that questions can be answered that nobody asked then.
//!
//! Nothing is more than the log knows. Sales of offers that no policy priced are only known from a ledger; quotes that
//! were dropped from the log, or that no policy answered, are missing.

use super::entry::{Entry, Sale};
use bourse_market::{Address, Amount, ApiId, Demand, Figures, KeyId, Nanos, PurchaseId, Subject};
use bourse_policy::{Action, Input, Output, Record};
use std::collections::{HashMap, HashSet};

/// What one subject saw.
#[derive(Debug, Default)]
struct Track {
    /// When each sale was posted, with its price and the sum of all up to and with it; in the order of time.
    sales: Vec<(Nanos, Amount, Amount)>,
    /// When each quote was asked for, in the order of time.
    quotes: Vec<Nanos>,
}

/// Sales and quotes of a log, by subject. Made once, then only read, so that all workers share it.
#[derive(Debug, Default)]
pub(crate) struct Market {
    tracks: HashMap<Subject, Track>,
    sales: u64,
}

/// What one worker has read of a log so far.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    sold: Vec<(PurchaseId, Sold)>,
    quoted: Vec<Quoted>,
}

/// A purchase, as far as demand is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sold {
    pub(crate) at: Nanos,
    pub(crate) key: KeyId,
    pub(crate) api: ApiId,
    pub(crate) seller: Address,
    pub(crate) buyer: Address,
    pub(crate) price: Amount,
}

/// A quote, as far as demand is concerned.
#[derive(Debug, Clone, Copy)]
struct Quoted {
    at: Nanos,
    key: KeyId,
    api: ApiId,
    seller: Address,
    buyer: Option<Address>,
}

impl Gathered {
    /// Notes what a decision says of demand.
    pub(crate) fn note(&mut self, entry: &Entry) {
        if let (Some(purchase), Some(sold)) = (entry.purchase, sold(&entry.record, entry.sale)) {
            self.sold.push((purchase, sold));
        }
        self.quoted.extend(quoted(&entry.record));
    }

    /// Notes a purchase that is known otherwise.
    pub(crate) fn sale(&mut self, purchase: PurchaseId, sold: Sold) {
        self.sold.push((purchase, sold));
    }
}

fn sold(record: &Record, sale: Option<Sale>) -> Option<Sold> {
    let Input::Pricing(input) = &record.input else {
        return None;
    };
    let sale = sale?;
    Some(Sold {
        at: sale.at_ns,
        key: input.offer.key.0,
        api: input.offer.api.0,
        seller: input.offer.seller.0,
        buyer: sale.buyer.0,
        price: sale.price.0,
    })
}

fn quoted(record: &Record) -> Option<Quoted> {
    let Input::Pricing(input) = &record.input else {
        return None;
    };
    if input.action != Action::Quote || !matches!(record.output, Output::Price { .. }) {
        return None;
    }
    Some(Quoted {
        at: record.at_ns,
        key: input.offer.key.0,
        api: input.offer.api.0,
        seller: input.offer.seller.0,
        buyer: input.buyer.map(|buyer| buyer.0),
    })
}

impl Market {
    /// The market that all of `gathered` tell of. What several say, such as two decisions of one purchase, counts once.
    pub(crate) fn of(gathered: impl IntoIterator<Item = Gathered>) -> Self {
        let mut market = Self::default();
        let mut purchases = HashSet::new();
        let mut asked = HashSet::new();
        for Gathered { sold, quoted } in gathered {
            for (purchase, sold) in sold {
                if purchases.insert(purchase) {
                    market.add_sale(&sold);
                }
            }
            for quoted in quoted {
                // A shadow is asked what the active revision was asked: one quote, two decisions.
                if asked.insert((quoted.at, quoted.key, quoted.buyer)) {
                    market.add_quote(&quoted);
                }
            }
        }
        for track in market.tracks.values_mut() {
            track.quotes.sort_unstable();
            track.sales.sort_by_key(|(at, ..)| *at);
            let mut sum = Amount::ZERO;
            for (_, price, up_to) in &mut track.sales {
                sum = sum.saturating_add(*price);
                *up_to = sum;
            }
        }
        market
    }

    fn add_sale(&mut self, sold: &Sold) {
        self.sales = self.sales.saturating_add(1);
        for subject in [
            Subject::Key(sold.key),
            Subject::Api(sold.api),
            Subject::Seller(sold.seller),
            Subject::Buyer(sold.buyer),
        ] {
            let track = self.tracks.entry(subject).or_default();
            track.sales.push((sold.at, sold.price, Amount::ZERO));
        }
    }

    fn add_quote(&mut self, quoted: &Quoted) {
        let subjects = [
            Some(Subject::Key(quoted.key)),
            Some(Subject::Api(quoted.api)),
            Some(Subject::Seller(quoted.seller)),
            quoted.buyer.map(Subject::Buyer),
        ];
        for subject in subjects.into_iter().flatten() {
            self.tracks.entry(subject).or_default().quotes.push(quoted.at);
        }
    }

    /// Purchases it knows of.
    pub(crate) fn sales(&self) -> u64 {
        self.sales
    }

    /// What a host that saw just these sales and quotes would have told a policy at `now`, with its windows rounded as
    /// the host rounds them.
    pub(crate) fn figures(&self, subject: Subject, now: Nanos, window_ms: u32) -> Figures {
        let Some(track) = self.tracks.get(&subject) else {
            return Figures::default();
        };
        let from = Demand::window_begins(now, window_ms);
        // What happens at this very moment is not known yet.
        let sold = track.sales.partition_point(|(at, ..)| *at < now);
        let before = track.sales.partition_point(|(at, ..)| *at < from).min(sold);
        let known = track.sales.get(..sold).unwrap_or_default();
        let last = known.last();
        let up_to = |index: usize| {
            let last = index.checked_sub(1).and_then(|last| known.get(last));
            last.map_or(Amount::ZERO, |(_, _, sum)| *sum)
        };
        let quoted = track.quotes.partition_point(|at| *at < now);
        let unquoted = track.quotes.partition_point(|at| *at < from).min(quoted);
        Figures {
            sales: sold.saturating_sub(before) as u64,
            volume: up_to(sold).checked_sub(up_to(before)).unwrap_or_default(),
            quotes: quoted.saturating_sub(unquoted) as u64,
            last_price: last.map(|(_, price, _)| *price),
            last_at: last.map(|(at, ..)| *at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn the_market_of_a_log_answers_as_the_host_did() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(7);
        let mut host = Demand::new();
        let mut now = 1_700_000_000_000_000_000u64;
        let mut gathered = Gathered::default();
        let mut asked = Vec::new();
        for index in 0..2000u128 {
            now += rng.random_range(1..200_000_000_000);
            let pick = rng.random_range(0..4u8);
            let sold = Sold {
                at: Nanos(now),
                key: KeyId([pick; 16]),
                api: ApiId([pick % 2; 16]),
                seller: Address([1; 20]),
                buyer: Address([pick; 20]),
                price: Amount::from_units(rng.random_range(0..1000)),
            };
            if rng.random_bool(0.5) {
                gathered.sale(PurchaseId(index.to_be_bytes()), sold);
                host.record_sale(&bourse_market::Sale {
                    at: sold.at,
                    key: sold.key,
                    api: sold.api,
                    seller: sold.seller,
                    buyer: sold.buyer,
                    price: sold.price,
                });
            } else {
                let quoted = Quoted {
                    at: sold.at,
                    key: sold.key,
                    api: sold.api,
                    seller: sold.seller,
                    buyer: Some(sold.buyer),
                };
                gathered.quoted.push(quoted);
                host.record_quote(quoted.at, quoted.key, quoted.api, quoted.seller, quoted.buyer);
            }
            let subject = match rng.random_range(0..4u8) {
                0 => Subject::Key(KeyId([pick; 16])),
                1 => Subject::Api(ApiId([0; 16])),
                2 => Subject::Seller(Address([1; 20])),
                _ => Subject::Buyer(Address([pick; 20])),
            };
            let window = rng.random_range(1..86_400_000u32);
            now += 1;
            asked.push((
                subject,
                Nanos(now),
                window,
                host.figures(subject, Nanos(now), window),
            ));
        }
        let market = Market::of([gathered]);
        for (subject, now, window, figures) in asked {
            assert_eq!(
                market.figures(subject, now, window),
                figures,
                "{subject:?} {window}"
            );
        }
    }
}
