//! The seller's own price of an offer that no policy prices: asked of `xbr.provider.<id>.quote(key_id, buyer)`, bounded
//! like a policy's answer, and kept for as long as it holds.
//!
//! The price is the seller's to name: only the session that placed the offer is asked, or one that has answered a sale
//! with the seller's signature.

use crate::market::Market;
use crate::providers::quote_uri;
use crate::purchase::asking;
use crate::quotes::{MAX_VALID_MS, Quote};
use crate::wire::{FromValue, bytes, describe, fault, fields, uri, words};
use bourse_market::{Address, Amount, Nanos, Offer, OfferId, PriceSource, SessionId, View};
use bourse_wamp::{CallError, CallResult, Dict, Value, WampError};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tokio::time::Instant;
use tracing::Instrument;

/// Prices kept in one generation; there are two.
const KEPT: usize = 16_384;
/// Questions to sellers at the same time; the next buyer is told to come again rather than kept.
/// A quarter of the calls that the market works on at a time: with those that wait for a worker it must leave some.
const AT_ONCE: usize = 2_048;
/// Those to one seller among them: one that never answers has only its own buyers wait. Enough for a seller that takes
/// ten milliseconds and is asked by a flood.
const OF_ONE: usize = 128;

/// What a price is for: some buyers are quoted before they are known.
type Asked = (OfferId, Option<Address>);

/// Prices that sellers named and that still hold.
#[derive(Default)]
pub(crate) struct SellerPrices {
    held: Mutex<Generations>,
    asking: Mutex<Asking>,
}

/// Questions under way, by the session that is to answer.
#[derive(Default)]
struct Asking {
    all: usize,
    of: HashMap<u64, usize>,
}

/// A question under way, until it is dropped.
struct Question<'a> {
    prices: &'a SellerPrices,
    session: u64,
}

/// A cache that forgets what was put into it two fillings ago, at no cost for a lookup. No price holds for long.
#[derive(Default)]
struct Generations {
    young: HashMap<Asked, Held>,
    old: HashMap<Asked, Held>,
}

#[derive(Clone, Copy)]
struct Held {
    session: u64,
    price: Amount,
    until: Nanos,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let mut asking = self.prices.asking.lock();
        asking.all = asking.all.saturating_sub(1);
        if let Entry::Occupied(mut of) = asking.of.entry(self.session) {
            match of.get().saturating_sub(1) {
                0 => drop(of.remove()),
                left => *of.get_mut() = left,
            }
        }
    }
}

impl SellerPrices {
    /// A place among the questions to a seller, if there is one.
    fn ask(&self, session: u64) -> Option<Question<'_>> {
        let mut asking = self.asking.lock();
        let Asking { all, of } = &mut *asking;
        let own = of.get(&session).copied().unwrap_or_default();
        if *all >= AT_ONCE || own >= OF_ONE {
            return None;
        }
        *all += 1;
        of.insert(session, own + 1);
        Some(Question {
            prices: self,
            session,
        })
    }

    fn get(&self, asked: &Asked, session: u64, now: Nanos) -> Option<Held> {
        let held = self.held.lock();
        let found = held.young.get(asked).or_else(|| held.old.get(asked)).copied()?;
        (found.until > now && found.session == session).then_some(found)
    }

    fn put(&self, asked: Asked, found: Held) {
        let mut held = self.held.lock();
        if held.young.len() >= KEPT {
            held.old = std::mem::take(&mut held.young);
        }
        held.young.insert(asked, found);
    }
}

/// The bounds that hold for a seller's price.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// At least this.
    pub(crate) floor: Amount,
    /// At most this.
    pub(crate) cap: Amount,
}

