//! What tests ask of a market that follows a chain.

use crate::calls::{call, int_of, map_of, tokens};
use crate::process::run;
use crate::watch::until;
use crate::{Buyer, Chain, Seller, World};
use bourse_chain::{ChannelClose, Signer};
use bourse_market::chain::ChainEvent;
use bourse_market::{Address, Amount, ChannelId, ChannelKind, Seq};
use bourse_wamp::{Session, Value};

/// The channels of [`Chain::traders`].
pub const PAYMENT: ChannelId = ChannelId([0xb2; 16]);
pub const PAYING: ChannelId = ChannelId([0xc2; 16]);

pub async fn status(session: &Session) -> Value {
    call(session, "xbr.marketmaker.get_status", vec![]).await.unwrap()
}

/// What keeps the market from following the chain, if anything does.
pub async fn degraded(session: &Session) -> Option<String> {
    match map_of(&status(session).await).get("degraded") {
        Some(Value::Str(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The channel as the market tells it, none if it knows of none.
pub async fn channel_of(session: &Session, kind: ChannelKind, channel: ChannelId) -> Option<Value> {
    let getter = match kind {
        ChannelKind::Payment => "xbr.marketmaker.get_payment_channel",
        ChannelKind::Paying => "xbr.marketmaker.get_paying_channel",
    };
    call(session, getter, vec![Value::from(channel.0)]).await.ok()
}

pub async fn state_of(session: &Session, kind: ChannelKind, channel: ChannelId) -> Option<u64> {
    let channel = channel_of(session, kind, channel).await?;
    map_of(&channel).get("state").and_then(Value::as_u64)
}

/// Says as the operator whose a delegate is.
pub async fn bind(world: &World, delegate: Address, actor: Address) {
    let data = world.data().to_owned();
    let bound = tokio::task::spawn_blocking(move || {
        run(
            &data,
            &["ledger", "bind", &delegate.to_string(), &actor.to_string()],
        )
    });
    let output = bound.await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

impl Chain {
    /// Waits until the market takes the newest block for the head.
    pub async fn seen(&self, session: &Session) -> u64 {
        let head = self.head().await;
        until("the market sees the newest block", async || {
            int_of(map_of(&status(session).await).get("block").unwrap(), "number") >= head
        })
        .await;
        head
    }

    /// Waits until the market has followed the chain to where it may.
    pub async fn caught_up(&self, session: &Session, depth: u64) {
        until("the ledger follows the chain", async || {
            let status = status(session).await;
            let counts = self.head().await - depth;
            map_of(&status).get("followed").and_then(Value::as_u64) == Some(counts)
        })
        .await;
    }

    /// Buyer and seller with the chain's own channels, opened past the market and bound by its operator.
    pub async fn traders(&self, world: &World, depth: u64) -> (Buyer, Seller) {
        let parties = &self.parties;
        self.open(ChannelKind::Payment, PAYMENT, tokens(500)).await;
        self.open(ChannelKind::Paying, PAYING, tokens(400)).await;
        self.mine(depth).await;
        let session = world.session().await;
        self.caught_up(&session, depth).await;
        bind(world, parties.buyer_delegate.address(), parties.buyer.address()).await;
        bind(world, parties.seller_delegate.address(), parties.seller.address()).await;
        let signers = |actor: &Signer, delegate: &Signer| (actor.clone(), delegate.clone());
        let (actor, delegate) = signers(&parties.buyer, &parties.buyer_delegate);
        let buyer = Buyer::over(world, session, actor, delegate, PAYMENT, tokens(500));
        let seller = Seller::over(
            world,
            world.session().await,
            "seller-1",
            signers(&parties.seller, &parties.seller_delegate),
            (PAYING, tokens(400)),
        )
        .await;
        (buyer, seller)
    }

    /// The final state of a channel over the newest block, once the market has seen that.
    pub async fn final_state(
        &self,
        session: &Session,
        channel: ChannelId,
        (seq, balance): (Seq, Amount),
    ) -> ChannelClose {
        ChannelClose {
            close_at: Amount::from_units(self.seen(session).await.into()),
            market: Self::MARKET,
            channel,
            seq,
            balance,
            is_final: true,
        }
    }

    /// How often the contract says that it paid a channel out.
    pub async fn payouts(&self, channel: ChannelId) -> usize {
        let logged = self.logged(0).await;
        let paid = logged.iter().filter(
            |(_, event)| matches!(event, Ok(ChainEvent::Closed { channel: closed, .. }) if *closed == channel),
        );
        paid.count()
    }
}
