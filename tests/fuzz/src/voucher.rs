//! Calls that carry a signature: what clients send to buy, to leave a key, to open a channel and to close one.
//!
//! Bits of a call ([`crate::call`]): 1 gives it the state that comes next, or an id that is not taken; 2 signs, in the
//! name of whoever should, what it says then; 4 sends it from the seller's session. Without them it is what a stranger
//! sends. So bytes reach past the signature without having to guess one, and what they say is still their own.

use crate::call::{self, Call};
use crate::town::{API, BUYER, PROVIDER, SELLER, Town, amount};
use bourse_chain::{ChannelClose, ChannelOpen, KeyOffer, recover};
use bourse_market::{
    Address, Amount, ApiId, Channel, ChannelId, ChannelKind, KeyId, MarketId, Nanos, Seq, Signature,
};
use bourse_wamp::{CallResult, Dict, Value, WampError};
use std::cell::RefCell;

const PROCEDURES: [&str; 4] = [
    "xbr.marketmaker.buy_key",
    "xbr.marketmaker.close_channel",
    "xbr.marketmaker.open_channel",
    "xbr.marketmaker.place_offer",
];
const BUY: usize = 0;
const CLOSE: usize = 1;
const OPEN: usize = 2;
const PLACE: usize = 3;

const AIMED: u8 = 1;
const SIGNED: u8 = 2;
const BY_SELLER: u8 = 4;

/// Inputs between two looks at the whole ledger.
const VERIFY: u32 = 1_000;
/// Inputs, and answers that were no refusals, of one market: what it has on record is added up after each of those.
const INPUTS: u32 = 10_000;
const DONE: u32 = 500;

/// Keys for sale: at a price, at one that the market makes, for nothing, and one that was left.
const FIXED: KeyId = KeyId([0xf1; 16]);
const DYNAMIC: KeyId = KeyId([0xd1; 16]);
const FREE: KeyId = KeyId([0xf0; 16]);
const LEFT: KeyId = KeyId([0x1e; 16]);

/// Of every offer that names a price.
const PRICE: Amount = Amount::from_units(1_000_000_000_000_000_000);

struct Run {
    town: Town,
    inputs: u32,
    done: u32,
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

pub(crate) fn run(bytes: &[u8]) {
    let Some(call) = Call::read(bytes) else {
        return;
    };
    RUN.with_borrow_mut(|run| {
        // Taken out: after a panic there is none.
        let mut now = run.take().unwrap_or_else(|| Run {
            town: stocked(),
            inputs: 0,
            done: 0,
        });
        now.take(call);
        if now.inputs < INPUTS && now.done < DONE {
            *run = Some(now);
        } else {
            now.town.verify();
        }
    });
}

/// A town with something to buy.
fn stocked() -> Town {
    let town = Town::new();
    for (key, kwargs) in [
        (FIXED, terms(Some(PRICE), None)),
        (DYNAMIC, terms(None, None)),
        (FREE, terms(Some(Amount::ZERO), None)),
        (LEFT, terms(Some(PRICE), Some([9; 32]))),
    ] {
        let price = kwargs.get("price").map(|_| match key {
            FREE => Amount::ZERO,
            _ => PRICE,
        });
        let args = town.offer_args(key, "com.example.", price);
        town.ask(SELLER, "xbr.marketmaker.place_offer", args, kwargs)
            .expect("an offer");
    }
    town
}

fn terms(price: Option<Amount>, key: Option<[u8; 32]>) -> Dict {
    let mut terms = Dict::from([("provider_id".to_owned(), PROVIDER.into())]);
    terms.extend(price.map(|price| ("price".to_owned(), amount(price))));
    terms.extend(key.map(|key| ("privkey".to_owned(), key.into())));
    terms
}

impl Run {
    fn take(&mut self, mut call: Call) {
        self.inputs += 1;
        if call.flags & AIMED != 0 {
            self.aim(&mut call);
        }
        if call.flags & SIGNED != 0 {
            self.sign(&mut call);
        }
        let session = match call.flags & BY_SELLER {
            0 => BUYER,
            _ => SELLER,
        };
        let procedure = PROCEDURES.get(call.which).expect("one of four");
        let answer = self.town.call(call.invocation(session, procedure));
        self.judge(&call, &answer);
        if answer.is_ok() {
            self.done += 1;
            self.town.sums_hold();
            self.town.stay_open();
        }
        if self.inputs.is_multiple_of(VERIFY) {
            self.town.verify();
        }
    }

