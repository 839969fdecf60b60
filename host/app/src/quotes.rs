//! Quotes that are still good: in memory, bound to the session and key they were given for, used at most once.

use bourse_market::{Address, Amount, Decision, KeyId, Nanos, OfferId, PriceSource, StateEdit, StateWrite};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Quotes one session may hold; the oldest goes first.
const PER_SESSION: usize = 64;
/// Bytes that they may take: two kilobytes each, which few decisions do. An offer may be made ten times as large, and
/// nothing else bounds what thousands of sessions have the market remember of such. One quote is kept however large.
const PER_SESSION_BYTES: usize = 128 << 10;
/// The longest any quote holds.
pub(crate) const MAX_VALID_MS: u32 = 30_000;

/// A price as it was promised.
#[derive(Debug)]
pub(crate) struct Quote {
    /// The offer it is for.
    pub(crate) offer: OfferId,
    /// The buyer whom its price was found for, and who alone may buy at it; none where nobody was known.
    pub(crate) buyer: Option<Address>,
    /// The price.
    pub(crate) price: Amount,
    /// How it came about.
    pub(crate) source: PriceSource,
    /// The decision behind it, kept with the purchase.
    pub(crate) decision: Option<Decision>,
    /// What its policy wants to remember, once it is paid.
    pub(crate) state_writes: Vec<StateWrite>,
    /// When it was given.
    pub(crate) at: Nanos,
    /// Until when it holds.
    pub(crate) until: Nanos,
}

/// All live quotes.
#[derive(Debug, Default)]
pub(crate) struct Quotes {
    by_session: Mutex<HashMap<u64, HashMap<KeyId, Arc<Quote>>>>,
}

impl Quotes {
    /// A session is there. Nothing is remembered for any other: it may be gone before its answer is ready.
    pub(crate) fn open(&self, session: u64) {
        self.by_session.lock().entry(session).or_default();
    }

    /// Remembers a quote; a new one replaces the old.
    pub(crate) fn remember(&self, session: u64, key: KeyId, quote: Arc<Quote>) {
        let mut sessions = self.by_session.lock();
        let Some(quotes) = sessions.get_mut(&session) else {
            return;
        };
        quotes.remove(&key);
        if !has_room(quotes, &quote) {
            let now = quote.at;
            quotes.retain(|_, held| held.until > now);
        }
        while !has_room(quotes, &quote) {
            let oldest = quotes.iter().min_by_key(|(_, held)| held.at).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            quotes.remove(&oldest);
        }
        quotes.insert(key, quote);
    }

    /// The live quote of a session for a key that `buyer` may buy at, left in place.
    pub(crate) fn peek(
        &self,
        session: u64,
        key: &KeyId,
        offer: &OfferId,
        buyer: &Address,
        now: Nanos,
    ) -> Option<Arc<Quote>> {
        let sessions = self.by_session.lock();
        let quote = sessions.get(&session)?.get(key)?;
        // A session may prove to be several buyers, and the price of one is not the other's.
        let theirs = quote.buyer.as_ref().is_none_or(|known| known == buyer);
        (quote.until > now && quote.offer == *offer && theirs).then(|| Arc::clone(quote))
    }

    /// Uses `quote` up. False if it was used, replaced or ran out since.
    pub(crate) fn take(&self, session: u64, key: &KeyId, quote: &Arc<Quote>, now: Nanos) -> bool {
        let mut sessions = self.by_session.lock();
        let Some(quotes) = sessions.get_mut(&session) else {
            return false;
        };
        let good = quotes
            .get(key)
            .is_some_and(|held| Arc::ptr_eq(held, quote) && held.until > now);
        if good {
            quotes.remove(key);
        }
        good
    }

    /// Puts a quote back whose purchase was refused untouched, unless a newer one took its place, of this key or, where
    /// the session holds as many as it may, of another.
    pub(crate) fn put_back(&self, session: u64, key: KeyId, quote: Arc<Quote>) {
        if let Some(quotes) = self.by_session.lock().get_mut(&session)
            && (quotes.is_empty() || has_room(quotes, &quote))
        {
            quotes.entry(key).or_insert(quote);
        }
    }