impl Market {
    /// What the seller asks of `buyer` for its offer: as it said before, else as it says now.
    pub(crate) async fn ask_seller(
        &self,
        offer: &Offer,
        buyer: Option<Address>,
        bounds: Bounds,
        until: Instant,
    ) -> Result<Quote, WampError> {
        let session = self.quoting_session(offer).await?;
        let asked = (offer.id, buyer);
        let now = self.now();
        if let Some(held) = self.seller_prices.get(&asked, session, now) {
            return Ok(quote(offer, buyer, held, now));
        }
        let _question = self.seller_prices.ask(session).ok_or_else(|| {
            fault(
                uri::OVERLOADED,
                "too many wait for prices of sellers, or of this one; try again",
            )
        })?;
        let deadline = until.min(Instant::now() + self.terms.quote_deadline);
        let timeout = deadline.saturating_duration_since(Instant::now());
        let provider_id = offer.provider_id.as_deref().unwrap_or_default();
        let args = vec![
            bytes(offer.key.0),
            buyer.map_or(Value::Null, |buyer| bytes(buyer.0)),
        ];
        let procedure = quote_uri(provider_id);
        let span = asking(&procedure, SessionId(session));
        let answer = self
            .sellers
            .call(SessionId(session), procedure, args, timeout)
            .instrument(span);
        let (price, valid_ms) = match answer.await {
            Ok(result) => {
                read(result).map_err(|why| unquoted(format!("the seller's quote makes no sense: {why}")))?
            }
            Err(CallError::Timeout) => return Err(unquoted("the seller did not name its price in time")),
            Err(CallError::Wamp(error)) => {
                return Err(unquoted(format!(
                    "the seller names no price: {:.200}: {}",
                    error.uri,
                    words(&error)
                )));
            }
            Err(error) => return Err(unquoted(format!("the seller was lost: {error}"))),
        };
        let now = self.now();
        let held = Held {
            session,
            price: price.clamp(bounds.floor, bounds.cap),
            until: now.plus_millis(valid_ms.min(MAX_VALID_MS).into()),
        };
        self.seller_prices.put(asked, held);
        Ok(quote(offer, buyer, held, now))
    }

    /// The session that may price `offer`, and does.
    async fn quoting_session(&self, offer: &Offer) -> Result<u64, WampError> {
        let quoting = match offer.provider_id.as_deref() {
            Some(provider_id) => self.quoting(provider_id).await,
            None => None,
        };
        let session = quoting.ok_or_else(|| unquoted("its seller, who names its price, is not connected"))?;
        let asked = SessionId(session);
        // A stranger who registered first must not make another's key cheap.
        let speaks = offer.placer.session == asked
            || self
                .read(|ledger| ledger.pair(&offer.pair()))?
                .is_some_and(|pair| pair.sessions.contains(&asked));
        if speaks {
            Ok(session)
        } else {
            Err(unquoted(
                "who would name its price has not proven to speak for its seller: let the seller place the offer anew",
            ))
        }
    }
}

/// Whether a seller could price `offer`, asked while it places the offer: who places it must be who answers.
pub(crate) async fn check(market: &Market, offer: &Offer) -> Result<(), String> {
    let Some(provider_id) = offer.provider_id.as_deref() else {
        return Err(
            "no policy of this market prices it, and without a provider_id its seller cannot be asked".into(),
        );
    };
    match market.quoting_session(offer).await {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "no policy of this market prices it: name a price, or register {} on this session first",
            quote_uri(provider_id)
        )),
    }
}

fn quote(offer: &Offer, buyer: Option<Address>, held: Held, now: Nanos) -> Quote {
    Quote {
        offer: offer.id,
        buyer,
        price: held.price,
        source: PriceSource::Seller,
        decision: None,
        state_writes: Vec::new(),
        at: now,
        until: offer
            .expires
            .map_or(held.until, |expires| expires.min(held.until)),
    }
}

fn unquoted(text: impl Into<String>) -> WampError {
    fault(uri::SELLER_UNAVAILABLE, text)
}

/// Reads `price` and `valid_ms` out of the answer; the rest of it is the seller's own affair.
fn read(result: CallResult) -> Result<(Amount, u32), String> {
    let mut fields = fields(result);
    let price = field(&mut fields, "price")?;
    match field(&mut fields, "valid_ms")? {
        0 => Err("valid_ms is 0: a price must hold for at least one millisecond".to_owned()),
        valid_ms => Ok((price, valid_ms)),
    }
}

fn field<T: FromValue>(fields: &mut Dict, name: &str) -> Result<T, String> {
    let value = fields.remove(name).ok_or_else(|| format!("it has no `{name}`"))?;
    let got = describe(&value);
    T::from_value(value).ok_or_else(|| format!("{name}: expected {}, got {got}", T::EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seller_that_never_answers_leaves_the_others_their_places() {
        let prices = SellerPrices::default();
        let mut under_way: Vec<_> = (0..OF_ONE).map(|_| prices.ask(1).unwrap()).collect();
        assert!(prices.ask(1).is_none());
        let other = prices.ask(2).unwrap();
        under_way.pop();
        under_way.push(prices.ask(1).unwrap());
        drop((under_way, other));
        let asking = prices.asking.lock();
        assert_eq!((asking.all, asking.of.len()), (0, 0));
    }

    #[test]
    fn there_is_an_end_to_all_questions_together() {
        let prices = SellerPrices::default();
        let under_way: Vec<_> = (0..).map_while(|seller| prices.ask(seller)).collect();
        assert_eq!(under_way.len(), AT_ONCE);
    }
}