    /// Where a call about a channel begins: the channel that is open, and what stands there.
    fn aim(&mut self, call: &mut Call) {
        match call.which {
            BUY => {
                let channel = self.town.channel(self.town.payment).expect("it is open");
                let spent = call.amount(5, "amount").unwrap_or_default();
                let rest = channel.posted_remaining().checked_sub(spent);
                call.put(3, "channel_oid", channel.id.0.into());
                call.put(4, "channel_seq", (u64::from(channel.seq.0) + 1).into());
                call.put(6, "balance", amount(rest.unwrap_or_default()));
            }
            CLOSE => {
                let id = call.bytes::<16>(0, "channel_oid").unwrap_or_default();
                let paying = ChannelId(id) == self.town.paying || id.first() == Some(&0);
                let id = if paying {
                    self.town.paying
                } else {
                    self.town.payment
                };
                let channel = self.town.channel(id).expect("it is open");
                let owed = self.owed(id);
                let rest = channel.posted_remaining().checked_sub(owed);
                call.put(0, "channel_oid", id.0.into());
                call.put(4, "closing_balance", amount(rest.unwrap_or_default()));
                call.put(5, "closing_seq", channel.seq.0.into());
            }
            OPEN => call.put(2, "channel_oid", self.town.fresh().into()),
            _ => call.put(0, "key_id", self.town.fresh().into()),
        }
    }

    /// What a paying channel's delegate is told that it is owed.
    fn owed(&self, channel: ChannelId) -> Amount {
        let procedure = "xbr.marketmaker.get_paying_channel_balance";
        let answer = self
            .town
            .ask(SELLER, procedure, vec![channel.0.into()], Dict::new());
        let told = answer.ok().and_then(|answer| answer.args.into_iter().next());
        let owed = told
            .as_ref()
            .and_then(Value::as_map)
            .and_then(|told| told.get("owed"));
        let owed = owed
            .and_then(Value::as_bytes)
            .and_then(|owed| owed.try_into().ok());
        owed.map(Amount::from_be_bytes).unwrap_or_default()
    }

    /// Signs what the call says, if it says enough.
    fn sign(&self, call: &mut Call) -> Option<()> {
        let town = &self.town;
        let (at, name, signature) = match call.which {
            BUY => {
                let (_, digest) = self.bought(call)?;
                (7, "signature", town.buyer.sign(&digest))
            }
            CLOSE => {
                let (channel, digest) = self.closed(call)?;
                let signer = match channel == town.paying {
                    true => &town.seller,
                    false => &town.buyer,
                };
                (7, "delegate_signature", signer.sign(&digest))
            }
            OPEN => {
                let kind = match call.number(6, "channel_type")? {
                    2 => ChannelKind::Paying,
                    _ => ChannelKind::Payment,
                };
                let signer = match kind {
                    ChannelKind::Payment => &town.buyer_actor,
                    ChannelKind::Paying => &town.seller_actor,
                };
                let message = ChannelOpen {
                    kind,
                    opened_at: Amount::from_units(call.number(4, "current_block_number")?.into()),
                    market: MarketId(call.bytes(1, "market_oid")?),
                    channel: ChannelId(call.bytes(2, "channel_oid")?),
                    actor: Address(call.bytes(0, "member_adr")?),
                    delegate: Address(call.bytes(7, "delegate")?),
                    marketmaker: Address(call.bytes(8, "marketmaker")?),
                    recipient: Address(call.bytes(9, "recipient")?),
                    amount: call.amount(10, "amount")?,
                };
                (11, "signature", signer.sign(&message.digest(&town.domain)))
            }
            _ => {
                let price = call.amount(7, "price");
                let message = KeyOffer {
                    market: town.market(),
                    key: KeyId(call.bytes(0, "key_id")?),
                    api: ApiId(call.bytes(1, "api_id")?),
                    uri: call.get(2, "uri")?.as_str()?.to_owned(),
                    price: price.unwrap_or_default(),
                    dynamic: price.is_none(),
                    valid_from: Nanos(call.number(3, "valid_from")?),
                    expires: Nanos(call.number(9, "expires").unwrap_or(0)),
                    delegate: Address(call.bytes(4, "delegate_adr")?),
                };
                let signature = town.seller.sign(&message.digest(&town.domain));
                (5, "delegate_signature", signature)
            }
        };
        call.put(at, name, signature.0.into());
        Some(())
    }

