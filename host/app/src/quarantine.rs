//! Letting channels out of quarantine, on the operator's word, while the market runs.
//!
//! A ledger that was restored from a backup knows no state that was signed since. Each of its channels is shut until its
//! delegate's latest signature is shown, or the operator accepts that nobody shows one. The rules are the core's.

use crate::market::Market;
use bourse_market::{
    Amount, ChannelId, ChannelKind, Command, Outcome, ReconcileRequest, Reconciliation, Refusal, Seq, Shown,
    ShownState, Signature,
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
    Reconcile {
        /// The channel.
        channel: ChannelId,
        /// The position.
        seq: Seq,
        /// What is left there.
        balance: Amount,
        /// The delegate's signature over both.
        signature: Signature,
        /// The market maker's over the same.
        countersignature: Option<Signature>,
        /// The operator accepts that the sales up to there are not on record.
        accept_loss: bool,
    },
    /// Nobody shows a state, and the operator accepts it.
    AcceptLoss {
        /// The channel.
        channel: ChannelId,
    },
    /// The same of every channel that is left.
    AcceptAll,
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
    match request {
        Request::Reconcile {
            channel,
            seq,
            balance,
            signature,
            countersignature,
            accept_loss,
        } => {
            let state = ShownState {
                seq,
                balance,
                signature,
                countersignature,
            };
            let done = release(market, channel, Some(shown(market, channel, state)?), accept_loss)?;
            Ok(Reply { lines: tell(&done) })
        }
        Request::AcceptLoss { channel } => {
            let done = release(market, channel, None, true)?;
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

fn release(
    market: &Market,
    channel: ChannelId,
    shown: Option<Shown>,
    accept_loss: bool,
) -> Result<Reconciliation, String> {
    let request = ReconcileRequest {
        channel,
        shown,
        accept_loss,
        at: market.now(),
    };
    let submitted = market
        .store
        .submit_blocking(Command::Reconcile(Box::new(request)));
    match submitted {
        Ok(Outcome::Reconciled(done)) => {
            tracing::warn!(
                channel = %done.channel, from = %done.seq, positions = done.positions(), amount = %done.amount(),
                shown = done.shown.is_some(), "a channel is out of quarantine"
            );
            Ok(*done)
        }
        Ok(other) => Err(format!("the ledger gave an unexpected answer: {other:?}")),
        Err(SubmitError::Refused(refusal @ Refusal::RecordsMissing { .. })) => Err(format!(
            "{refusal} with --accept-loss. What the channel moved by is signed for and stays paid; what is lost are its \
             receipts"
        )),
        Err(error) => Err(error.to_string()),
    }
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
            "lost: the records of {positions} positions; their seller is paid {amount}, which the market maker bears \
             unless its buyers reconcile as well"
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
            release(market, channel.id, None, true)
                .map_err(|error| format!("{error}; {released} channels were let out before"))?;
            released = released.saturating_add(1);
        }
    }
}