    /// The session is gone, and its quotes with it.
    pub(crate) fn forget(&self, session: u64) {
        self.by_session.lock().remove(&session);
    }

    /// A revoked key: nobody's quote for it holds any longer.
    pub(crate) fn revoke(&self, key: &KeyId) {
        for quotes in self.by_session.lock().values_mut() {
            quotes.remove(key);
        }
    }
}

/// Whether a session that holds `quotes` may hold one more.
fn has_room(quotes: &HashMap<KeyId, Arc<Quote>>, more: &Quote) -> bool {
    let held: usize = quotes.values().map(|quote| quote.size()).sum();
    quotes.len() < PER_SESSION && held.saturating_add(more.size()) <= PER_SESSION_BYTES
}

impl Quote {
    /// The bytes it takes, or nearly so.
    fn size(&self) -> usize {
        /// Of the quote itself, and of its place.
        const OWN: usize = 512;
        let decision = self.decision.as_ref().map_or(0, |decision| decision.body.len());
        let writes = self.state_writes.iter().map(|write| match &write.edit {
            StateEdit::Set(Some(value)) => StateWrite::MAX_KEY + value.len(),
            StateEdit::Set(None) | StateEdit::Add(_) => StateWrite::MAX_KEY,
        });
        OWN + decision + writes.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: KeyId = KeyId([1; 16]);
    const OFFER: OfferId = OfferId([2; 16]);
    const BUYER: Address = Address([3; 20]);

    fn quote(at: u64, until: u64) -> Arc<Quote> {
        Arc::new(Quote {
            offer: OFFER,
            buyer: None,
            price: Amount::from_units(7),
            source: PriceSource::Fixed,
            decision: None,
            state_writes: Vec::new(),
            at: Nanos(at),
            until: Nanos(until),
        })
    }

    fn quotes_of<const N: usize>(sessions: [u64; N]) -> Quotes {
        let quotes = Quotes::default();
        sessions.into_iter().for_each(|session| quotes.open(session));
        quotes
    }

    #[test]
    fn nothing_is_kept_for_a_session_that_is_gone() {
        let quotes = quotes_of([1]);
        quotes.forget(1);
        quotes.remember(1, KEY, quote(0, 10));
        assert!(quotes.by_session.lock().is_empty());
    }

    #[test]
    fn a_quote_is_used_once() {
        let quotes = quotes_of([1]);
        quotes.remember(1, KEY, quote(0, 10));
        let held = quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(5)).unwrap();
        assert!(quotes.take(1, &KEY, &held, Nanos(5)));
        assert!(!quotes.take(1, &KEY, &held, Nanos(5)));
    }

