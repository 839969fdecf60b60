//! What a market remembers for those who look at it: its last quotes, and its refusals by reason. In memory, bounded, and gone
//! with the process; what must last is in the ledger and in the log of decisions.

use crate::quotes::Quote;
use bourse_market::{Address, Amount, ApiId, KeyId, Nanos, Offer, Price};
use bourse_wamp::{Value, WampError};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Quotes that are remembered.
const QUOTES: usize = 512;
/// Bytes of a quote's decision at most: of a larger one the price alone is remembered.
const DECISION: usize = 8 << 10;
/// Reasons of refusals that are told apart; the others are counted together.
const REASONS: usize = 256;
/// Refusals that are remembered one by one.
const REFUSALS: usize = 200;
/// Characters of a text that are remembered: strangers may have a say in it.
const TEXT: usize = 300;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    quotes: Mutex<VecDeque<Quoted>>,
    refusals: Mutex<Refusals>,
    quoted: AtomicU64,
    refused: AtomicU64,
}

/// A price that somebody was told.
#[derive(Debug, Clone)]
pub(crate) struct Quoted {
    /// When.
    pub(crate) at: Nanos,
    /// For which key.
    pub(crate) key: KeyId,
    /// Of which API.
    pub(crate) api: ApiId,
    /// Whose.
    pub(crate) seller: Address,
    /// To whom, where that was known.
    pub(crate) buyer: Option<Address>,
    /// The offer's own price.
    pub(crate) own: Option<Amount>,
    /// The price.
    pub(crate) price: Amount,
    /// All about it, unless that is large.
    pub(crate) quote: Option<Arc<Quote>>,
}

impl Quoted {
    /// Of an offer, for a buyer.
    pub(crate) fn new(offer: &Offer, buyer: Option<Address>, quote: &Arc<Quote>, at: Nanos) -> Self {
        let size = quote.decision.as_ref().map_or(0, |decision| decision.body.len());
        Self {
            at,
            key: offer.key,
            api: offer.api,
            seller: offer.seller,
            buyer,
            own: match offer.price {
                Price::Fixed(price) => Some(price),
                Price::Dynamic => None,
            },
            price: quote.price,
            quote: (size <= DECISION).then(|| Arc::clone(quote)),
        }
    }
}

/// Refusals since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals {
    /// By reason.
    pub(super) reasons: BTreeMap<Reason, Tally>,
    /// Those of reasons for which there was no room.
    pub(super) others: u64,
    /// The last ones, the newest first.
    pub(super) recent: VecDeque<Refused>,
}

/// Why calls were refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reason {
    /// The procedure.
    pub(super) procedure: &'static str,
    /// The error's URI.
    pub(super) error: String,
    /// The policy that refused.
    pub(super) policy: Option<String>,
    /// Its reason, for programs.
    pub(super) code: Option<String>,
}

/// How often a reason came up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) last: Nanos,
    /// What the last caller was told.
    pub(super) text: String,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) at: Nanos,
    pub(super) reason: Reason,
    pub(super) text: String,
    /// The session that called.
    pub(super) session: Option<u64>,
}

impl Feed {
    /// Somebody was told a price.
    pub(crate) fn quoted(&self, quoted: Quoted) {
        let mut quotes = self.quotes.lock();
        if quotes.len() >= QUOTES {
            quotes.pop_back();
        }
        quotes.push_front(quoted);
        self.quoted.fetch_add(1, Ordering::Relaxed);
    }

    /// A call was refused.
    pub(crate) fn refused(
        &self,
        procedure: &'static str,
        error: &WampError,
        session: Option<u64>,
        at: Nanos,
    ) {
        let named = |name: &str| error.kwargs.get(name).and_then(Value::as_str).map(cut);
        let reason = Reason {
            procedure,
            error: cut(&error.uri),
            policy: named("policy"),
            code: named("code"),
        };
        let text = error.args.first().and_then(Value::as_str).map(cut);
        self.refusals.lock().note(Refused {
            at,
            reason,
            text: text.unwrap_or_default(),
            session,
        });
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The last quotes, the newest first.
    pub(super) fn quotes(&self) -> Vec<Quoted> {
        self.quotes.lock().iter().cloned().collect()
    }

    /// The refusals.
    pub(super) fn refusals(&self) -> Refusals {
        self.refusals.lock().clone()
    }

    /// Quotes and refusals since the start.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.quoted.load(Ordering::Relaxed),
            self.refused.load(Ordering::Relaxed),
        )
    }
}

impl Refusals {
    fn note(&mut self, refused: Refused) {
        let room = self.reasons.len() < REASONS;
        match self.reasons.get_mut(&refused.reason) {
            Some(tally) => {
                tally.count = tally.count.saturating_add(1);
                tally.last = refused.at;
                tally.text.clone_from(&refused.text);
            }
            None if room => {
                let tally = Tally {
                    count: 1,
                    last: refused.at,
                    text: refused.text.clone(),
                };
                self.reasons.insert(refused.reason.clone(), tally);
            }
            None => self.others = self.others.saturating_add(1),
        }
        if self.recent.len() >= REFUSALS {
            self.recent.pop_back();
        }
        self.recent.push_front(refused);
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fault;
    use bourse_market::{OfferId, PriceSource};

    #[test]
    fn refusals_are_counted_by_reason_and_whatever_strangers_say_stays_bounded() {
        let feed = Feed::default();
        for number in 0..1000 {
            let error = fault(&format!("some.error.{number}"), "x".repeat(10_000));
            feed.refused("xbr.marketmaker.buy_key", &error, Some(1), Nanos(number));
        }
        let refusals = feed.refusals();
        assert_eq!((refusals.reasons.len(), refusals.others), (REASONS, 744));
        assert_eq!(
            (refusals.recent.len(), refusals.recent[0].at),
            (REFUSALS, Nanos(999))
        );
        assert!(refusals.recent.iter().all(|refused| refused.text.len() == TEXT));
        feed.refused(
            "xbr.marketmaker.buy_key",
            &fault("some.error.0", "again"),
            None,
            Nanos(5000),
        );
        let tally = feed
            .refusals()
            .reasons
            .into_values()
            .find(|tally| tally.count == 2);
        assert_eq!(tally.unwrap().text, "again");
        assert_eq!(feed.counts(), (0, 1001));
    }

    #[test]
    fn the_last_quotes_are_remembered_and_no_more() {
        let feed = Feed::default();
        let quote = Arc::new(Quote {
            offer: OfferId([1; 16]),
            buyer: None,
            price: Amount::from_units(7),
            source: PriceSource::Fixed,
            decision: None,
            state_writes: Vec::new(),
            at: Nanos(0),
            until: Nanos(1),
        });
        for number in 0..QUOTES as u64 + 10 {
            feed.quoted(Quoted {
                at: Nanos(number),
                key: KeyId([1; 16]),
                api: ApiId([2; 16]),
                seller: Address([3; 20]),
                buyer: None,
                own: None,
                price: quote.price,
                quote: Some(Arc::clone(&quote)),
            });
        }
        let quotes = feed.quotes();
        assert_eq!((quotes.len(), quotes[0].at), (QUOTES, Nanos(QUOTES as u64 + 9)));
    }
}
