//! What comes before trading: test tokens, channels. For development and for `bourse dev`.
//!
//! Test tokens exist in local mode alone. Opening a channel works the same everywhere: an actor signs for it.

use crate::client::call;
use crate::reply::Reply;
use crate::{Balance, DelegateError, MarketClient};
use bourse_chain::{ChannelClose, ChannelOpen, Signer};
use bourse_market::{Address, Amount, ChannelId, ChannelKind};
use bourse_wamp::{Dict, Session, Value};

/// The block that openings and closings are signed at: the newest. Without a chain there is one, number 1.
async fn newest_block(client: &MarketClient) -> Result<u64, DelegateError> {
    let status = client.call("status", Vec::new(), Dict::new()).await?;
    Reply::new("xbr.marketmaker.status", status)?.u64("current_block_no")
}

/// Asks the faucet for test tokens.
///
/// # Errors
///
/// Any error of a call: the market is not in local mode, or the amount is above the faucet's limit.
pub async fn fund(session: &Session, address: Address, amount: Amount) -> Result<(), DelegateError> {
    let args = vec![address.0.into(), amount.to_be_bytes().into()];
    call(session, "bourse.dev.fund", args, Dict::new())
        .await
        .map(drop)
}

/// A channel to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelTerms {
    /// From a buyer to the market, or from the market to a seller.
    pub kind: ChannelKind,
    /// Whose signature will move it.
    pub delegate: Address,
    /// The deposit: the actor's for a payment channel, the market maker's for a paying one.
    pub amount: Amount,
}

/// Opens a channel under a fresh id. The actor signs; money is taken from its account, or the market maker's.
///
/// # Errors
///
/// Any error of a call, such as an account that does not cover the deposit.
pub async fn open_channel(
    client: &MarketClient,
    actor: &Signer,
    terms: ChannelTerms,
) -> Result<ChannelId, DelegateError> {
    let (facts, block) = (client.facts(), newest_block(client).await?);
    let message = ChannelOpen {
        kind: terms.kind,
        opened_at: Amount::from_units(block.into()),
        market: facts.market,
        channel: ChannelId(rand::random()),
        actor: actor.address(),
        delegate: terms.delegate,
        marketmaker: facts.marketmaker,
        recipient: match terms.kind {
            ChannelKind::Payment => facts.owner,
            ChannelKind::Paying => actor.address(),
        },
        amount: terms.amount,
    };
    let args = vec![
        message.actor.0.into(),
        message.market.0.into(),
        message.channel.0.into(),
        facts.domain.chain_id.into(),
        block.into(),
        facts.domain.verifying_contract.0.into(),
        (message.kind as u8).into(),
        message.delegate.0.into(),
        message.marketmaker.0.into(),
        message.recipient.0.into(),
        message.amount.to_be_bytes().into(),
        actor.sign(&message.digest(&facts.domain)).0.into(),
        Value::Null,
    ];
    let result = client.call("open_channel", args, Dict::new()).await?;
    Reply::new("xbr.marketmaker.open_channel", result)?.bytes("channel_oid")
}

/// Closes a channel where the market says it stands. The delegate signs that nothing will follow: what is left goes
/// back, what was earned to its recipient, with what is owed for keys that were left, as far as the channel has it. Whoever
/// keeps books compares them with [`MarketClient::balance`] first. Yields the state that was signed.
///
/// # Errors
///
/// Any error of a call, such as a purchase that moved the channel in between.
pub async fn close_channel(
    client: &MarketClient,
    delegate: &Signer,
    kind: ChannelKind,
    channel: ChannelId,
) -> Result<Balance, DelegateError> {
    let (facts, block) = (client.facts(), newest_block(client).await?);
    let (stands, remaining) = client.standing(kind, channel).await?;
    let last = Balance { remaining, ..stands };
    let message = ChannelClose {
        close_at: Amount::from_units(block.into()),
        market: facts.market,
        channel,
        seq: last.seq,
        balance: last.remaining,
        is_final: true,
    };
    let args = vec![
        channel.0.into(),
        facts.domain.chain_id.into(),
        block.into(),
        facts.domain.verifying_contract.0.into(),
        message.balance.to_be_bytes().into(),
        message.seq.0.into(),
        Value::Bool(true),
        delegate.sign(&message.digest(&facts.domain)).0.into(),
    ];
    client.call("close_channel", args, Dict::new()).await?;
    Ok(last)
}
