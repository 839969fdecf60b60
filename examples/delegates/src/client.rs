//! A market's procedures, in the market's own types.

use crate::reply::{Reply, list};
use crate::terms::Order;
use crate::{Balance, DataKey, DelegateError, Facts, KeyTerms, OfferTerms, Quote, Receipt};
use bourse_chain::{KeyOffer, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind, KeyId, Nanos};
use bourse_wamp::{
    Auth, CallOptions, CallResult, ConnectOptions, Dict, Invocation, JoinOptions, RouterUrl, Session,
    UrlError, Value, WampError,
};
use std::time::Duration;

/// How long a delegate waits for an answer. A market resolves every purchase within 10 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Joins `realm` anonymously, over whatever transport the URL names: see [`RouterUrl`].
///
/// # Errors
///
/// [`DelegateError::Join`], whatever went wrong.
pub async fn connect(url: &str, realm: &str) -> Result<Session, DelegateError> {
    let fault = |reason: String| DelegateError::Join {
        url: url.to_owned(),
        realm: realm.to_owned(),
        reason,
    };
    let router: RouterUrl = url.parse().map_err(|error: UrlError| fault(error.to_string()))?;
    let link = bourse_wamp::connect(&router, &ConnectOptions::default())
        .await
        .map_err(|error| fault(error.to_string()))?;
    let options = JoinOptions {
        realm: realm.to_owned(),
        auth: Auth::Anonymous,
        ..JoinOptions::default()
    };
    Session::join(link, options)
        .await
        .map_err(|error| fault(error.to_string()))
}

/// A session with a market. Clones share the session.
#[derive(Clone)]
pub struct MarketClient {
    session: Session,
    facts: Facts,
}

impl MarketClient {
    /// Asks the market who it is. With `trusted`, any other market maker is refused: whoever holds channels with a
    /// market maker should name it.
    ///
    /// # Errors
    ///
    /// [`DelegateError::WrongMarketMaker`]; any error of a call.
    pub async fn new(session: Session, trusted: Option<Address>) -> Result<Self, DelegateError> {
        let procedure = "xbr.marketmaker.get_config";
        let config = Reply::new(procedure, call(&session, procedure, vec![], Dict::new()).await?)?;
        let facts = Facts::read(&config)?;
        match trusted {
            Some(expected) if expected != facts.marketmaker => Err(DelegateError::WrongMarketMaker {
                expected,
                got: facts.marketmaker,
            }),
            _ => Ok(Self { session, facts }),
        }
    }

    /// Registers a procedure of a delegate.
    pub(crate) async fn register<F, Fut>(&self, uri: &str, handler: F) -> Result<(), DelegateError>
    where
        F: Fn(Invocation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<CallResult, WampError>> + Send + 'static,
    {
        let registered = self.session.register(uri, handler).await;
        registered
            .map(drop)
            .map_err(|error| DelegateError::from_call(uri, error))
    }

    /// The session below.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Who the market is.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Calls a procedure of the market maker, by the last part of its URI.
    pub(crate) async fn call(
        &self,
        name: &str,
        args: Vec<Value>,
        kwargs: Dict,
    ) -> Result<CallResult, DelegateError> {
        call(&self.session, &procedure(name), args, kwargs).await
    }

    /// The oldest open channel of a delegate with something left in it.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn active_channel(
        &self,
        kind: ChannelKind,
        delegate: Address,
    ) -> Result<Option<ChannelId>, DelegateError> {
        let name = match kind {
            ChannelKind::Payment => "get_active_payment_channel",
            ChannelKind::Paying => "get_active_paying_channel",
        };
        let result = self.call(name, vec![delegate.0.into()], Dict::new()).await?;
        Reply::nullable(&procedure(name), result)?
            .map(|channel| channel.bytes("channel_oid"))
            .transpose()
    }

