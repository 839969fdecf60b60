//! Settlement vouchers: looked at when they come, asked for again before they lapse, and used where they are not renewed.

use crate::events::topic;
use crate::keep::keep;
use crate::market::Market;
use crate::outbox::close::SHOWN_WITHIN;
use crate::wire::{bytes, closing_dict, dict, int, of_settlement};
use bourse_chain::ChannelClose;
use bourse_market::voucher::{SignedVoucher, Voucher};
use bourse_market::{
    Amount, BlockNumber, Channel, ChannelId, ChannelState, CloseRequest, Command, OFF_CHAIN_CLOSE_AT,
    Outcome, Refusal, Seq, Signature, View,
};
use bourse_store::SubmitError;
use bourse_wamp::{Value, WampError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The age at which another is asked for, in blocks from the one that it names.
const RENEW_AFTER: u64 = 700;
/// The age at which its channel is closed by it, while the contract takes it for long enough.
const CLOSE_AFTER: u64 = 900;
/// The age at which it is whether or not anybody was asked in time.
const CLOSE_AT_LAST: u64 = 1_200;
/// Blocks between two requests to renew one voucher.
const ASK_EVERY: u64 = 25;
/// How often its delegate must have been asked before its channel is closed.
const QUESTIONS: u32 = 4;
/// Vouchers that are read at once.
const MOST: usize = 256;

/// A voucher as it came over the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) close_at: BlockNumber,
    pub(crate) signature: Signature,
}

/// Whose voucher it is, over this state of a channel. It must name a recent block.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) async fn read(
    market: &Arc<Market>,
    channel: ChannelId,
    (seq, balance): (Seq, Amount),
    sent: Sent,
) -> Result<SignedVoucher, WampError> {
    let Sent { close_at, signature } = sent;
    market.settlement.check_voucher(close_at).map_err(of_settlement)?;
    let digest = digest(market, channel, (seq, balance), close_at);
    let signer = market
        .workers
        .run_bought(move || bourse_chain::recover(&digest, &signature))
        .await?
        .map_err(|error| of_settlement(error.into()))?;
    Ok(SignedVoucher {
        seq,
        balance,
        close_at,
        signature,
        signer,
    })
}

/// What a delegate signs for a voucher, and the market maker beside it.
fn digest(
    market: &Market,
    channel: ChannelId,
    (seq, balance): (Seq, Amount),
    close_at: BlockNumber,
) -> [u8; 32] {
    let state = ChannelClose {
        close_at: Amount::from_units(close_at.0.into()),
        market: market.network.market,
        channel,
        seq,
        balance,
        is_final: true,
    };
    state.digest(&market.network.domain)
}

/// Closes a channel by the voucher that the ledger keeps of it, for the contract to be shown. None if it keeps none.
///
/// # Errors
///
/// Why it stays as it is.
pub(crate) async fn settle(market: &Arc<Market>, id: ChannelId) -> Result<Option<Channel>, SubmitError> {
    let known = market
        .store
        .read()
        .and_then(|ledger| Ok(ledger.voucher(&id)?.zip(ledger.channel(&id)?)))
        .map_err(|error| SubmitError::Storage(error.to_string()))?;
    let Some((voucher, channel)) = known else {
        return Ok(None);
    };
    let digest = digest(market, id, (voucher.seq, voucher.balance), voucher.close_at);
    let signer = Arc::clone(&market.signer);
    let signed = market.workers.run_owed(move || signer.sign(&digest)).await;
    let Ok(marketmaker_signature) = signed else {
        return Err(SubmitError::Overloaded);
    };
    let close = CloseRequest {
        id,
        seq: voucher.seq,
        balance: voucher.balance,
        is_final: true,
        close_at: Amount::from_units(voucher.close_at.0.into()),
        delegate_signature: voucher.signature,
        signer: channel.delegate,
        marketmaker_signature,
        at: market.now(),
    };
    match market.store.submit(Command::Close(Box::new(close))).await? {
        Outcome::Closed { channel, again } => {
            if !again {
                tracing::info!(channel = %id, "a channel was closed by its buyer's voucher");
            }
            Ok(Some(*channel))
        }
        _ => Ok(None),
    }
}

/// The earliest block that a voucher may name whose channel goes on: an older one is about to be used.
pub(crate) fn not_before(market: &Market) -> BlockNumber {
    let head = market.settlement.head_block().number;
    BlockNumber(head.saturating_sub(CLOSE_AFTER).saturating_add(1))
}

/// Looks after vouchers until `stop`; nothing, where there is no chain.
pub(crate) fn start(market: &Arc<Market>, poll: Duration, stop: CancellationToken) -> Option<JoinHandle<()>> {
    market.outbox.as_ref()?;
    let (market, halt) = (Arc::downgrade(market), stop.clone());
    let told = Weak::clone(&market);
    Some(keep(
        "the task that looks after vouchers",
        stop,
        move || look_after(Weak::clone(&market), poll, halt.clone()),
        move |why| {
            if let Some(market) = told.upgrade() {
                market.course.fell(why);
            }
        },
    ))
}

