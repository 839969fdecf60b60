//! What delegates and markets tell each other, in types.

use crate::DelegateError;
use crate::reply::Reply;
use crate::voucher::Voucher;
use bourse_chain::Domain;
use bourse_market::{Address, Amount, ApiId, BuyerPubkey, ChannelId, KeyId, MarketId, Nanos, Seq, Signature};
use bourse_wamp::{Dict, Value};
use std::collections::BTreeMap;

/// Who runs a market, and where its messages are valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What every signed message names.
    pub domain: Domain,
    /// The market.
    pub market: MarketId,
    /// Its market maker, the other side of every channel.
    pub marketmaker: Address,
    /// Its owner, who receives what buyers spend.
    pub owner: Address,
    /// What a buyer may spend over a channel without a settlement voucher; none where nothing settles on a chain.
    pub max_unsettled: Option<Amount>,
}

impl Facts {
    /// The answer of `get_config`.
    pub(crate) fn read(config: &Reply) -> Result<Self, DelegateError> {
        let hex_address = "an address, 0x and 40 hex digits";
        Ok(Self {
            domain: Domain {
                chain_id: config.u64("verifying_chain_id")?,
                verifying_contract: config.parse("verifying_contract_adr", hex_address)?,
            },
            market: config.parse("market", "a UUID")?,
            marketmaker: config.parse("marketmaker", hex_address)?,
            owner: config.parse("owner", hex_address)?,
            max_unsettled: config.amount_or_null("max_unsettled")?,
        })
    }
}

/// Where a channel stands after its last completed purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Its position.
    pub seq: Seq,
    /// What is left in it.
    pub remaining: Amount,
}

impl Balance {
    /// The answer of `get_payment_channel_balance` and its like, and what would be left in the channel's final state: what
    /// its delegate was paid too early is given back, and what it is owed for keys that it left is paid, as far as the
    /// channel has that.
    pub(crate) fn read(reply: &Reply) -> Result<(Self, Amount), DelegateError> {
        let balance = Self {
            seq: reply.seq("seq")?,
            remaining: reply.amount("remaining")?,
        };
        let (prepaid, owed) = (reply.amount_or_zero("prepaid")?, reply.amount_or_zero("owed")?);
        let last = balance.remaining.saturating_add(prepaid).checked_sub(owed);
        Ok((balance, last.unwrap_or_default()))
    }
}

/// What a key costs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// The price.
    pub price: Amount,
    /// Until when it holds; none without an end.
    pub expires: Option<Nanos>,
}

impl Quote {
    /// The answer of `get_quote`.
    pub(crate) fn read(reply: &Reply) -> Result<Self, DelegateError> {
        // On this wire 0 stands for "without an end".
        let expires = Some(reply.u64("expires")?)
            .filter(|&expires| expires != 0)
            .map(Nanos);
        Ok(Self {
            price: reply.amount("price")?,
            expires,
        })
    }
}

/// How a seller wants a key to be priced.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyTerms {
    /// At a price of its own.
    Fixed(Amount),
    /// By the market, at every quote.
    Dynamic(Pricing),
}

/// What a seller may say about a price it leaves to the market. Everything is optional.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pricing {
    /// The policy, by name.
    pub policy: Option<String>,
    /// Parameters for it.
    pub params: Dict,
    /// Never sell below.
    pub floor: Option<Amount>,
    /// Never sell above.
    pub cap: Option<Amount>,
}

impl Pricing {
    /// As `place_offer` takes it.
    pub(crate) fn to_value(&self) -> Value {
        let parts = [
            ("policy", self.policy.as_deref().map(Value::from)),
            (
                "params",
                (!self.params.is_empty()).then(|| Value::Map(self.params.clone())),
            ),
            ("floor", self.floor.map(|floor| floor.to_be_bytes().into())),
            ("cap", self.cap.map(|cap| cap.to_be_bytes().into())),
        ];
        Value::Map(
            parts
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                .collect(),
        )
    }
}

/// A key to offer.
#[derive(Debug, Clone, PartialEq)]
pub struct OfferTerms {
    /// The key, fresh.
    pub key: KeyId,
    /// The API the data belongs to.
    pub api: ApiId,
    /// Where the data is published: lower-case words and digits with dots between them.
    pub uri: String,
    /// Sold until then; none is for ever.
    pub expires: Option<Nanos>,
    /// How often it may be sold; none is without limit.
    pub copies: Option<u32>,
    /// Labels.
    pub categories: BTreeMap<String, String>,
    /// Its price.
    pub terms: KeyTerms,
    /// Under which the seller answers.
    pub provider_id: String,
}

/// What a buyer asks for, and the state of its channel it signs for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) key: KeyId,
    pub(crate) buyer_pubkey: BuyerPubkey,
    pub(crate) channel: ChannelId,
    pub(crate) price: Amount,
    pub(crate) seq: Seq,
    pub(crate) remaining: Amount,
    pub(crate) signature: Signature,
    /// The same over a recent block, where the market settles on a chain.
    pub(crate) voucher: Option<Voucher>,
}