    /// The channel and the state that a buy_key is about.
    fn bought(&self, call: &Call) -> Option<(ChannelId, [u8; 32])> {
        let channel = ChannelId(call.bytes(3, "channel_oid")?);
        let seq = Seq(call.number(4, "channel_seq")?.try_into().ok()?);
        let balance = call.amount(6, "balance")?;
        Some((channel, self.town.state(channel, seq, balance)))
    }

    /// The same of a close_channel.
    fn closed(&self, call: &Call) -> Option<(ChannelId, [u8; 32])> {
        let channel = ChannelId(call.bytes(0, "channel_oid")?);
        let message = ChannelClose {
            close_at: Amount::from_units(call.number(2, "current_block_number")?.into()),
            market: self.town.market(),
            channel,
            seq: Seq(call.number(5, "closing_seq")?.try_into().ok()?),
            balance: call.amount(4, "closing_balance")?,
            is_final: call.get(6, "closing_is_final")?.as_bool()?,
        };
        Some((channel, message.digest(&self.town.domain)))
    }

    /// Nothing is sold and nothing closed but by the signature of the channel's own delegate, and every answer is one.
    fn judge(&self, call: &Call, answer: &Result<CallResult, WampError>) {
        let result = match answer {
            Ok(result) => result,
            Err(error) => return call::refused(error),
        };
        let told = result.args.first().and_then(Value::as_map).expect("a map");
        let signed = |(id, digest): (ChannelId, [u8; 32]), signature: Option<[u8; 65]>| {
            let channel = self.town.channel(id).expect("a channel");
            let signature = Signature(signature.expect("a signature"));
            assert_eq!(
                recover(&digest, &signature).ok(),
                Some(channel.delegate),
                "{call:?}"
            );
            channel
        };
        match call.which {
            BUY => {
                let about = self.bought(call).expect("what was sold was said in full");
                self.receipt(&signed(about, call.bytes(7, "signature")), told);
            }
            CLOSE => {
                let about = self.closed(call).expect("what was closed was said in full");
                let channel = signed(about, call.bytes(7, "delegate_signature"));
                assert!(!channel.is_live(), "{channel:?}");
            }
            _ => {}
        }
    }

