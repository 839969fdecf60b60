//! A seller's delegate: offers keys, and hands them over against the market maker's signature.

mod book;
mod desk;
mod request;

use crate::terms::{KeyTerms, OfferTerms};
use crate::{Balance, DataKey, DelegateError, MarketClient, Wrapped, publish};
use book::{Book, Party};
use bourse_chain::Signer;
use bourse_market::{Amount, ApiId, BuyerPubkey, ChannelId, ChannelKind, KeyId, Nanos};
use bourse_wamp::{Dict, Invocation, WampError};
use desk::Desk;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// How a seller starts.
#[derive(Debug, Default)]
pub struct SellerOptions {
    /// The part of `xbr.provider.<id>.` to answer under; none takes the delegate's public key in hex, as other
    /// XBR sellers do.
    pub provider_id: Option<String>,
    /// Told of every sale; what does not fit is left out.
    pub sales: Option<mpsc::Sender<Sold>>,
}

/// A key that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sold {
    /// The key.
    pub key: KeyId,
    /// Whom it was sealed to.
    pub buyer: BuyerPubkey,
    /// What the seller receives.
    pub amount: Amount,
    /// The paying channel afterwards.
    pub balance: Balance,
}

/// What the keys of a series have in common.
#[derive(Debug, Clone)]
pub struct SeriesTerms {
    /// The API the data belongs to.
    pub api: ApiId,
    /// Where the data is published.
    pub uri: String,
    /// Labels.
    pub categories: BTreeMap<String, String>,
    /// The price.
    pub terms: KeyTerms,
    /// How often one key may be sold; none is without limit.
    pub copies: Option<u32>,
    /// How long one key is on offer.
    pub lifetime: Duration,
}

/// A seller's delegate with its paying channel. Clones are the same seller.
#[derive(Clone)]
pub struct Seller {
    client: MarketClient,
    signer: Arc<Signer>,
    provider_id: Arc<str>,
    channel: ChannelId,
    book: Arc<Mutex<Book>>,
}

impl Seller {
    /// Finds the paying channel, registers to be asked for keys, and adopts the channel's state.
    ///
    /// The order matters: registering is what binds the channel to this seller, so its state is read afterwards. A
    /// sale that arrives in between finds no keys and is refused without harm.
    ///
    /// # Errors
    ///
    /// [`DelegateError::NoChannel`] without a channel to be paid on; any error of a call, such as another session
    /// answering under the same provider id.
    pub async fn start(
        client: MarketClient,
        signer: Signer,
        options: SellerOptions,
    ) -> Result<Self, DelegateError> {
        let (kind, delegate) = (ChannelKind::Paying, signer.address());
        let channel = client.active_channel(kind, delegate).await?;
        let channel = channel.ok_or(DelegateError::NoChannel { kind, delegate })?;

        let signer = Arc::new(signer);
        let provider_id = options
            .provider_id
            .unwrap_or_else(|| format!("0x{}", hex::encode(signer.public_key())));
        let party = Party {
            facts: *client.facts(),
            channel,
            signer: Arc::clone(&signer),
        };
        let seller = Self {
            provider_id: provider_id.into(),
            channel,
            book: Arc::new(Mutex::new(Book::new(party))),
            signer,
            client,
        };
        seller.register(options.sales).await?;
        let balance = seller.client.balance(kind, channel).await?;
        seller.book.lock().adopt(balance);
        Ok(seller)
    }

    async fn register(&self, sales: Option<mpsc::Sender<Sold>>) -> Result<(), DelegateError> {
        let uri = format!("xbr.provider.{}.sell", self.provider_id);
        let desk = Desk::open(Arc::clone(&self.book), sales);
        let handler = move |invocation: Invocation| desk.ask(&invocation.args);
        self.client.register(&uri, handler).await
    }

    /// The id that offers name, so that the market finds this seller.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }

    /// The channel it is paid on.
    pub fn channel(&self) -> ChannelId {
        self.channel
    }

    /// Where that channel stands.
    pub fn balance(&self) -> Option<Balance> {
        self.book.lock().balance()
    }

    /// Starts a series of keys and offers the first.
    ///
    /// # Errors
    ///
    /// Any error of placing an offer.
    pub async fn series(&self, terms: SeriesTerms) -> Result<Series, DelegateError> {
        let (key, data_key) = self.offer(&terms).await?;
        Ok(Series {
            seller: self.clone(),
            terms,
            key,
            data_key,
        })
    }

    /// Offers a fresh key. It can be sold from the moment the market knows it, so the book must know it before.
    async fn offer(&self, terms: &SeriesTerms) -> Result<(KeyId, DataKey), DelegateError> {
        let (key, data_key) = (KeyId(rand::random()), DataKey::generate());
        let now = now();
        let expires = now.plus_millis(u64::try_from(terms.lifetime.as_millis()).unwrap_or(u64::MAX));
        self.book.lock().add(key, data_key.clone(), expires, now);
        let offer = OfferTerms {
            key,
            api: terms.api,
            uri: terms.uri.clone(),
            expires: Some(expires),
            copies: terms.copies,
            categories: terms.categories.clone(),
            terms: terms.terms.clone(),
            provider_id: self.provider_id.to_string(),
        };
        let placed = self.client.place_offer(&self.signer, &offer).await;
        // Without an answer the offer may still stand, and then its key must be there to be sold.
        if matches!(placed, Err(DelegateError::Refused { .. })) {
            self.book.lock().remove(&key);
        }
        placed.map(|()| (key, data_key))
    }
}

/// Keys for one stream of data, one after the other: what is published is encrypted under the current one.
pub struct Series {
    seller: Seller,
    terms: SeriesTerms,
    key: KeyId,
    data_key: DataKey,
}

impl Series {
    /// The current key.
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// Where the data is published.
    pub fn uri(&self) -> &str {
        &self.terms.uri
    }

    /// Encrypts a payload under the current key.
    ///
    /// # Errors
    ///
    /// [`DelegateError::Crypto`] if it has no CBOR form.
    pub fn wrap<T: Serialize>(&self, payload: &T) -> Result<Wrapped, DelegateError> {
        Ok(Wrapped {
            key: self.key,
            ciphertext: self.data_key.encrypt(payload)?,
        })
    }

    /// Encrypts a payload and publishes it to whoever subscribed to the series' URI.
    ///
    /// # Errors
    ///
    /// [`DelegateError::Crypto`] if it has no CBOR form; any error of publishing.
    pub async fn publish<T: Serialize>(&self, payload: &T) -> Result<(), DelegateError> {
        publish(
            self.seller.client.session(),
            &self.terms.uri,
            &self.wrap(payload)?,
        )
        .await
    }

    /// Goes on with a fresh key. Those before stay on offer until they expire, for whoever comes late.
    ///
    /// # Errors
    ///
    /// Any error of placing an offer; the current key stays in use then.
    pub async fn rotate(&mut self) -> Result<KeyId, DelegateError> {
        (self.key, self.data_key) = self.seller.offer(&self.terms).await?;
        Ok(self.key)
    }
}

fn refusal(uri: &str, text: String) -> WampError {
    WampError {
        uri: uri.to_owned(),
        args: vec![text.into()],
        kwargs: Dict::new(),
    }
}

fn now() -> Nanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
