//! A real chain for developers and tests: anvil, the XBR contracts on it, and a market with its members.
//!
//! What lives here: the process of the node, the parties whose keys everybody knows, and the set-up of a market by the
//! very transactions that its members would send. What never does: anything that a market does once it runs, and any chain
//! on which money is real.

mod anvil;
mod fetch;
mod parties;
mod setup;

pub use anvil::{Anvil, AnvilOptions, CHAIN_ID};
pub use fetch::{find_anvil, find_artifacts};
pub use parties::Parties;
pub use setup::{CATALOG, FIRST_TRADE_BLOCK, Members, set_up, set_up_members};
