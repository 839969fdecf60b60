//! The call that asks a seller for a key, and its answer.

use super::{Sold, refusal};
use crate::Balance;
use crate::reply::amount;
use bourse_market::{Address, Amount, BuyerPubkey, ChannelId, IdError, KeyId, SealedKey, Seq, Signature};
use bourse_wamp::{Dict, Value, WampError};

/// The arguments of `xbr.provider.<id>.sell`, all positional.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SellRequest {
    /// Who says it is the market maker.
    pub(super) marketmaker: Address,
    /// Whom to seal the key to.
    pub(super) buyer_pubkey: BuyerPubkey,
    /// The key.
    pub(super) key: KeyId,
    /// The paying channel.
    pub(super) channel: ChannelId,
    /// Its position once this is sold.
    pub(super) seq: Seq,
    /// What the seller receives.
    pub(super) amount: Amount,
    /// What is left in the channel then.
    pub(super) balance: Amount,
    /// The market maker's signature over position and balance.
    pub(super) signature: Signature,
}

impl SellRequest {
    /// Reads the arguments; the error is ready to be sent back.
    pub(super) fn read(args: &[Value]) -> Result<Self, WampError> {
        let read = || -> Result<Self, String> {
            let [
                marketmaker,
                buyer_pubkey,
                key,
                channel,
                seq,
                amount,
                balance,
                signature,
            ] = args
            else {
                return Err(format!("sell takes 8 positional arguments, got {}", args.len()));
            };
            Ok(Self {
                marketmaker: bytes("marketmaker_adr", marketmaker)?,
                buyer_pubkey: bytes("buyer_pubkey", buyer_pubkey)?,
                key: bytes("key_id", key)?,
                channel: bytes("channel_oid", channel)?,
                seq: number("channel_seq", seq)?,
                amount: tokens("amount", amount)?,
                balance: tokens("balance", balance)?,
                signature: bytes("signature", signature)?,
            })
        };
        read().map_err(|text| refusal("wamp.error.invalid_argument", text))
    }
}

fn bytes<T>(name: &str, value: &Value) -> Result<T, String>
where
    T: for<'a> TryFrom<&'a [u8], Error = IdError>,
{
    let bytes = value
        .as_bytes()
        .ok_or_else(|| format!("{name} must be bytes, got {}", value.kind()))?;
    bytes
        .try_into()
        .map_err(|error: IdError| format!("{name}: {error}"))
}

fn number(name: &str, value: &Value) -> Result<Seq, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .map(Seq)
        .ok_or_else(|| format!("{name} must be a number of at most 32 bits, got {}", value.kind()))
}

fn tokens(name: &str, value: &Value) -> Result<Amount, String> {
    amount(value).ok_or_else(|| format!("{name} must be 32 bytes, got {}", value.kind()))
}

/// A key, handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SellAnswer {
    /// The seller's delegate.
    pub(super) delegate: Address,
    /// What was asked.
    pub(super) request: SellRequest,
    /// The key, for the buyer's eyes.
    pub(super) sealed_key: SealedKey,
    /// The delegate's signature over position and balance.
    pub(super) signature: Signature,
}

impl SellAnswer {
    /// As the market maker expects it.
    pub(super) fn to_dict(&self) -> Dict {
        let parts: [(&str, Value); 8] = [
            ("key_id", self.request.key.0.into()),
            ("delegate", self.delegate.0.into()),
            ("buyer_pubkey", self.request.buyer_pubkey.0.into()),
            ("sealed_key", self.sealed_key.0.into()),
            ("channel_seq", self.request.seq.0.into()),
            ("amount", self.request.amount.to_be_bytes().into()),
            ("balance", self.request.balance.to_be_bytes().into()),
            ("signature", self.signature.0.into()),
        ];
        parts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// As the seller's owner likes to hear it.
    pub(super) fn sold(&self) -> Sold {
        let request = &self.request;
        Sold {
            key: request.key,
            buyer: request.buyer_pubkey,
            amount: request.amount,
            balance: Balance {
                seq: request.seq,
                remaining: request.balance,
            },
        }
    }
}
