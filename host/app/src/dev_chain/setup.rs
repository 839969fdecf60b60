//! Making a market out of bare contracts, each step sent by the party whose it is.

use super::parties::Parties;
use anyhow::Context;
use bourse_chain::{Call, Contracts, DevNode, NewMarket, Sender, Signer};
use bourse_market::registry::ActorType;
use bourse_market::{Amount, CatalogId, MarketId};

/// A market trades from this block on: the constant 1 that clients sign off-chain states with is then too old for the
/// contract, by 20 blocks more than the oldest it takes (1440 and the first).
pub const FIRST_TRADE_BLOCK: u64 = 1441 + 20;
/// The seller's catalog.
pub const CATALOG: CatalogId = CatalogId([0xCA; 16]);
/// What buyer and market maker get, and let XBRChannel take.
const TOKENS: u64 = 10_000;
/// The market's part of what is earned is a hundredth.
const FEE_PART: u64 = 100;
/// Coins of the market maker for gas, in wei: a hundred.
const COINS: u128 = 100 * 1_000_000_000_000_000_000;

/// Those of the set-up that send something.
#[derive(Debug, Clone)]
pub struct Members {
    /// Has all tokens.
    pub organization: Sender,
    /// Owns the market.
    pub owner: Sender,
    /// Its market maker.
    pub marketmaker: Sender,
    /// Buys.
    pub buyer: Sender,
    /// Sells.
    pub seller: Sender,
}

impl Members {
    /// The parties, with this market maker.
    ///
    /// # Errors
    ///
    /// If the node does not answer.
    pub async fn new(node: &DevNode, parties: &Parties, marketmaker: &Signer) -> anyhow::Result<Self> {
        let sender = |signer: &Signer| Sender::new(node.node().clone(), signer.clone());
        Ok(Self {
            organization: sender(&parties.organization).await?,
            owner: sender(&parties.owner).await?,
            marketmaker: sender(marketmaker).await?,
            buyer: sender(&parties.buyer).await?,
            seller: sender(&parties.seller).await?,
        })
    }
}

/// Sets up a market that can trade: all of [`set_up_members`], then a catalog, tokens for buyer and market maker, what they
/// let XBRChannel take, and blocks up to [`FIRST_TRADE_BLOCK`].
///
/// # Errors
///
/// The first step that fails. Those before it stay done: the chain is to be thrown away.
pub async fn set_up(
    node: &DevNode,
    contracts: &Contracts,
    members: &Members,
    market: MarketId,
) -> anyhow::Result<()> {
    set_up_members(node, contracts, members, market).await?;
    let catalog = contracts.create_catalog(CATALOG, String::new(), String::new());
    send(&members.seller, &catalog, "the seller").await?;
    let tokens = Amount::from_tokens(TOKENS);
    for (party, who) in [
        (&members.buyer, "the buyer"),
        (&members.marketmaker, "the market maker"),
    ] {
        let transfer = contracts.transfer(party.address(), tokens);
        send(&members.organization, &transfer, "the organisation").await?;
        send(party, &contracts.approve_channels(tokens), who).await?;
    }
    let head = node.node().latest().await?.number.to::<u64>();
    node.mine(FIRST_TRADE_BLOCK.saturating_sub(head)).await?;
    Ok(())
}

/// Lets owner, buyer and seller register, the owner open a market, and buyer and seller join it. The market maker gets
/// coins for gas.
///
/// # Errors
///
/// As [`set_up`].
pub async fn set_up_members(
    node: &DevNode,
    contracts: &Contracts,
    members: &Members,
    market: MarketId,
) -> anyhow::Result<()> {
    let marketmaker = members.marketmaker.address();
    node.set_balance(marketmaker, COINS).await?;
    let eula = contracts.eula(node.node()).await?;
    for (party, who) in [
        (&members.owner, "the owner"),
        (&members.buyer, "the buyer"),
        (&members.seller, "the seller"),
    ] {
        let register = contracts.register_member(eula.clone(), String::new());
        send(party, &register, who).await?;
    }
    let supply = contracts.token_supply(node.node()).await?;
    let create = contracts.create_market(NewMarket {
        id: market,
        coin: contracts.token,
        maker: marketmaker,
        fee: part(supply, FEE_PART),
        terms: String::new(),
        meta: String::new(),
    });
    send(&members.owner, &create, "the owner").await?;
    let buys = contracts.join_market(market, ActorType::Consumer, String::new());
    send(&members.buyer, &buys, "the buyer").await?;
    let sells = contracts.join_market(market, ActorType::Provider, String::new());
    send(&members.seller, &sells, "the seller").await
}

fn part(of: Amount, part: u64) -> Amount {
    Amount::from_u256(of.as_u256() / ruint::aliases::U256::from(part))
}

async fn send(sender: &Sender, call: &Call, who: &str) -> anyhow::Result<()> {
    sender
        .send(call)
        .await
        .with_context(|| format!("{who} could not be set up"))?;
    Ok(())
}
