//! How money enters channels: the face that local mode and a real chain share.

use crate::{ChannelClose, ChannelOpen, Consent, Domain, SignatureError, keccak256, recover};
use bourse_market::registry::{ActorType, Attributes, ConsentKey, ConsentRequest};
use bourse_market::{
    Address, Amount, BlockNumber, CatalogId, ChannelId, ChannelKind, Command, ConsentId, MarketId, Nanos,
    OpenRequest, Seq, Signature,
};
use serde::{Deserialize, Serialize};

/// A request to open a channel, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenChannel {
    /// The actor, who must have signed.
    pub member: Address,
    /// The market it names.
    pub market: MarketId,
    /// The new channel's id.
    pub channel: ChannelId,
    /// The chain it names.
    pub chain_id: u64,
    /// Block number it was signed at.
    pub opened_at: Amount,
    /// The contract it names.
    pub verifying_contract: Address,
    /// 1 for a payment channel, 2 for a paying one.
    pub channel_type: u64,
    /// Whose signature will move it.
    pub delegate: Address,
    /// The market maker it names.
    pub marketmaker: Address,
    /// Who receives what is spent.
    pub recipient: Address,
    /// The deposit.
    pub amount: Amount,
    /// The member's signature over all of it ([`ChannelOpen`]).
    pub signature: Signature,
    /// The delegate's signature, if it says itself whose it is ([`DelegateBinding`](crate::DelegateBinding)).
    pub delegate_signature: Option<Signature>,
}

/// A request to close a channel, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseChannel {
    /// The channel.
    pub channel: ChannelId,
    /// The chain it names.
    pub chain_id: u64,
    /// Block number it was signed at.
    pub close_at: Amount,
    /// The contract it names.
    pub verifying_contract: Address,
    /// What is left.
    pub balance: Amount,
    /// The position.
    pub seq: Seq,
    /// No state follows.
    pub is_final: bool,
    /// The delegate's signature over all of it ([`ChannelClose`]).
    pub signature: Signature,
}

/// A member's word on a consent, as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetConsent {
    /// The member, who must have signed.
    pub member: Address,
    /// The market it names.
    pub market: MarketId,
    /// The chain it names.
    pub chain_id: u64,
    /// Block number it was signed at.
    pub signed_at: BlockNumber,
    /// The contract it names.
    pub verifying_contract: Address,
    /// Who may act for the member.
    pub delegate: Address,
    /// 1 as provider, 2 as consumer, 3 as both.
    pub delegate_type: u64,
    /// The catalog it is about.
    pub catalog: CatalogId,
    /// Given or withdrawn.
    pub granted: bool,
    /// The URIs it covers begin so.
    pub service_prefix: String,
    /// What is recorded with it, under no signature.
    pub attributes: Attributes,
    /// The member's signature over all of it but the attributes ([`Consent`]).
    pub signature: Signature,
    /// The member that the caller is logged in as, if any.
    pub login: Option<Address>,
}

/// A request to open a channel of this market's, signed by its actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOpen {
    /// What its actor signed.
    pub request: OpenRequest,
    /// Whom the signature that binds the delegate recovers to; none without one, or where nobody needs it.
    pub bound_by: Option<Address>,
}

/// A closing state of this market's, and whom its signature recovers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedClose {
    /// What was signed, and what the other side would sign.
    pub digest: [u8; 32],
    /// Who signed it.
    pub signer: Address,
}

/// The newest block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// The gas that fits in it.
    pub gas_limit: u64,
}

/// The contracts of an XBR deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contracts {
    /// XBRToken.
    pub token: Address,
    /// XBRNetwork.
    pub network: Address,
    /// XBRCatalog.
    pub catalog: Address,
    /// XBRMarket.
    pub market: Address,
    /// XBRChannel.
    pub channel: Address,
}

/// What `get_config` tells clients of the network behind a market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Where messages are valid.
    pub domain: Domain,
    /// What `net_version` says: not always the chain's id.
    pub network_id: u64,
    /// The contracts; none where nothing is deployed.
    pub contracts: Option<Contracts>,
    /// The token the market trades in; none where it is not a contract.
    pub coin: Option<Address>,
    /// The hash of the licence members accepted, an IPFS id; none where there is none to accept.
    pub eula_hash: Option<String>,
    /// The market.
    pub market: MarketId,
    /// Its owner.
    pub owner: Address,
    /// Its market maker.
    pub marketmaker: Address,
}