    #[test]
    fn a_quote_holds_for_its_session_and_key_and_time_alone() {
        let quotes = quotes_of([1, 2]);
        quotes.remember(1, KEY, quote(0, 10));
        assert!(quotes.peek(2, &KEY, &OFFER, &BUYER, Nanos(5)).is_none());
        assert!(
            quotes
                .peek(1, &KeyId([9; 16]), &OFFER, &BUYER, Nanos(5))
                .is_none()
        );
        assert!(
            quotes
                .peek(1, &KEY, &OfferId([9; 16]), &BUYER, Nanos(5))
                .is_none()
        );
        assert!(quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(10)).is_none());
    }

    #[test]
    fn a_quote_for_a_known_buyer_is_that_buyers_alone() {
        let quotes = quotes_of([1]);
        let quote = Quote {
            buyer: Some(BUYER),
            ..Arc::into_inner(quote(0, 10)).unwrap()
        };
        quotes.remember(1, KEY, Arc::new(quote));
        let other = Address([4; 20]);
        assert!(quotes.peek(1, &KEY, &OFFER, &other, Nanos(5)).is_none());
        assert!(quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(5)).is_some());
    }

    #[test]
    fn a_new_quote_replaces_the_old() {
        let quotes = quotes_of([1, 2]);
        quotes.remember(1, KEY, quote(0, 10));
        let old = quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(5)).unwrap();
        quotes.remember(1, KEY, quote(5, 20));
        assert!(!quotes.take(1, &KEY, &old, Nanos(6)));
        assert!(quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(15)).is_some());
    }

    #[test]
    fn a_refused_purchase_gives_its_quote_back_but_never_over_a_newer_one() {
        let quotes = quotes_of([1, 2]);
        let old = quote(0, 10);
        quotes.remember(1, KEY, Arc::clone(&old));
        assert!(quotes.take(1, &KEY, &old, Nanos(1)));
        quotes.put_back(1, KEY, Arc::clone(&old));
        assert!(quotes.take(1, &KEY, &old, Nanos(1)));
        let new = quote(2, 10);
        quotes.remember(1, KEY, Arc::clone(&new));
        quotes.put_back(1, KEY, old);
        assert!(quotes.take(1, &KEY, &new, Nanos(3)));
    }

    #[test]
    fn a_session_holds_sixty_four_quotes_and_loses_the_oldest() {
        let quotes = quotes_of([1, 2]);
        for number in 0..=u8::try_from(PER_SESSION).unwrap() {
            quotes.remember(1, KeyId([number; 16]), quote(u64::from(number), 1_000));
        }
        assert!(
            quotes
                .peek(1, &KeyId([0; 16]), &OFFER, &BUYER, Nanos(100))
                .is_none()
        );
        assert!(
            quotes
                .peek(1, &KeyId([64; 16]), &OFFER, &BUYER, Nanos(100))
                .is_some()
        );
    }

    #[test]
    fn a_session_holds_few_large_quotes_and_one_in_any_case() {
        let large = |at: u64, bytes: usize| {
            let write = StateWrite {
                policy: "p".to_owned(),
                key: "k".to_owned(),
                edit: StateEdit::Set(Some(vec![0; bytes])),
            };
            Arc::new(Quote {
                state_writes: vec![write],
                ..Arc::into_inner(quote(at, 1_000)).unwrap()
            })
        };
        let quotes = quotes_of([1]);
        for number in 0..64 {
            quotes.remember(1, KeyId([number; 16]), large(u64::from(number), 20 << 10));
        }
        let held = quotes.by_session.lock()[&1].len();
        assert_eq!(held, 6, "of 20 KiB each");
        assert!(
            quotes
                .peek(1, &KeyId([63; 16]), &OFFER, &BUYER, Nanos(100))
                .is_some()
        );
        quotes.remember(1, KEY, large(64, 1 << 20));
        assert_eq!(quotes.by_session.lock()[&1].len(), 1);
    }

    #[test]
    fn quotes_that_come_back_are_counted_too() {
        let quotes = quotes_of([1]);
        let held: Vec<_> = (0..u8::try_from(PER_SESSION).unwrap())
            .map(|number| (KeyId([number; 16]), quote(1, 1_000)))
            .collect();
        for (key, quote) in &held {
            quotes.remember(1, *key, Arc::clone(quote));
            assert!(quotes.take(1, key, quote, Nanos(5)));
        }
        for number in 0..=u8::try_from(PER_SESSION).unwrap() {
            quotes.remember(1, KeyId([100 + number; 16]), quote(2, 1_000));
        }
        for (key, quote) in held {
            quotes.put_back(1, key, quote);
        }
        assert_eq!(quotes.by_session.lock()[&1].len(), PER_SESSION);
    }

    #[test]
    fn quotes_are_gone_on_revoke_and_disconnect() {
        let quotes = quotes_of([1, 2]);
        quotes.remember(1, KEY, quote(0, 10));
        quotes.remember(2, KEY, quote(0, 10));
        quotes.forget(1);
        assert!(quotes.peek(1, &KEY, &OFFER, &BUYER, Nanos(5)).is_none());
        quotes.revoke(&KEY);
        assert!(quotes.peek(2, &KEY, &OFFER, &BUYER, Nanos(5)).is_none());
    }
}
