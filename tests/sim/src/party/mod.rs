//! The parties of a market: they sign, they pay, they sell, and they misbehave.
//!
//! What lives here: what a buyer and a seller know, and how each behaves on good days and bad. What never does: a look
//! into the market's ledger; parties know what they were told.

pub mod buyer;
pub mod network;
pub mod seller;

pub use buyer::{Buyer, Order};
pub use network::{MISFORTUNES, Network};
pub use seller::Seller;

use crate::chance::Chance;
use crate::faults::{Clock, Fault, Process};
use crate::hooks::InForce;
use crate::reference::Reference;
use crate::spell;
use bourse_app::simulation::Stage;
use bourse_chain::{ChannelClose, ChannelOpen, Domain, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind, MarketId, Seq};
use bourse_wamp::{Dict, Invocation, Value, WampError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What signatures and channels name.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    pub domain: Domain,
    pub market: MarketId,
    pub marketmaker: Address,
    pub owner: Address,
}

/// Everything of a run that outlives a crash of the market.
pub struct Town {
    pub chance: Arc<Chance>,
    pub process: Arc<Process>,
    pub clock: Arc<Clock>,
    pub names: Names,
    pub in_force: InForce,
    pub buyers: Vec<Buyer>,
    pub sellers: Vec<Seller>,
    pub reference: Mutex<Reference>,
    pub trace: Mutex<Vec<String>>,
}

/// No answer came, and whoever asked does not know why.
#[derive(Debug)]
pub struct Lost;

impl Town {
    /// A line for whoever looks at a failing run.
    pub fn note(&self, line: impl FnOnce() -> String) {
        self.trace.lock().push(line());
    }

    /// Something that must never be.
    pub fn violated(&self, what: String) {
        self.note(|| format!("VIOLATED: {what}"));
        self.reference.lock().violations.push(what);
    }

    /// The network between here and there, some milliseconds wide.
    pub async fn way(&self) {
        tokio::time::sleep(Duration::from_micros(self.chance.within(0..=15_000))).await;
    }

    /// Asks the market. The answer may be lost, and is if the process died meanwhile.
    pub async fn ask(&self, stage: &Stage, invocation: Invocation) -> Result<Result<Value, WampError>, Lost> {
        self.way().await;
        let reply = stage.call(invocation).await;
        self.way().await;
        let lost = self.process.strikes(Fault::Reply) || self.chance.permille(self.process.weather().reply);
        match lost || self.process.is_dead() {
            true => Err(Lost),
            false => Ok(reply.map(|result| result.args.into_iter().next().unwrap_or_default())),
        }
    }

    /// The same over a network that loses nothing; none if the process died.
    pub async fn ask_surely(
        &self,
        stage: &Stage,
        invocation: Invocation,
    ) -> Option<Result<Value, WampError>> {
        self.way().await;
        let reply = stage.call(invocation).await;
        (!self.process.is_dead())
            .then(|| reply.map(|result| result.args.into_iter().next().unwrap_or_default()))
    }

    /// A delegate closes its channel where it believes it stands; or tries to, where it would rather have it stand.
    pub async fn close(
        &self,
        stage: &Stage,
        session: u64,
        channel: ChannelId,
        delegate: &Signer,
        (seq, balance): (Seq, Amount),
    ) {
        let state = ChannelClose {
            close_at: Amount::from_units(1),
            market: self.names.market,
            channel,
            seq,
            balance,
            is_final: true,
        };
        let signature = delegate.sign(&state.digest(&self.names.domain));
        let args = vec![
            Value::from(channel.0),
            Value::from(self.names.domain.chain_id),
            spell::int(1),
            Value::from(self.names.domain.verifying_contract.0),
            spell::amount(balance),
            spell::int(seq.0.into()),
            Value::Bool(true),
            Value::from(signature.0),
        ];
        let closed = self
            .ask(stage, spell::call(session, "close_channel", args, Dict::new()))
            .await;
        self.note(|| format!("channel {channel} at seq {} with {balance}: {closed:?}", seq.0));
        if let Ok(Ok(_)) = closed {
            self.reference.lock().closed(channel, seq, balance);
        }
    }
}

/// A key out of the run's seed.
pub fn key_of(chance: &Chance) -> Signer {
    loop {
        if let Ok(signer) = Signer::from_bytes(&chance.bytes()) {
            return signer;
        }
    }
}

/// The arguments of open_channel, signed by `actor`.
pub fn open_args(
    names: &Names,
    kind: ChannelKind,
    channel: ChannelId,
    actor: &Signer,
    delegate: Address,
    deposit: Amount,
) -> Vec<Value> {
    let message = ChannelOpen {
        kind,
        opened_at: Amount::from_units(1),
        market: names.market,
        channel,
        actor: actor.address(),
        delegate,
        marketmaker: names.marketmaker,
        recipient: match kind {
            ChannelKind::Payment => names.owner,
            ChannelKind::Paying => actor.address(),
        },
        amount: deposit,
    };
    vec![
        Value::from(message.actor.0),
        Value::from(message.market.0),
        Value::from(message.channel.0),
        Value::from(names.domain.chain_id),
        spell::int(1),
        Value::from(names.domain.verifying_contract.0),
        Value::from(kind as u8),
        Value::from(message.delegate.0),
        Value::from(message.marketmaker.0),
        Value::from(message.recipient.0),
        spell::amount(deposit),
        Value::from(actor.sign(&message.digest(&names.domain)).0),
    ]
}