/// Why a request does not become a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettlementError {
    /// Signed for another chain.
    #[error("the request names chain id {got}, this market is on {expected}")]
    WrongChain {
        /// The market's.
        expected: u64,
        /// As it came.
        got: u64,
    },
    /// Signed for another deployment.
    #[error("the request names verifying contract {got}, this market's is {expected}")]
    WrongContract {
        /// The market's.
        expected: Address,
        /// As it came.
        got: Address,
    },
    /// Meant for another market.
    #[error("the request names market {got}, this is {expected}")]
    WrongMarket {
        /// This one.
        expected: MarketId,
        /// As it came.
        got: MarketId,
    },
    /// Meant for another market maker.
    #[error("the channel names market maker {got}, this is {expected}")]
    WrongMarketMaker {
        /// This one.
        expected: Address,
        /// As it came.
        got: Address,
    },
    /// Neither payment nor paying.
    #[error("channel type {got} is unknown, it must be 1 (payment) or 2 (paying)")]
    WrongType {
        /// As it came.
        got: u64,
    },
    /// Neither provider nor consumer nor both.
    #[error("delegate type {got} is unknown, it must be 1 (provider), 2 (consumer) or 3 (both)")]
    WrongDelegateType {
        /// As it came.
        got: u64,
    },
    /// No block has that number.
    #[error("the request was signed at block 0, it must be 1 at least")]
    BlockZero,
    /// The signature is malformed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The signature is somebody else's, or over something else.
    #[error(
        "the request is signed by {got}, expected member {expected}; the signed fields may differ from the sent"
    )]
    WrongSigner {
        /// The member.
        expected: Address,
        /// Whom the signature recovers to.
        got: Address,
    },
    /// The contract would not take the signature.
    #[error(
        "contract_signature is one of {got}, expected member {expected}: it goes over the contract's form of the same, whose \
         type ends with `bool consent)`"
    )]
    WrongContractSigner {
        /// The member.
        expected: Address,
        /// Whom the signature recovers to.
        got: Address,
    },
    /// There is nothing to carry a consent to.
    #[error(
        "this market settles without a chain, and there is no contract to tell: leave contract_signature out"
    )]
    NoContract,
    /// More than the faucet gives at once.
    #[error("{got} tokens are more than the faucet gives in one call, at most {limit}")]
    FaucetLimit {
        /// The most.
        limit: Amount,
        /// As it came.
        got: Amount,
    },
    /// The chain is so young that the contract would settle by any state that was ever signed.
    #[error(
        "the chain is at block {head}, and a market trades behind block {needs}: until then the contract takes states \
         that were signed to be exchanged only"
    )]
    YoungChain {
        /// The newest block.
        head: u64,
        /// The last block without trade.
        needs: u64,
    },
    /// Nobody knows how old the block is that a voucher names.
    #[error(
        "no node has said for a while which block is the newest: a voucher cannot be told to be worth anything. Block {head} \
         was, when one did"
    )]
    HeadUnknown {
        /// The newest block that was told.
        head: u64,
    },
    /// An opening that the contract does not take, or not for long enough.
    #[error("the request was signed at block {}, it must be one of {earliest} to {head}", got.as_u256())]
    OpenAt {
        /// As it came.
        got: Amount,
        /// The first that will do.
        earliest: u64,
        /// The last.
        head: u64,
    },
    /// A closing state that the contract does not take, or not for long enough.
    #[error("the closing state names block {}, it must name one of {earliest} to {head}", got.as_u256())]
    CloseAt {
        /// As it came.
        got: Amount,
        /// The first that will do.
        earliest: u64,
        /// The last.
        head: u64,
    },
    /// A voucher that is older than it may be when it comes.
    #[error("the voucher names block {got}, it must name one of {earliest} to {head}")]
    VoucherAt {
        /// As it came.
        got: u64,
        /// The first that will do.
        earliest: u64,
        /// The last.
        head: u64,
    },
    /// Tokens are worth something here.
    #[error("this market settles on a chain and has no faucet")]
    NoFaucet,
}

/// Turns requests about money into commands of the ledger. Keeps no state; every method may be called at any time,
/// from any thread, and blocks for the time of a signature's recovery at most.
pub trait Settlement: Send + Sync {
    /// Where messages of this market are valid.
    fn domain(&self) -> Domain;

    /// The newest block known.
    fn head_block(&self) -> Block;

    /// What clients are told.
    fn network(&self) -> Network;

    /// The first command of a new ledger.
    fn genesis(&self, at: Nanos) -> Command;