async fn look_after(market: Weak<Market>, poll: Duration, stop: CancellationToken) {
    let mut asked = Asked::new();
    let mut seen = None;
    while stop.run_until_cancelled(tokio::time::sleep(poll)).await.is_some() {
        let Some(market) = market.upgrade() else { return };
        let head = market.settlement.head_block().number;
        // While nobody knows which block is the newest, nothing is asked for that would not be taken.
        if seen == Some(head) || market.settlement.check_voucher(BlockNumber(head)).is_err() {
            continue;
        }
        match look(&market, head, &mut asked).await {
            Ok(true) => seen = Some(head),
            // A purchase is under way where a channel is to be closed: it ends soon.
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "vouchers cannot be looked after for now"),
        }
    }
}

/// Whose renewal was asked for: how often, and at which block last.
type Asked = BTreeMap<(BlockNumber, ChannelId), (u32, u64)>;

/// One look at the vouchers that lapse first. False if one is to be used and waits for a purchase. One that cannot be dealt with
/// keeps none behind it back.
async fn look(market: &Arc<Market>, head: u64, asked: &mut Asked) -> Result<bool, SubmitError> {
    let until = BlockNumber(head.saturating_sub(RENEW_AFTER));
    let (mut after, mut there, mut done) = (None, BTreeSet::new(), Ok(true));
    loop {
        let page = page(market, until, after)?;
        let Some((_, last)) = page.last() else { break };
        after = Some((last.close_at, last.channel));
        for (channel, voucher) in page {
            let key = (voucher.close_at, voucher.channel);
            there.insert(key);
            let age = head.saturating_sub(voucher.close_at.0);
            let known = asked.get(&key).copied();
            let (times, last) = known.unwrap_or_default();
            let again = known.is_none() || head.saturating_sub(last) >= ASK_EVERY;
            let most = market.terms.max_unsettled;
            let dealt = match channel {
                None => end(market, &voucher).await.map(|()| true),
                Some(channel) => match due(&channel, &voucher, age, times, most) {
                    Due::Nothing => Ok(true),
                    Due::Renewal => {
                        if again {
                            asked.insert(key, (times.saturating_add(1), head));
                            ask(market, &channel, &voucher);
                        }
                        Ok(true)
                    }
                    Due::Close => {
                        if again {
                            asked.insert(key, (times, head));
                        }
                        close(market, &channel, &voucher, again).await
                    }
                    Due::End => end(market, &voucher).await.map(|()| true),
                },
            };
            done = match (done, dealt) {
                (Ok(before), Ok(now)) => Ok(before && now),
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
        }
    }
    asked.retain(|key, _| there.contains(key));
    done
}

/// Vouchers that name `until` or an earlier block, behind `after`, each with its channel.
fn page(
    market: &Market,
    until: BlockNumber,
    after: Option<(BlockNumber, ChannelId)>,
) -> Result<Vec<(Option<Channel>, Voucher)>, SubmitError> {
    let read = market.store.read().and_then(|ledger| {
        let vouchers = ledger.lapsing_vouchers(until, after, MOST)?;
        let with_channel = |voucher: Voucher| Ok((ledger.channel(&voucher.channel)?, voucher));
        vouchers.into_iter().map(with_channel).collect()
    });
    read.map_err(|error| SubmitError::Storage(error.to_string()))
}

/// What is due of a voucher.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// Its delegate is asked for another.
    Renewal,
    /// Its channel is closed by it.
    Close,
    /// It is dropped.
    End,
}

/// What is spent beyond `most` must not be left to the buyer's word. Whoever was not asked often enough, because nobody was
/// there to ask, has some more time.
fn due(channel: &Channel, voucher: &Voucher, age: u64, asked: u32, most: Option<Amount>) -> Due {
    let exposed = most.is_none_or(|most| channel.spent > most);
    match channel.state {
        ChannelState::Closed | ChannelState::Failed => Due::End,
        _ if age >= SHOWN_WITHIN => {
            if exposed {
                tracing::error!(channel = %channel.id, spent = %channel.spent,
                    "a buyer's voucher lapsed before its channel was paid out");
            }
            Due::End
        }
        // The same final state, over a later block than the one that was shown.
        ChannelState::Closing => match channel.shown_at() < Some(voucher.close_at) {
            true => Due::Close,
            false => Due::Nothing,
        },
        ChannelState::Open if age < CLOSE_AFTER => Due::Renewal,
        ChannelState::Open if exposed && age < CLOSE_AT_LAST && asked < QUESTIONS => Due::Renewal,
        ChannelState::Open if exposed => Due::Close,
        ChannelState::Open => Due::End,
    }
}

fn ask(market: &Market, channel: &Channel, voucher: &Voucher) {
    market.announce(
        topic::voucher_lapsing(&channel.delegate),
        vec![Value::Map(dict([
            ("market_oid", bytes(channel.market.0)),
            ("channel_oid", bytes(channel.id.0)),
            ("seq", int(voucher.seq.0)),
            ("balance", bytes(voucher.balance.to_be_bytes())),
            ("close_at", int(voucher.close_at.0)),
            (
                "renew_before",
                int(voucher.close_at.0.saturating_add(CLOSE_AFTER)),
            ),
        ]))],
    );
}

