//! The pure core of Bourse: the types of a market and the state machine of its ledger.
//!
//! What lives here: units ([`Amount`], [`Seq`], [`Nanos`]), identifiers, the records the ledger keeps, the
//! [`Command`]s that change it and [`apply`], the one function that decides whether a command may.
//!
//! What never does: I/O, a clock, randomness, async, WebAssembly, WAMP, LMDB. Time and identifiers arrive as
//! arguments, records through a [`View`], so the same code runs under the writer thread and in the simulator.

mod amount;
mod apply;
pub mod chain;
mod command;
mod demand;
mod escrow;
mod ids;
mod invariants;
pub mod login;
mod memory;
pub mod outbox;
pub mod plant;
mod record;
mod refusal;
pub mod registry;
mod state;
mod view;
pub mod voucher;

pub use amount::{Amount, ParseAmountError};
pub use apply::{apply, check_on_sale, find_receipt, find_replay, last_showing, nettings};
pub use command::{
    BindRequest, Change, Changes, CloseRequest, Command, DeliverRequest, Ending, FundRequest, Genesis,
    OpenRequest, Order, Outcome, PlaceRequest, PostRequest, ReconcileRequest, RecoverRequest, ReserveRequest,
    RevokeRequest, Shown, SweepRequest, VoidReason, VoidRequest,
};
pub use demand::{Demand, Figures, Sale, Subject};
pub use escrow::{Debt, EscrowPayment, EscrowSale, Receipt};
pub use ids::{
    Address, ApiId, BlockHash, BlockNumber, BuyerPubkey, CatalogId, ChannelId, ClientKey, ConsentId,
    DecisionId, EscrowedKey, IdError, KeyId, MarketId, Nanos, OfferId, ParseIdError, PurchaseId, RevisionId,
    SealedKey, Seq, SessionId, Signature, TransactionHash,
};
pub use invariants::{
    Auditor, Side, Sums, Violation, check_channel, check_escrow_sale, check_in_place, check_purchase,
    check_sale_in_place, check_totals,
};
pub use memory::MemoryLedger;
pub use record::{
    Account, Ask, Binding, Channel, ChannelKind, ChannelState, Closing, Decision, DecisionHeader, Doubt,
    Identity, OFF_CHAIN_CLOSE_AT, Offer, Pair, PairKey, Placer, Price, PriceSource, PricingTerms, Purchase,
    PurchaseState, Reconciliation, Recovery, ShownState, Suspension, Totals,
};
pub use refusal::Refusal;
pub use state::{DroppedWrites, PolicySlot, StateEdit, StateFault, StateWrite};
pub use view::{Fault, View};
