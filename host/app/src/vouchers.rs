//! Settlement vouchers: looked at when they come, asked for again before they lapse, and used where they are not renewed.

use crate::events::topic;
use crate::market::Market;
use crate::wire::{bytes, closing_dict, dict, int, of_settlement};
use bourse_chain::{ChannelClose, PRESIGNED_BLOCKS};
use bourse_market::voucher::{SignedVoucher, Voucher};
use bourse_market::{
    Amount, BlockNumber, Channel, ChannelId, ChannelState, CloseRequest, Command, OFF_CHAIN_CLOSE_AT,
    Outcome, Refusal, Seq, Signature, View,
};
use bourse_store::SubmitError;
use bourse_wamp::{Value, WampError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The age at which another is asked for, in blocks from the one that it names.
const RENEW_AFTER: u64 = 700;
/// The age at which its channel is closed by it, while the contract takes it for long enough.
const CLOSE_AFTER: u64 = 900;
/// The age from which on the contract may not take it in time.
const LAPSED_AFTER: u64 = PRESIGNED_BLOCKS - 40;
/// Vouchers that are looked at in one step.
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

/// Looks after vouchers until `stop`; nothing, where there is no chain.
pub(crate) fn start(market: &Arc<Market>, poll: Duration, stop: CancellationToken) -> Option<JoinHandle<()>> {
    market.outbox.as_ref()?;
    let market = Arc::downgrade(market);
    Some(tokio::spawn(async move {
        let mut asked = BTreeSet::new();
        let mut seen = None;
        while stop.run_until_cancelled(tokio::time::sleep(poll)).await.is_some() {
            let Some(market) = market.upgrade() else { return };
            let head = market.settlement.head_block().number;
            if seen == Some(head) {
                continue;
            }
            match look(&market, head, &mut asked).await {
                Ok(()) => seen = Some(head),
                Err(error) => tracing::warn!(%error, "vouchers cannot be looked after for now"),
            }
        }
    }))
}

/// One look at the vouchers that lapse first. Whose renewal was asked for is in `asked`.
async fn look(
    market: &Arc<Market>,
    head: u64,
    asked: &mut BTreeSet<(BlockNumber, ChannelId)>,
) -> Result<(), SubmitError> {
    let until = BlockNumber(head.saturating_sub(RENEW_AFTER));
    let lapsing = market
        .store
        .read()
        .and_then(|ledger| {
            let vouchers = ledger.lapsing_vouchers(until, MOST)?;
            let with_channel = |voucher: Voucher| Ok((ledger.channel(&voucher.channel)?, voucher));
            vouchers
                .into_iter()
                .map(with_channel)
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| SubmitError::Storage(error.to_string()))?;
    let there: BTreeSet<_> = lapsing
        .iter()
        .map(|(_, voucher)| (voucher.close_at, voucher.channel))
        .collect();
    asked.retain(|key| there.contains(key));
    for (channel, voucher) in lapsing {
        let age = head.saturating_sub(voucher.close_at.0);
        match channel.map(|channel| (due(&channel, &voucher, age, market.terms.max_unsettled), channel)) {
            Some((Due::Renewal, channel)) => {
                if asked.insert((voucher.close_at, voucher.channel)) {
                    ask(market, &channel, &voucher);
                }
            }
            Some((Due::Close, channel)) => close(market, &channel).await?,
            Some((Due::Nothing, _)) => {}
            Some((Due::End, _)) | None => end(market, &voucher).await?,
        }
    }
    Ok(())
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

/// What is spent beyond `most` must not be left to the buyer's word.
fn due(channel: &Channel, voucher: &Voucher, age: u64, most: Option<Amount>) -> Due {
    let exposed = most.is_none_or(|most| channel.spent > most);
    match channel.state {
        ChannelState::Closed | ChannelState::Failed => Due::End,
        _ if age >= LAPSED_AFTER => {
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
        ChannelState::Open if exposed => Due::Close,
        ChannelState::Open => Due::End,
    }
}

fn ask(market: &Market, channel: &Channel, voucher: &Voucher) {
    market.announcer.announce(
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

async fn close(market: &Arc<Market>, channel: &Channel) -> Result<(), SubmitError> {
    let was_open = channel.state == ChannelState::Open;
    match settle(market, channel.id).await {
        Ok(Some(closed)) if was_open => {
            let told = closing_dict(&closed, None);
            for topic in topic::channel_closing(&closed.delegate, closed.kind) {
                market.announcer.announce(topic, vec![told.clone()]);
            }
            Ok(())
        }
        Ok(_) => Ok(()),
        // A purchase is under way, or it moved: the next look sees what is due then.
        Err(SubmitError::Refused(Refusal::PurchasePending { .. })) => Ok(()),
        Err(SubmitError::Refused(refusal)) => {
            tracing::warn!(channel = %channel.id, %refusal, "a channel is not closed by its buyer's voucher");
            Ok(())
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
