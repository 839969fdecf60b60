//! Who answers for which seller, and which paying channel it was told.
//!
//! A seller asks for its active paying channel, registers `xbr.provider.<id>.sell`, then places offers. It leaves its
//! session when a sale names another channel, so the channel it was told is the channel it is served from, until it
//! registers anew.

use bourse_market::{Address, ChannelId, Nanos};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Delegates one session may ask about before it registers.
const ASKED_PER_SESSION: usize = 64;
/// Delegates one provider may answer for.
const BOUND_PER_PROVIDER: usize = 1024;

/// The URI prefix of providers.
pub(crate) const PREFIX: &str = "xbr.provider.";
const SELL: &str = ".sell";
const QUOTE: &str = ".quote";

/// The provider id of a `sell` registration.
pub(crate) fn provider_of_sell(uri: &str) -> Option<&str> {
    uri.strip_prefix(PREFIX)?.strip_suffix(SELL)
}

/// The provider id of a `quote` registration.
pub(crate) fn provider_of_quote(uri: &str) -> Option<&str> {
    uri.strip_prefix(PREFIX)?.strip_suffix(QUOTE)
}

/// The URI under which a provider prices its own offers.
pub(crate) fn quote_uri(provider_id: &str) -> String {
    format!("{PREFIX}{provider_id}{QUOTE}")
}

/// The URI under which a provider sells.
pub(crate) fn sell_uri(provider_id: &str) -> String {
    format!("{PREFIX}{provider_id}{SELL}")
}

#[derive(Debug)]
struct Provider {
    session: u64,
    since: Nanos,
    bound: HashMap<Address, ChannelId>,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Provider>,
    /// The sessions that price the offers of a provider.
    quoting: HashMap<String, u64>,
    asked: HashMap<u64, HashMap<Address, ChannelId>>,
}

/// All registered providers.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    inner: Mutex<Inner>,
}

/// A provider as it stands registered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The session that answers.
    pub(crate) session: u64,
    /// When it registered.
    pub(crate) since: Nanos,
    /// The channel it serves for the delegate that was asked about.
    pub(crate) bound: Option<ChannelId>,
}

impl Providers {
    /// A session is there. Nothing is kept for any other.
    pub(crate) fn joined(&self, session: u64) {
        self.inner.lock().asked.entry(session).or_default();
    }

    /// A session was told the active paying channel of a delegate.
    pub(crate) fn told(&self, session: u64, delegate: Address, channel: ChannelId) {
        let mut inner = self.inner.lock();
        let Some(asked) = inner.asked.get_mut(&session) else {
            return;
        };
        if asked.len() < ASKED_PER_SESSION || asked.contains_key(&delegate) {
            asked.insert(delegate, channel);
        }
    }

    /// A session registered `xbr.provider.<id>.sell`.
    pub(crate) fn registered(&self, session: u64, provider_id: &str, since: Nanos) {
        let mut inner = self.inner.lock();
        let Some(bound) = inner.asked.get(&session).cloned() else {
            return;
        };
        inner.by_id.insert(
            provider_id.to_owned(),
            Provider {
                session,
                since,
                bound,
            },
        );
    }

    /// A session registered `xbr.provider.<id>.quote`.
    pub(crate) fn quotes(&self, session: u64, provider_id: &str) {
        let mut inner = self.inner.lock();
        if inner.asked.contains_key(&session) {
            inner.quoting.insert(provider_id.to_owned(), session);
        }
    }

    /// That registration is gone.
    pub(crate) fn quotes_no_longer(&self, session: u64, provider_id: &str) {
        let mut inner = self.inner.lock();
        if inner.quoting.get(provider_id) == Some(&session) {
            inner.quoting.remove(provider_id);
        }
    }

    /// The session that prices a provider's offers.
    pub(crate) fn quoting(&self, provider_id: &str) -> Option<u64> {
        self.inner.lock().quoting.get(provider_id).copied()
    }

    /// The registration of a provider is gone.
    pub(crate) fn unregistered(&self, session: u64, provider_id: &str) {
        let mut inner = self.inner.lock();
        if inner
            .by_id
            .get(provider_id)
            .is_some_and(|provider| provider.session == session)
        {
            inner.by_id.remove(provider_id);
        }
    }

    /// A session is gone.
    pub(crate) fn left(&self, session: u64) {
        let mut inner = self.inner.lock();
        inner.asked.remove(&session);
        inner.by_id.retain(|_, provider| provider.session != session);
        inner.quoting.retain(|_, quoting| *quoting != session);
    }

    /// How a provider is registered and what it serves for `delegate`.
    pub(crate) fn find(&self, provider_id: &str, delegate: &Address) -> Option<Registration> {
        let inner = self.inner.lock();
        let provider = inner.by_id.get(provider_id)?;
        Some(Registration {
            session: provider.session,
            since: provider.since,
            bound: provider.bound.get(delegate).copied(),
        })
    }

    /// Binds the channel a provider serves for a delegate, unless one is bound already. Returns what holds now.
    pub(crate) fn bind(&self, provider_id: &str, delegate: Address, channel: ChannelId) -> ChannelId {
        let mut inner = self.inner.lock();
        let Some(provider) = inner.by_id.get_mut(provider_id) else {
            return channel;
        };
        if provider.bound.len() >= BOUND_PER_PROVIDER && !provider.bound.contains_key(&delegate) {
            return channel;
        }
        *provider.bound.entry(delegate).or_insert(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELEGATE: Address = Address([1; 20]);
    const OLD: ChannelId = ChannelId([1; 16]);
    const NEW: ChannelId = ChannelId([2; 16]);

    #[test]
    fn a_provider_keeps_the_channel_it_was_told_until_it_registers_anew() {
        let providers = Providers::default();
        providers.joined(7);
        providers.told(7, DELEGATE, OLD);
        providers.registered(7, "p", Nanos(1));
        assert_eq!(providers.bind("p", DELEGATE, NEW), OLD);
        providers.left(7);
        assert_eq!(providers.find("p", &DELEGATE), None);
        providers.joined(8);
        providers.told(8, DELEGATE, NEW);
        providers.registered(8, "p", Nanos(2));
        let found = providers.find("p", &DELEGATE).unwrap();
        assert_eq!((found.session, found.bound), (8, Some(NEW)));
    }

    #[test]
    fn the_registration_of_another_session_is_left_alone() {
        let providers = Providers::default();
        providers.joined(8);
        providers.registered(8, "p", Nanos(2));
        providers.unregistered(7, "p");
        assert!(providers.find("p", &DELEGATE).is_some());
    }

    #[test]
    fn who_quotes_is_known_for_as_long_as_its_session_and_registration_last() {
        let providers = Providers::default();
        providers.quotes(7, "p");
        assert_eq!(
            providers.quoting("p"),
            None,
            "nothing is kept for a session that is gone"
        );
        providers.joined(7);
        providers.quotes(7, "p");
        providers.quotes_no_longer(8, "p");
        assert_eq!(providers.quoting("p"), Some(7));
        providers.left(7);
        assert_eq!(providers.quoting("p"), None);
    }

    #[test]
    fn only_sell_makes_a_provider() {
        assert_eq!(provider_of_sell("xbr.provider.0xab.sell"), Some("0xab"));
        assert_eq!(provider_of_sell("xbr.provider.0xab.close_channel"), None);
        assert_eq!(sell_uri("0xab"), "xbr.provider.0xab.sell");
    }
}