    /// A receipt is signed by the market maker, over a state that the channel has reached.
    fn receipt(&self, channel: &Channel, told: &Dict) {
        let bytes = |name: &str| told.get(name).and_then(Value::as_bytes).expect("bytes");
        let balance = bytes("remaining").try_into().expect("an amount");
        let seq = told.get("channel_seq").and_then(Value::as_u64).expect("a seq");
        let seq = Seq(seq.try_into().expect("a seq of 32 bits"));
        assert!(seq <= channel.seq, "{seq:?} of {channel:?}");
        let digest = self.town.state(channel.id, seq, Amount::from_be_bytes(balance));
        let signature = Signature(bytes("signature").try_into().expect("a signature"));
        assert_eq!(recover(&digest, &signature).ok(), Some(self.town.marketmaker));
    }
}

/// Good calls of each kind, aimed and signed when they are sent, or as they were once.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let town = stocked();
    let payment = town.channel(town.payment).expect("it is open");
    let mut seeds = Vec::new();
    let mut add = |which: usize, args: &[Value], kwargs: &Dict| {
        for flags in [0, AIMED, AIMED | SIGNED, AIMED | SIGNED | BY_SELLER] {
            seeds.extend(Call::seeds(which as u8, flags, args, kwargs));
        }
    };
    for key in [FIXED, DYNAMIC, FREE, LEFT] {
        let quote = vec![key.0.into()];
        let quote = town
            .ask(BUYER, "xbr.marketmaker.get_quote", quote, Dict::new())
            .expect("a quote");
        let told = quote.args.first().and_then(Value::as_map).expect("a map");
        let price = told.get("price").and_then(Value::as_bytes).expect("a price");
        let price = Amount::from_be_bytes(price.try_into().expect("an amount"));
        let rest = payment.posted_remaining().checked_sub(price).unwrap_or_default();
        let digest = town.state(payment.id, Seq(2), rest);
        let args = [
            town.buyer.address().0.into(),
            [8; 32].into(),
            key.0.into(),
            payment.id.0.into(),
            2_u8.into(),
            amount(price),
            amount(rest),
            town.buyer.sign(&digest).0.into(),
        ];
        add(BUY, &args, &Dict::new());
    }
    for (channel, id) in [(payment.id, payment.id.0), (town.paying, [0; 16])] {
        let channel = town.channel(channel).expect("it is open");
        let args = [
            id.into(),
            town.domain.chain_id.into(),
            1_u8.into(),
            town.domain.verifying_contract.0.into(),
            amount(channel.posted_remaining()),
            channel.seq.0.into(),
            true.into(),
            [0; 65].into(),
        ];
        add(CLOSE, &args, &Dict::new());
    }
    for kind in [ChannelKind::Payment, ChannelKind::Paying] {
        add(OPEN, &town.open_args(kind, ChannelId([0x77; 16])), &Dict::new());
    }
    let pricing = Dict::from([
        ("policy".to_owned(), "surge".into()),
        ("floor".to_owned(), amount(Amount::from_units(1))),
        (
            "params".to_owned(),
            Value::Map(Dict::from([("base".to_owned(), "2.5".into())])),
        ),
    ]);
    let mut full = terms(None, None);
    full.extend([
        ("pricing".to_owned(), Value::Map(pricing)),
        ("copies".to_owned(), 3_u8.into()),
        ("expires".to_owned(), 1_800_000_000_000_000_000_u64.into()),
        (
            "categories".to_owned(),
            Value::Map(Dict::from([("region".to_owned(), "east".into())])),
        ),
    ]);
    for (price, kwargs) in [
        (Some(PRICE), terms(Some(PRICE), None)),
        (Some(PRICE), terms(Some(PRICE), Some([6; 32]))),
        (None, terms(None, None)),
        (None, full),
    ] {
        add(
            PLACE,
            &town.offer_args(KeyId([0x33; 16]), "com.example.a", price),
            &kwargs,
        );
    }
    // As one without arguments, or with those of another.
    for which in 0..PROCEDURES.len() {
        add(which, &[API.0.into()], &Dict::new());
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_calls_that_are_aimed_and_signed_get_past_the_signature_and_are_done() {
        let mut done = [0; PROCEDURES.len()];
        for seed in seeds() {
            let call = Call::read(&seed).expect("a seed reads");
            if call.flags & (AIMED | SIGNED) != AIMED | SIGNED || call.args.len() < 2 {
                continue;
            }
            let which = call.which;
            // Another session answers under the offer's provider id.
            if which == PLACE && call.flags & BY_SELLER == 0 {
                continue;
            }
            let mut run = Run {
                town: stocked(),
                inputs: 0,
                done: 0,
            };
            run.take(call.clone());
            assert_eq!(run.done, 1, "{call:?}");
            done[which] += 1;
        }
        assert!(done.iter().all(|done| *done > 1), "{done:?}");
    }
}
