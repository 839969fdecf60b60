//! What a market answers a buyer: receipts, quotes, channels and refusals, read by the delegate that this repository
//! ships.
//!
//! The upper bits of a call ([`crate::call`]) say whether it is an answer, or a refusal whose URI is its first argument.

use crate::call::Call;
use bourse_chain::{ChannelClose, Domain, Signer};
use bourse_delegates::{DataKey, DelegateError, Facts, ReceiveKey, heard, seal};
use bourse_market::{Address, Amount, KeyId, MarketId, Seq};
use bourse_wamp::{CallResult, Dict, Value, WampError};
use std::sync::LazyLock;

/// The call is a refusal.
const REFUSED: u8 = 1;
/// The market maker signs what the receipt says.
const SIGNED: u8 = 2;

/// Characters of the longest error of a delegate: it may repeat a line of what the market said.
const MAX_SAID: usize = 2_000;

static MAKER: LazyLock<Signer> = LazyLock::new(|| Signer::from_bytes(&[1; 32]).expect("a key"));
static RECEIVE: LazyLock<ReceiveKey> = LazyLock::new(|| ReceiveKey::from_bytes([2; 32]));

fn facts() -> Facts {
    Facts {
        domain: Domain {
            chain_id: 1337,
            verifying_contract: Address([2; 20]),
        },
        market: MarketId([3; 16]),
        marketmaker: MAKER.address(),
        owner: Address([5; 20]),
        max_unsettled: None,
    }
}

pub(crate) fn run(bytes: &[u8]) {
    let Some(call) = Call::read(bytes) else {
        return;
    };
    let Call {
        flags, args, kwargs, ..
    } = call;
    if flags & REFUSED != 0 {
        let uri = args
            .first()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let args = args.into_iter().skip(1).collect();
        let error = heard::refusal(WampError { uri, args, kwargs });
        assert!(matches!(error, DelegateError::Refused { .. }), "{error:?}");
        short(&error);
        return;
    }
    let mut result = CallResult { args, kwargs };
    if flags & SIGNED != 0 {
        sign(&mut result);
    }
    for read in heard::answer(&result, &facts(), &RECEIVE) {
        if let Err(error) = read {
            short(&error);
        }
    }
}

/// What goes into a log fits it.
fn short(error: &DelegateError) {
    let said = error.to_string().chars().count();
    assert!((1..MAX_SAID).contains(&said), "{said} characters");
}

/// Signs the receipt as the market maker would.
fn sign(result: &mut CallResult) -> Option<()> {
    let Some(Value::Map(receipt)) = result.args.first_mut() else {
        return None;
    };
    let seq = Seq(receipt.get("channel_seq")?.as_u64()?.try_into().ok()?);
    let remaining = receipt.get("remaining")?.as_bytes()?.try_into().ok()?;
    let remaining = Amount::from_be_bytes(remaining);
    let facts = facts();
    let state = ChannelClose::off_chain(facts.market, heard::CHANNEL, seq, remaining);
    let signature = MAKER.sign(&state.digest(&facts.domain));
    receipt.insert("signature".to_owned(), signature.0.into());
    Some(())
}

/// Good answers of every kind, and refusals.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let amount = |tokens: u64| Value::from(Amount::from_tokens(tokens).to_be_bytes());
    let map = |entries: &[(&str, Value)]| {
        let entries = entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        Value::Map(entries.collect())
    };
    let facts = facts();
    let key = KeyId([6; 16]);
    let sealed = seal(&DataKey::from_bytes([9; 32]), &RECEIVE.public()).expect("a sealed key");
    let answers = [
        map(&[
            ("verifying_chain_id", 1337_u16.into()),
            (
                "verifying_contract_adr",
                facts.domain.verifying_contract.to_string().into(),
            ),
            ("market", "03030303-0303-0303-0303-030303030303".into()),
            ("marketmaker", facts.marketmaker.to_string().into()),
            ("owner", facts.owner.to_string().into()),
        ]),
        map(&[("price", amount(1)), ("expires", 0_u8.into())]),
        map(&[("price", 0_u8.into()), ("expires", u64::MAX.into())]),
        map(&[
            ("seq", 3_u8.into()),
            ("remaining", amount(7)),
            ("owed", amount(2)),
        ]),
        map(&[("channel_oid", heard::CHANNEL.0.into())]),
        map(&[
            ("key_id", key.0.into()),
            ("amount_paid", amount(1)),
            ("channel_seq", 2_u8.into()),
            ("remaining", amount(99)),
            ("sealed_key", sealed.0.into()),
            ("signature", [0x1b; 65].into()),
        ]),
        Value::List(vec![[1; 16].into(), [2; 16].into()]),
        Value::Null,
    ];
    let mut seeds = Vec::new();
    for answer in answers {
        for flags in [0, SIGNED] {
            seeds.extend(Call::seeds(0, flags, std::slice::from_ref(&answer), &Dict::new()));
        }
    }
    let refusal = [Value::from("bourse.error.price_changed"), "the price is 2".into()];
    let details = Dict::from([("price".to_owned(), amount(2))]);
    seeds.extend(Call::seeds(0, REFUSED, &refusal, &details));
    seeds
}
