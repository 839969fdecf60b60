//! A market whose sales a test writes down.

use crate::{Address, Amount, ApiId, Figures, KeyId, Market, Nanos, Offer, Subject};
use core::time::Duration;

/// A sale for [`MockMarket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sale {
    /// When it was posted.
    pub at: Nanos,
    /// The key.
    pub key: KeyId,
    /// Its API.
    pub api: ApiId,
    /// Its seller's delegate.
    pub seller: Address,
    /// The buyer's delegate.
    pub buyer: Address,
    /// What was paid.
    pub price: Amount,
}

/// A market that counts the sales it was given, exactly, without the host's rounding to buckets.
#[derive(Debug, Clone, Default)]
pub struct MockMarket {
    /// The end of every window.
    pub now: Nanos,
    /// Sales in any order; those after `now` have not happened yet.
    pub sales: Vec<Sale>,
}

impl MockMarket {
    /// A market at `now` in which `offer` was just sold `count` times for one token, the last time at `now` and
    /// before that every `apart`.
    pub fn busy(now: Nanos, offer: &Offer, count: u32, apart: Duration) -> Self {
        let sale = |back: u32| Sale {
            at: Nanos(
                now.0
                    .saturating_sub(u64::try_from((apart * back).as_nanos()).unwrap_or(u64::MAX)),
            ),
            key: offer.key,
            api: offer.api,
            seller: offer.seller,
            buyer: Address([0x55; 20]),
            price: Amount::from_tokens(1),
        };
        Self {
            now,
            sales: (0..count).map(sale).collect(),
        }
    }
}

impl Market for MockMarket {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let window = Duration::from_millis(u64::from(window_ms));
        let of_subject = |sale: &&Sale| match subject {
            Subject::Key(key) => sale.key == key,
            Subject::Api(api) => sale.api == api,
            Subject::Seller(seller) => sale.seller == seller,
            Subject::Buyer(buyer) => sale.buyer == buyer,
        };
        let mut figures = Figures::default();
        for sale in self
            .sales
            .iter()
            .filter(of_subject)
            .filter(|sale| sale.at <= self.now)
        {
            if figures.last_at.is_none_or(|last| last <= sale.at) {
                figures.last_at = Some(sale.at);
                figures.last_price = Some(sale.price);
            }
            if self.now.since(sale.at) < window {
                figures.sales += 1;
                figures.volume = figures.volume.saturating_add(sale.price);
            }
        }
        figures
    }
}