    /// All open channels of a delegate with something left in them, the oldest first.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn live_channels(
        &self,
        kind: ChannelKind,
        delegate: Address,
    ) -> Result<Vec<ChannelId>, DelegateError> {
        let name = "get_channels_by_delegate";
        let mut channels = Vec::new();
        let mut pages = Dict::new();
        loop {
            let args = vec![delegate.0.into(), (kind as u8).into(), true.into()];
            let mut page = self.call(name, args, pages).await?;
            // A market that has more than it tells at once says where to go on.
            let cursor = page
                .kwargs
                .remove("cursor")
                .filter(|cursor| *cursor != Value::Null);
            channels.extend(list::<ChannelId>(&procedure(name), page)?);
            let Some(cursor) = cursor else { return Ok(channels) };
            pages = Dict::from([("cursor".to_owned(), cursor)]);
        }
    }

    /// Where a channel stands.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn balance(&self, kind: ChannelKind, channel: ChannelId) -> Result<Balance, DelegateError> {
        self.standing(kind, channel).await.map(|(stands, _)| stands)
    }

    /// Where a channel stands, and what would be left in its final state.
    pub(crate) async fn standing(
        &self,
        kind: ChannelKind,
        channel: ChannelId,
    ) -> Result<(Balance, Amount), DelegateError> {
        let name = match kind {
            ChannelKind::Payment => "get_payment_channel_balance",
            ChannelKind::Paying => "get_paying_channel_balance",
        };
        let result = self.call(name, vec![channel.0.into()], Dict::new()).await?;
        Balance::read(&Reply::new(&procedure(name), result)?)
    }

    /// Offers a key, signed by the seller's delegate.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn place_offer(&self, delegate: &Signer, offer: &OfferTerms) -> Result<(), DelegateError> {
        self.place(delegate, offer, None).await
    }

    /// Offers a key and leaves it with the market maker, who sells it whether its seller is there or not. What it earns is
    /// paid when a paying channel of the delegate is closed, as [`crate::dev::close_channel`] does it. The signature does
    /// not cover the key: show it to nobody before this.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn leave_offer(
        &self,
        delegate: &Signer,
        offer: &OfferTerms,
        key: &DataKey,
    ) -> Result<(), DelegateError> {
        self.place(delegate, offer, Some(key)).await
    }

    async fn place(
        &self,
        delegate: &Signer,
        offer: &OfferTerms,
        left: Option<&DataKey>,
    ) -> Result<(), DelegateError> {
        let (price, pricing) = match &offer.terms {
            KeyTerms::Fixed(price) => (Some(*price), None),
            KeyTerms::Dynamic(pricing) => (None, Some(pricing.to_value())),
        };
        let message = KeyOffer {
            market: self.facts.market,
            key: offer.key,
            api: offer.api,
            uri: offer.uri.clone(),
            price: price.unwrap_or_default(),
            dynamic: price.is_none(),
            valid_from: Nanos(0),
            expires: offer.expires.unwrap_or(Nanos(0)),
            delegate: delegate.address(),
        };
        let args = vec![
            offer.key.0.into(),
            offer.api.0.into(),
            offer.uri.as_str().into(),
            message.valid_from.0.into(),
            delegate.address().0.into(),
            delegate.sign(&message.digest(&self.facts.domain)).0.into(),
        ];
        let categories = offer
            .categories
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()));
        let kwargs = [
            ("privkey", left.map(DataKey::bytes).into()),
            ("price", price.map(|price| price.to_be_bytes()).into()),
            ("categories", Value::Map(categories.collect())),
            ("expires", offer.expires.map(|expires| expires.0).into()),
            ("copies", offer.copies.into()),
            ("provider_id", offer.provider_id.as_str().into()),
            // An extension of this market maker: any other would not know it.
            ("pricing", pricing.into()),
        ];
        let kwargs = kwargs
            .into_iter()
            .filter(|(name, value)| *name != "pricing" || !value.is_null());
        self.call(
            "place_offer",
            args,
            kwargs.map(|(name, value)| (name.to_owned(), value)).collect(),
        )
        .await?;
        Ok(())
    }

    /// Asks what a key costs.
    ///
    /// # Errors
    ///
    /// Any error of a call.
    pub async fn quote(&self, key: KeyId) -> Result<Quote, DelegateError> {
        let result = self.call("get_quote", vec![key.0.into()], Dict::new()).await?;
        Quote::read(&Reply::new(&procedure("get_quote"), result)?)
    }

    /// Sends a signed order. The same order sent again is the same purchase, and is answered again.
    pub(crate) async fn buy(&self, delegate: Address, order: &Order) -> Result<Receipt, DelegateError> {
        let args = vec![
            delegate.0.into(),
            order.buyer_pubkey.0.into(),
            order.key.0.into(),
            order.channel.0.into(),
            order.seq.0.into(),
            order.price.to_be_bytes().into(),
            order.remaining.to_be_bytes().into(),
            order.signature.0.into(),
        ];
        // An extension of this market maker, and asked for by its configuration alone.
        let voucher = order
            .voucher
            .map(|voucher| ("voucher".to_owned(), voucher.to_value()));
        let answer = self.call("buy_key", args, voucher.into_iter().collect()).await?;
        Receipt::read(&Reply::new(&procedure("buy_key"), answer)?)
    }
}

fn procedure(name: &str) -> String {
    format!("xbr.marketmaker.{name}")
}

/// Calls and waits, for so long. An error keeps the market's own words.
pub(crate) async fn call(
    session: &Session,
    procedure: &str,
    args: Vec<Value>,
    kwargs: Dict,
) -> Result<CallResult, DelegateError> {
    let options = CallOptions {
        timeout: Some(CALL_TIMEOUT),
        ..CallOptions::default()
    };
    let result = session.call(procedure, args, kwargs, options).await;
    result.map_err(|error| DelegateError::from_call(procedure, error))
}
