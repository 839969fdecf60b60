//! Closing channels as a delegate does, or as no honest one would.

use crate::calls::call;
use crate::world::World;
use bourse_chain::{ChannelClose, Domain, Signer};
use bourse_market::{Amount, ChannelId, MarketId, OFF_CHAIN_CLOSE_AT, Seq};
use bourse_wamp::{Session, Value, WampError};

/// What closing a channel needs of a world; a task of its own may take it along.
#[derive(Debug, Clone, Copy)]
pub struct Closer {
    domain: Domain,
    market: MarketId,
}

impl Closer {
    pub fn of(world: &World) -> Self {
        Self {
            domain: world.domain(),
            market: world.market(),
        }
    }

    /// Closes a channel at a pair that `signer` signs.
    pub async fn close(
        &self,
        session: &Session,
        channel: ChannelId,
        pair: (Seq, Amount),
        signer: &Signer,
    ) -> Result<Value, WampError> {
        let message = message(self.market, channel, pair);
        let args = args(&self.domain, &message, signer);
        call(session, "xbr.marketmaker.close_channel", args).await
    }
}

/// A final state of a channel, signed at block 1 as the real clients do.
pub fn close_message(world: &World, channel: ChannelId, pair: (Seq, Amount)) -> ChannelClose {
    message(world.market(), channel, pair)
}

fn message(market: MarketId, channel: ChannelId, (seq, balance): (Seq, Amount)) -> ChannelClose {
    ChannelClose {
        close_at: OFF_CHAIN_CLOSE_AT,
        market,
        channel,
        seq,
        balance,
        is_final: true,
    }
}

/// The arguments of close_channel for a state, signed by `signer`.
pub fn close_args(world: &World, message: &ChannelClose, signer: &Signer) -> Vec<Value> {
    args(&world.domain(), message, signer)
}

fn args(domain: &Domain, message: &ChannelClose, signer: &Signer) -> Vec<Value> {
    let [close_at, ..] = *message.close_at.limbs();
    vec![
        Value::from(message.channel.0),
        Value::from(domain.chain_id),
        Value::from(close_at),
        Value::from(domain.verifying_contract.0),
        Value::from(message.balance.to_be_bytes()),
        Value::from(message.seq.0),
        Value::Bool(message.is_final),
        Value::from(signer.sign(&message.digest(domain)).0),
    ]
}

/// Closes a channel at a pair that `signer` signs.
pub async fn close(
    world: &World,
    session: &Session,
    channel: ChannelId,
    pair: (Seq, Amount),
    signer: &Signer,
) -> Result<Value, WampError> {
    Closer::of(world).close(session, channel, pair, signer).await
}
