//! What ties a market to Ethereum: the typed messages that parties sign, the signatures over them, and how
//! channels come to be and settle.
//!
//! What lives here: [`Domain`] and the EIP-712 messages with their digests, [`Signer`] with its file, [`recover`], and
//! the [`Settlement`] trait with its implementations. A settlement turns a verified request into a `market` command.
//!
//! What never does: state. Accounts, channels and balances are records of the ledger; a settlement may be dropped
//! and made anew between any two calls; and so may what [`KnownSigners`] remembers, to be faster. No other crate of the workspace names alloy or k256.

#![forbid(unsafe_code)]

mod address;
mod content;
mod contracts;
mod deploy;
mod ethereum;
mod follow;
mod keyfile;
mod keystore;
mod known;
mod local;
mod node;
mod passphrase;
mod sender;
mod settlement;
mod signature;
mod signer;
mod transaction;
mod typed;

pub use address::{checksum, keccak256};
pub use content::{ContentError, ContentId, ContentIdError, Gateway, GatewayError, MAX_BLOCK, MAX_TEXT};
pub use contracts::{
    ArtifactError, Artifacts, Call, Deployment, DeploymentError, Foreign, NewMarket, decode,
};
pub use deploy::{DeployError, deploy};
pub use ethereum::{EthereumSettlement, PRESIGNED_BLOCKS, SIGNING_WINDOW};
pub use follow::{FollowError, FollowOptions, Follower, KEPT_BLOCKS, Step};
pub use keyfile::{KeyFileError, create_key, load_key, load_or_create_key, save_key, unlock_key};
pub use keystore::KeystoreError;
pub use known::KnownSigners;
pub use local::{
    FAUCET_LIMIT_TOKENS, LOCAL_BLOCK, LOCAL_CHAIN_ID, LOCAL_FLOAT_TOKENS, LocalSettlement,
    local_verifying_contract,
};
pub use node::{
    DevNode, Header, Heads, Limits, Listening, Node, NodeError, RawLog, Snapshot, TransactionReceipt,
    without_secrets,
};
pub use passphrase::Passphrase;
pub use sender::{SendError, Sender};
pub use settlement::{
    Block, CloseChannel, Contracts, Network, OpenChannel, SetConsent, Settlement, SettlementError,
    SignedClose, SignedOpen, consent_id,
};
pub use signature::{SignatureError, recover};
pub use signer::{KeyError, Signer};
pub use transaction::{Fees, SignedTransaction, Transaction};
pub use typed::{
    ChannelClose, ChannelOpen, Consent, DOMAIN_SEPARATOR, DelegateBinding, Domain, KeyOffer, MarketLogin,
    MarketMemberLogin, RevokeOffer,
};
