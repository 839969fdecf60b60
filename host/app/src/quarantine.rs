//! Letting channels out of quarantine, on the operator's word, while the market runs.
//!
//! A ledger that was restored from a backup knows no state that was signed since. Each of its channels is shut until its
//! delegate's latest signature is shown, or the operator accepts that nobody shows one. The rules are the core's.

use crate::market::Market;
use bourse_market::{
    Amount, ChannelId, ChannelKind, Command, Outcome, ReconcileRequest, Reconciliation, Refusal, Seq, Shown,
    ShownState, Signature, View,
};
use bourse_store::SubmitError;
use serde::{Deserialize, Serialize};

/// Channels that are let out between two looks at the ledger.
const PAGE: usize = 256;

/// A command about channels in quarantine, as it comes over the control socket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(crate) enum Request {
    /// A delegate showed its latest state.
    Reconcile(Box<Claim>),
    /// Nobody shows a state, and the operator accepts it.
    AcceptLoss {
        /// The channel.
        channel: ChannelId,
    },
    /// The same of every channel that is left.
    AcceptAll,
}

/// The state that a delegate showed, and what the operator says to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// The channel.
    pub(crate) channel: ChannelId,
    /// The position.
    pub(crate) seq: Seq,
    /// What is left there.
    pub(crate) balance: Amount,
    /// The delegate's signature over both.
    pub(crate) signature: Signature,
    /// The market maker's over the same.
    pub(crate) countersignature: Option<Signature>,
    /// The operator accepts that the sales up to there are not on record.
    pub(crate) accept_loss: bool,
    /// What the operator knows to have been paid for no purchase.
    pub(crate) prepaid: Option<Amount>,
}

/// What came of it, for people.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) lines: Vec<String>,
}

/// Carries a command out. Blocks.
///
/// # Errors
///
/// Why not, in words; nothing has changed then, or, of several channels, not the one that is named.
pub(crate) fn carry_out(market: &Market, request: Request) -> Result<Reply, String> {
    // The chain may say that a channel has no deposit any more.
    if market.network.contracts.is_some() && !market.course.progress().caught_up {
        return Err(
            "the ledger has not caught up with the chain yet: try again when `get_status` says `caught_up`"
                .to_owned(),
        );
    }
    match request {
        Request::Reconcile(claim) => {
            let channel = claim.channel;
            let state = ShownState {
                seq: claim.seq,
                balance: claim.balance,
                signature: claim.signature,
                countersignature: claim.countersignature,
            };
            let request = ReconcileRequest {
                channel,
                shown: Some(shown(market, channel, state)?),
                accept_loss: claim.accept_loss,
                prepaid: claim.prepaid,
                at: market.now(),
            };
            let mut lines = tell(&release(market, request)?);
            lines.extend(prepaid_now(market, channel)?);
            Ok(Reply { lines })
        }
        Request::AcceptLoss { channel } => {
            let done = release(market, unseen(market, channel))?;
            Ok(Reply { lines: tell(&done) })
        }
        Request::AcceptAll => accept_all(market),
    }
}

/// Whom a state's signatures recover to, as both sides sign states off the chain.
fn shown(market: &Market, channel: ChannelId, state: ShownState) -> Result<Shown, String> {
    let digest = market.state_digest(channel, state.seq, state.balance);
    let recover =
        |signature: &Signature| bourse_chain::recover(&digest, signature).map_err(|error| error.to_string());
    Ok(Shown {
        signer: recover(&state.signature)?,
        countersigner: state.countersignature.as_ref().map(recover).transpose()?,
        state,
    })
}

/// A channel whose loss is accepted.
fn unseen(market: &Market, channel: ChannelId) -> ReconcileRequest {
    ReconcileRequest {
        channel,
        shown: None,
        accept_loss: true,
        prepaid: None,
        at: market.now(),
    }
}

fn release(market: &Market, request: ReconcileRequest) -> Result<Reconciliation, String> {
    let prepaid = request.prepaid;
    let countersigned = request.shown.is_some_and(|shown| shown.countersigner.is_some());
    let submitted = market
        .store
        .submit_blocking(Command::Reconcile(Box::new(request)));
    match submitted {
        Ok(Outcome::Reconciled(done)) => {
            tracing::warn!(
                channel = %done.channel, from = %done.seq, positions = done.positions(), amount = %done.amount(),
                shown = done.shown.is_some(), prepaid = prepaid.map(tracing::field::display), "a channel is out of quarantine"
            );
            Ok(*done)
        }
        Ok(other) => Err(format!("the ledger gave an unexpected answer: {other:?}")),
        Err(SubmitError::Refused(refusal @ Refusal::RecordsMissing { .. })) => {
            let seller = countersigned.then_some(
                "; its seller counts as having earned it: what of it you know to be paid for no purchase, name with --prepaid",
            );
            Err(format!(
                "{refusal} with --accept-loss. What the channel moved by is signed for and stays paid; what is lost are its \
                 receipts{}",
                seller.unwrap_or_default()
            ))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What its seller is to make good for, if anything.
fn prepaid_now(market: &Market, channel: ChannelId) -> Result<Option<String>, String> {
    let read = market.store.read();
    let channel = read
        .and_then(|ledger| ledger.channel(&channel))
        .map_err(|error| error.to_string())?;
    let prepaid = channel.map_or(Amount::ZERO, |channel| channel.prepaid);
    Ok((!prepaid.is_zero()).then(|| {
        format!("{prepaid} are prepaid: its next sales are paid out of that, and closing gives the rest back")
    }))
}

/// Where the channel stands now, and who lost what.
fn tell(done: &Reconciliation) -> Vec<String> {
    let channel = done.channel;
    let (seq, left) = match &done.shown {
        Some(shown) => (shown.seq, shown.balance),
        None => (done.seq, done.remaining),
    };
    let (positions, amount) = (done.positions(), done.amount());
    let lost = match (&done.shown, done.kind) {
        (None, ChannelKind::Payment) => {
            "lost: what its buyer spent since the backup, it may spend again; the market maker bears it".to_owned()
        }
        (None, ChannelKind::Paying) => {
            "lost: what its seller sold since the backup is not on record; it stays unpaid, or holds the market maker to \
             a later state"
                .to_owned()
        }
        (Some(_), _) if positions == 0 => "nothing is lost".to_owned(),
        (Some(_), ChannelKind::Payment) => format!(
            "lost: the records of {positions} positions; their buyer paid {amount} and can show no receipt of ours"
        ),
        (Some(_), ChannelKind::Paying) => format!(
            "lost: the records of {positions} positions; their seller was paid {amount}, which the market maker \
             bears unless its buyers reconcile as well"
        ),
    };
    vec![
        format!("channel {channel} goes on from seq {seq} with {left} left"),
        lost,
    ]
}

/// Lets every channel out. One that cannot be stops it: those before it are out.
fn accept_all(market: &Market) -> Result<Reply, String> {
    let mut released = 0u64;
    loop {
        let read = market.store.read();
        let page = read
            .and_then(|ledger| ledger.quarantined_channels(None, PAGE))
            .map_err(|error| error.to_string())?;
        if page.is_empty() {
            let lost =
                "lost: whatever they moved by since the backup; see `bourse ledger accept-loss --help`";
            let mut lines = vec![format!(
                "{released} channels go on from where the ledger has them"
            )];
            lines.extend((released > 0).then(|| lost.to_owned()));
            return Ok(Reply { lines });
        }
        for channel in page {
            release(market, unseen(market, channel.id))
                .map_err(|error| format!("{error}; {released} channels were let out before"))?;
            released = released.saturating_add(1);
        }
    }
}
