//! Calls of the contracts that change something, and the few questions that setting a market up needs.

use super::{DeploymentError, abi, ask};
use crate::address::{from_alloy, to_alloy};
use crate::node::Node;
use crate::settlement::Contracts;
use crate::{ChannelClose, ChannelOpen, Consent};
use alloy_primitives::{Bytes, FixedBytes, U256};
use alloy_sol_types::SolCall;
use bourse_market::outbox::{FinalState, Wanted};
use bourse_market::registry::ActorType;
use bourse_market::{Address, Amount, CatalogId, MarketId, Signature};

/// A function of a contract with its arguments, to be sent by whoever has the right to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The function's signature, for messages.
    pub function: &'static str,
    /// The function and its arguments (ABI).
    pub input: Vec<u8>,
}

impl Call {
    fn new<C: SolCall>(to: Address, call: &C) -> Self {
        Self {
            to,
            function: C::SIGNATURE,
            input: call.abi_encode(),
        }
    }
}

/// A market to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMarket {
    /// Its identifier.
    pub id: MarketId,
    /// The token it trades in; the network must accept it as means of payment.
    pub coin: Address,
    /// Its market maker, who may be of no other market.
    pub maker: Address,
    /// Its part of what is earned, out of the coin's supply.
    pub fee: Amount,
    /// The hash of its terms, an IPFS id; may be empty.
    pub terms: String,
    /// The hash of what else there is to say about it; may be empty.
    pub meta: String,
}

impl Contracts {
    /// Tokens of the sender go to somebody else.
    pub fn transfer(&self, to: Address, amount: Amount) -> Call {
        let to = to_alloy(to);
        let amount = number(amount);
        Call::new(self.token, &abi::token::transferCall { to, amount })
    }

    /// XBRChannel may take this many tokens of the sender, in place of what it was allowed before.
    pub fn approve_channels(&self, amount: Amount) -> Call {
        let spender = to_alloy(self.channel);
        let amount = number(amount);
        Call::new(self.token, &abi::token::approveCall { spender, amount })
    }

    /// The sender joins the network, accepting the licence of that hash: what [`Contracts::eula`] says.
    pub fn register_member(&self, eula: String, profile: String) -> Call {
        Call::new(self.network, &abi::network::registerMemberCall { eula, profile })
    }

    /// The sender leaves the network for good: nobody can register twice.
    pub fn unregister_member(&self) -> Call {
        Call::new(self.network, &abi::network::unregisterMemberCall {})
    }

    /// The sender opens a market of its own, which asks no deposit of those who join.
    pub fn create_market(&self, market: NewMarket) -> Call {
        let call = abi::market::createMarketCall {
            marketId: FixedBytes::new(market.id.0),
            coin: to_alloy(market.coin),
            terms: market.terms,
            meta: market.meta,
            maker: to_alloy(market.maker),
            providerSecurity: U256::ZERO,
            consumerSecurity: U256::ZERO,
            marketFee: number(market.fee),
        };
        Call::new(self.market, &call)
    }

    /// The sender joins a market.
    pub fn join_market(&self, market: MarketId, kind: ActorType, meta: String) -> Call {
        let call = abi::market::joinMarketCall {
            marketId: FixedBytes::new(market.0),
            actorType: kind as u8,
            meta,
        };
        Call::new(self.market, &call)
    }

    /// The sender leaves a market.
    pub fn leave_market(&self, market: MarketId, kind: ActorType) -> Call {
        let call = abi::market::leaveMarketCall {
            marketId: FixedBytes::new(market.0),
            actorType: kind as u8,
        };
        Call::new(self.market, &call)
    }

    /// The sender makes a catalog of APIs.
    pub fn create_catalog(&self, catalog: CatalogId, terms: String, meta: String) -> Call {
        let call = abi::catalog::createCatalogCall {
            catalogId: FixedBytes::new(catalog.0),
            terms,
            meta,
        };
        Call::new(self.catalog, &call)
    }

    /// The sender consents, or takes a consent back. Of `consent`, member and block are left out: the contract takes those
    /// of the transaction.
    pub fn set_consent(&self, consent: &Consent) -> Call {
        let call = abi::market::setConsentCall {
            marketId: FixedBytes::new(consent.market.0),
            delegate: to_alloy(consent.delegate),
            delegateType: consent.delegate_type,
            apiCatalog: FixedBytes::new(consent.catalog.0),
            consent: consent.consent,
            servicePrefix: consent.service_prefix.clone(),
        };
        Call::new(self.market, &call)
    }

    /// Anybody hands in what a member consents to, with its signature over [`Consent::contract_digest`].
    pub fn set_consent_for(&self, consent: &Consent, signature: &Signature) -> Call {
        let call = abi::market::setConsentForCall {
            member: to_alloy(consent.member),
            updated: number(consent.updated),
            marketId: FixedBytes::new(consent.market.0),
            delegate: to_alloy(consent.delegate),
            delegateType: consent.delegate_type,
            apiCatalog: FixedBytes::new(consent.catalog.0),
            consent: consent.consent,
            servicePrefix: consent.service_prefix.clone(),
            signature: bytes(signature),
        };
        Call::new(self.market, &call)
    }