/// False if a purchase is under way. What else keeps it open is told if `say`.
async fn close(
    market: &Arc<Market>,
    channel: &Channel,
    voucher: &Voucher,
    say: bool,
) -> Result<bool, SubmitError> {
    let was_open = channel.state == ChannelState::Open;
    match settle(market, channel.id).await {
        Ok(Some(closed)) if was_open => {
            let told = closing_dict(&closed, None);
            for topic in topic::channel_closing(&closed.delegate, closed.kind) {
                market.announce(topic, vec![told.clone()]);
            }
            Ok(true)
        }
        Ok(_) => Ok(true),
        Err(SubmitError::Refused(Refusal::PurchasePending { .. })) => Ok(false),
        Err(SubmitError::Refused(refusal)) => {
            if say {
                let lapses = voucher.close_at.0.saturating_add(SHOWN_WITHIN);
                tracing::error!(channel = %channel.id, spent = %channel.spent, lapses, %refusal,
                    "a channel is not closed by its buyer's voucher, which is worth nothing from block `lapses` on");
            }
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

async fn end(market: &Market, voucher: &Voucher) -> Result<(), SubmitError> {
    let lapse = Command::Lapse {
        channel: voucher.channel,
        close_at: voucher.close_at,
    };
    market.store.submit(lapse).await.map(drop)
}

/// Whether a channel that is closing waits for a state over a recent block.
pub(crate) fn waits(channel: &Channel) -> bool {
    let over = |close_at| close_at == OFF_CHAIN_CLOSE_AT;
    channel.state == ChannelState::Closing
        && channel
            .closing
            .as_deref()
            .is_some_and(|closing| over(closing.close_at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;
    use bourse_market::{Address, ChannelKind, Closing, MarketId, Nanos};

    const CHANNEL: ChannelId = ChannelId([2; 16]);

    fn channel(state: ChannelState, spent: u64, closing_at: Option<u64>) -> Channel {
        let spent = Amount::from_tokens(spent);
        let amount = Amount::from_tokens(500);
        let nobody = Address([1; 20]);
        let signature = Signature([0; 65]);
        let balance = amount.checked_sub(spent).unwrap();
        Channel {
            id: CHANNEL,
            kind: ChannelKind::Payment,
            state,
            market: MarketId([3; 16]),
            actor: nobody,
            delegate: nobody,
            marketmaker: nobody,
            recipient: nobody,
            amount,
            open_at: Amount::from_units(1),
            open_signature: signature,
            opened: Nanos(1),
            bound: true,
            seq: Seq(2),
            remaining: balance,
            inflight: Amount::ZERO,
            spent,
            pending: None,
            suspended: None,
            unresolved: 0,
            abandoned: None,
            prepaid: Amount::ZERO,
            quarantined: None,
            closing: closing_at.map(|block| {
                Box::new(Closing {
                    at: Nanos(2),
                    close_at: Amount::from_units(block.into()),
                    seq: Seq(2),
                    balance,
                    returned: Amount::ZERO,
                    is_final: true,
                    delegate_signature: signature,
                    marketmaker_signature: signature,
                })
            }),
        }
    }

    #[test]
    fn what_is_due_of_a_voucher_goes_by_its_age_what_was_spent_and_who_was_asked() {
        let voucher = Voucher {
            channel: CHANNEL,
            seq: Seq(2),
            balance: Amount::from_tokens(460),
            close_at: BlockNumber(5_000),
            signature: Signature([0; 65]),
            at: Nanos(1),
        };
        let most = Some(Amount::from_tokens(10));
        let open = channel(ChannelState::Open, 40, None);
        let little = channel(ChannelState::Open, 10, None);
        let over = |block| channel(ChannelState::Closing, 40, Some(block));
        let closed = channel(ChannelState::Closed, 40, Some(5_000));
        for (channel, age, asked, expected) in [
            (&open, 700, 0, Due::Renewal),
            (&open, 899, 9, Due::Renewal),
            (&open, 900, 3, Due::Renewal),
            (&open, 900, 4, Due::Close),
            // Whether or not anybody could be asked.
            (&open, 1_199, 0, Due::Renewal),
            (&open, 1_200, 0, Due::Close),
            (&open, 1_399, 0, Due::Close),
            (&open, 1_400, 9, Due::End),
            // Less than is taken on trust.
            (&little, 899, 9, Due::Renewal),
            (&little, 900, 0, Due::End),
            // Over the block of states that are exchanged, over an older one, and over a later one.
            (&over(1), 700, 0, Due::Close),
            (&over(4_999), 700, 0, Due::Close),
            (&over(5_000), 1_399, 0, Due::Nothing),
            (&over(1), 1_400, 0, Due::End),
            (&closed, 0, 0, Due::End),
        ] {
            let got = due(channel, &voucher, age, asked, most);
            assert_eq!(
                got, expected,
                "{age} blocks old, asked {asked} times: {channel:?}"
            );
        }
    }
}