    /// Whether keys may be sold at all now.
    ///
    /// # Errors
    ///
    /// [`SettlementError::YoungChain`], on a chain that has not come far enough.
    fn check_trading(&self) -> Result<(), SettlementError>;

    /// Verifies a request to open a channel. What depends on the ledger (the payer's account, the delegate's actor,
    /// whether the id is fresh) is checked when the command is applied.
    ///
    /// # Errors
    ///
    /// [`SettlementError`], saying what was expected and what came.
    fn open_channel(&self, request: &OpenChannel, at: Nanos) -> Result<SignedOpen, SettlementError>;

    /// Whether a settlement voucher over this block may be taken now.
    ///
    /// # Errors
    ///
    /// [`SettlementError::VoucherAt`], if the block is not recent; [`SettlementError::HeadUnknown`], if nobody can tell.
    fn check_voucher(&self, close_at: BlockNumber) -> Result<(), SettlementError>;

    /// Reads a request to close a channel. Whether the signer is its delegate and the state the posted one is checked
    /// when the command is applied.
    ///
    /// # Errors
    ///
    /// [`SettlementError`], saying what was expected and what came.
    fn close_channel(&self, request: &CloseChannel) -> Result<SignedClose, SettlementError>;

    /// Verifies a member's word on a consent. What depends on the ledger (whether it was said before) is checked when the
    /// command is applied.
    ///
    /// # Errors
    ///
    /// [`SettlementError`], saying what was expected and what came.
    fn set_consent(&self, request: &SetConsent, at: Nanos) -> Result<ConsentRequest, SettlementError>;

    /// Whom a member's signature over the contract's form of the same recovers to: with it the consent can be told to the
    /// chain, within the time for which the contract takes it.
    ///
    /// # Errors
    ///
    /// [`SettlementError::NoContract`] without a chain, [`SettlementError::OpenAt`] for what was signed too long ago,
    /// [`SettlementError::WrongContractSigner`].
    fn carry_consent(&self, request: &SetConsent, signature: &Signature) -> Result<Address, SettlementError>;

    /// Hands out test tokens.
    ///
    /// # Errors
    ///
    /// [`SettlementError::FaucetLimit`] above the limit, [`SettlementError::NoFaucet`] on a chain.
    fn fund(&self, address: Address, amount: Amount, at: Nanos) -> Result<Command, SettlementError>;

    /// The hash `open_channel` answers for the transaction that opened this channel; none where it is not known yet.
    fn transaction_of_open(&self, channel: ChannelId) -> Option<[u8; 32]>;

    /// The hash `close_channel` answers for the transaction that closed this channel; none where it is not known yet.
    fn transaction_of_close(&self, channel: ChannelId) -> Option<[u8; 32]>;

    /// The market's part of a price.
    fn fee(&self, price: Amount) -> Amount;
}

/// The checks every settlement makes of a request to open, and the command that comes of it.
///
/// Cheap comparisons first; the signature, which costs the most, last.
pub(crate) fn verify_open(
    network: &Network,
    request: &OpenChannel,
    at: Nanos,
) -> Result<OpenRequest, SettlementError> {
    let (domain, got) = (network.domain, request);
    check_domain(&domain, got.chain_id, got.verifying_contract)?;
    if got.market != network.market {
        return Err(SettlementError::WrongMarket {
            expected: network.market,
            got: got.market,
        });
    }
    if got.marketmaker != network.marketmaker {
        return Err(SettlementError::WrongMarketMaker {
            expected: network.marketmaker,
            got: got.marketmaker,
        });
    }
    let kind = match got.channel_type {
        1 => ChannelKind::Payment,
        2 => ChannelKind::Paying,
        got => return Err(SettlementError::WrongType { got }),
    };
    if got.opened_at.is_zero() {
        return Err(SettlementError::BlockZero);
    }
    let message = ChannelOpen {
        kind,
        opened_at: got.opened_at,
        market: got.market,
        channel: got.channel,
        actor: got.member,
        delegate: got.delegate,
        marketmaker: got.marketmaker,
        recipient: got.recipient,
        amount: got.amount,
    };
    let signer = recover(&message.digest(&domain), &got.signature)?;
    if signer != got.member {
        return Err(SettlementError::WrongSigner {
            expected: got.member,
            got: signer,
        });
    }
    Ok(OpenRequest {
        id: got.channel,
        kind,
        market: got.market,
        actor: got.member,
        delegate: got.delegate,
        marketmaker: got.marketmaker,
        recipient: got.recipient,
        amount: got.amount,
        open_at: got.opened_at,
        signature: got.signature,
        signer,
        at,
    })
}