    /// A channel is opened with its actor's signature. Who may send it: the market maker; for a payment channel its actor
    /// too, for a paying one the market's owner.
    pub fn open_channel(&self, open: &ChannelOpen, signature: &Signature) -> Call {
        let call = abi::channel::openChannelCall {
            ctype: open.kind as u8,
            openedAt: number(open.opened_at),
            marketId: FixedBytes::new(open.market.0),
            channelId: FixedBytes::new(open.channel.0),
            actor: to_alloy(open.actor),
            delegate: to_alloy(open.delegate),
            marketmaker: to_alloy(open.marketmaker),
            recipient: to_alloy(open.recipient),
            amount: number(open.amount),
            signature: bytes(signature),
        };
        Call::new(self.channel, &call)
    }

    /// What a transaction of the market maker does.
    pub fn wanted(&self, wanted: &Wanted) -> Call {
        let (terms, opened_at) = match wanted {
            Wanted::Approve { amount } => return self.approve_channels(*amount),
            Wanted::Close(state) => return self.show(state),
            Wanted::Consent(said) => return self.set_consent_for(&Consent::from(&**said), &said.signature),
            Wanted::Open { terms, opened_at, .. } => (terms, *opened_at),
        };
        let open = ChannelOpen {
            kind: terms.kind,
            opened_at,
            market: terms.market,
            channel: terms.channel,
            actor: terms.actor,
            delegate: terms.delegate,
            marketmaker: terms.marketmaker,
            recipient: terms.recipient,
            amount: terms.amount,
        };
        self.open_channel(&open, &terms.signature)
    }

    fn show(&self, state: &FinalState) -> Call {
        let close = ChannelClose {
            close_at: state.close_at,
            market: state.market,
            channel: state.channel,
            seq: state.seq,
            balance: state.balance,
            is_final: true,
        };
        self.close_channel(&close, &state.delegate_signature, &state.marketmaker_signature)
    }

    /// Anybody shows a state of a channel, signed by its delegate and by the market maker.
    pub fn close_channel(
        &self,
        close: &ChannelClose,
        delegate_signature: &Signature,
        marketmaker_signature: &Signature,
    ) -> Call {
        let call = abi::channel::closeChannelCall {
            channelId: FixedBytes::new(close.channel.0),
            closeAt: number(close.close_at),
            closingChannelSeq: close.seq.0,
            balance: number(close.balance),
            isFinal: close.is_final,
            delegateSignature: bytes(delegate_signature),
            marketmakerSignature: bytes(marketmaker_signature),
        };
        Call::new(self.channel, &call)
    }

    /// The hash of the licence that members must accept.
    ///
    /// # Errors
    ///
    /// [`DeploymentError`], if the contract gives no answer; so it is with every question here.
    pub async fn eula(&self, node: &Node) -> Result<String, DeploymentError> {
        ask(node, "XBRNetwork", self.network, abi::network::eulaCall {}).await
    }

    /// Who receives what the network takes.
    ///
    /// # Errors
    ///
    /// As [`Contracts::eula`].
    pub async fn organization(&self, node: &Node) -> Result<Address, DeploymentError> {
        let call = abi::network::organizationCall {};
        Ok(from_alloy(ask(node, "XBRNetwork", self.network, call).await?))
    }

    /// Units of the network's token that exist.
    ///
    /// # Errors
    ///
    /// As [`Contracts::eula`].
    pub async fn token_supply(&self, node: &Node) -> Result<Amount, DeploymentError> {
        let units = ask(node, "XBRToken", self.token, abi::token::totalSupplyCall {}).await?;
        Ok(amount(units))
    }

    /// Tokens that somebody holds.
    ///
    /// # Errors
    ///
    /// As [`Contracts::eula`].
    pub async fn tokens_of(&self, node: &Node, owner: Address) -> Result<Amount, DeploymentError> {
        let call = abi::token::balanceOfCall {
            owner: to_alloy(owner),
        };
        Ok(amount(ask(node, "XBRToken", self.token, call).await?))
    }

    /// Tokens of `owner` that XBRChannel may take.
    ///
    /// # Errors
    ///
    /// As [`Contracts::eula`].
    pub async fn approved_to_channels(&self, node: &Node, owner: Address) -> Result<Amount, DeploymentError> {
        let call = abi::token::allowanceCall {
            owner: to_alloy(owner),
            spender: to_alloy(self.channel),
        };
        Ok(amount(ask(node, "XBRToken", self.token, call).await?))
    }
}

fn number(amount: Amount) -> U256 {
    U256::from_limbs(*amount.limbs())
}

fn amount(number: U256) -> Amount {
    Amount::from_limbs(number.into_limbs())
}

fn bytes(signature: &Signature) -> Bytes {
    Bytes::copy_from_slice(&signature.0)
}