/// The checks every settlement makes of a request to close. The market is no field of it: what is signed for another
/// recovers to a stranger.
pub(crate) fn verify_close(
    network: &Network,
    request: &CloseChannel,
) -> Result<SignedClose, SettlementError> {
    check_domain(&network.domain, request.chain_id, request.verifying_contract)?;
    if request.close_at.is_zero() {
        return Err(SettlementError::BlockZero);
    }
    let state = ChannelClose {
        close_at: request.close_at,
        market: network.market,
        channel: request.channel,
        seq: request.seq,
        balance: request.balance,
        is_final: request.is_final,
    };
    let digest = state.digest(&network.domain);
    let signer = recover(&digest, &request.signature)?;
    Ok(SignedClose { digest, signer })
}

/// The checks every settlement makes of a member's word on a consent, and the request that comes of it, as of the block
/// `head`.
pub(crate) fn verify_consent(
    network: &Network,
    request: &SetConsent,
    head: BlockNumber,
    at: Nanos,
) -> Result<ConsentRequest, SettlementError> {
    let got = request;
    check_domain(&network.domain, got.chain_id, got.verifying_contract)?;
    if got.market != network.market {
        return Err(SettlementError::WrongMarket {
            expected: network.market,
            got: got.market,
        });
    }
    let delegate_type =
        ActorType::from_code(got.delegate_type).ok_or(SettlementError::WrongDelegateType {
            got: got.delegate_type,
        })?;
    if got.signed_at == BlockNumber(0) {
        return Err(SettlementError::BlockZero);
    }
    let message = consent_message(got, delegate_type);
    let signer = recover(&message.digest(&network.domain), &got.signature)?;
    if signer != got.member {
        return Err(SettlementError::WrongSigner {
            expected: got.member,
            got: signer,
        });
    }
    let key = ConsentKey {
        catalog: got.catalog,
        member: got.member,
        delegate: got.delegate,
        delegate_type,
        market: got.market,
    };
    Ok(ConsentRequest {
        consent: bourse_market::registry::Consent {
            id: consent_id(&key),
            key,
            updated: head,
            signed_at: got.signed_at,
            at,
            granted: got.granted,
            service_prefix: got.service_prefix.clone(),
            attributes: got.attributes.clone(),
            transaction: None,
            signature: Some(got.signature),
            synced: network.contracts.is_none(),
        },
        signer,
        login: got.login,
    })
}

fn consent_message(request: &SetConsent, delegate_type: ActorType) -> Consent {
    Consent {
        member: request.member,
        updated: Amount::from_units(request.signed_at.0.into()),
        market: request.market,
        delegate: request.delegate,
        delegate_type: delegate_type as u8,
        catalog: request.catalog,
        consent: request.granted,
        service_prefix: request.service_prefix.clone(),
    }
}

/// Whom a member's signature over the contract's form of a consent recovers to.
pub(crate) fn verify_contract_consent(
    network: &Network,
    request: &SetConsent,
    signature: &Signature,
) -> Result<Address, SettlementError> {
    let got = request.delegate_type;
    let kind = ActorType::from_code(got).ok_or(SettlementError::WrongDelegateType { got })?;
    let message = consent_message(request, kind);
    let signer = recover(&message.contract_digest(&network.domain), signature)?;
    match signer == request.member {
        true => Ok(signer),
        false => Err(SettlementError::WrongContractSigner {
            expected: request.member,
            got: signer,
        }),
    }
}

/// The identifier of a consent: the first half of the Keccak hash of `catalog ‖ member ‖ delegate ‖ type ‖ market`.
pub fn consent_id(key: &ConsentKey) -> ConsentId {
    let hash = keccak256(
        &[
            key.catalog.as_bytes().as_slice(),
            key.member.as_bytes(),
            key.delegate.as_bytes(),
            &[key.delegate_type as u8],
            key.market.as_bytes(),
        ]
        .concat(),
    );
    ConsentId(hash.first_chunk().copied().unwrap_or_default())
}

/// Signed for this chain and this deployment.
fn check_domain(domain: &Domain, chain_id: u64, verifying_contract: Address) -> Result<(), SettlementError> {
    if chain_id != domain.chain_id {
        return Err(SettlementError::WrongChain {
            expected: domain.chain_id,
            got: chain_id,
        });
    }
    if verifying_contract != domain.verifying_contract {
        return Err(SettlementError::WrongContract {
            expected: domain.verifying_contract,
            got: verifying_contract,
        });
    }
    Ok(())
}
