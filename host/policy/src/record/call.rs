//! What a policy asked the host in turn, and what it was told.

use super::text::{Bytes, Hex, Units};
use crate::imports::Level;
use bourse_market::{Address, ApiId, Figures, KeyId, Nanos, Subject};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One call of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCall {
    /// Interface and function: `market.demand`.
    pub name: Cow<'static, str>,
    /// With what.
    pub args: Args,
    /// What it answered.
    pub answer: Answer,
}

/// Arguments of an import call. New kinds come last: the compact form counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Args {
    /// `market.demand`, the window as the policy gave it.
    Demand {
        /// Whose demand.
        subject: SubjectRecord,
        /// Over how many milliseconds.
        window_ms: u32,
    },
    /// `state.get`.
    Get {
        /// The key.
        key: String,
    },
    /// `state.set`.
    Set {
        /// The key.
        key: String,
        /// The value, none to remove it.
        value: Option<Bytes>,
    },
    /// `state.counter`.
    Counter {
        /// The key.
        key: String,
    },
    /// `state.add`.
    Add {
        /// The key.
        key: String,
        /// By how much.
        delta: i64,
    },
    /// `log.line`, its text as the host cut it.
    Line {
        /// How much it matters.
        level: Level,
        /// What it says.
        text: String,
    },
}

/// Answer to an import call. New kinds come last: the compact form counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// `market.demand`.
    Figures(FiguresRecord),
    /// `state.get`: what the policy saw, its own changes included.
    Value(Option<Bytes>),
    /// `state.counter`: what the policy saw, its own changes included.
    Count(i64),
    /// `state.set`, `state.add`, `log.line`: nothing comes back.
    Done,
}

/// A subject of demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants of `market.subject`")]
pub enum SubjectRecord {
    Key(Hex<KeyId>),
    Api(Hex<ApiId>),
    Seller(Hex<Address>),
    Buyer(Hex<Address>),
}

impl From<Subject> for SubjectRecord {
    fn from(subject: Subject) -> Self {
        match subject {
            Subject::Key(id) => Self::Key(Hex(id)),
            Subject::Api(id) => Self::Api(Hex(id)),
            Subject::Seller(address) => Self::Seller(Hex(address)),
            Subject::Buyer(address) => Self::Buyer(Hex(address)),
        }
    }
}

/// The figures of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiguresRecord {
    /// Posted purchases.
    pub sales: u64,
    /// What they paid.
    pub volume: Units,
    /// Answered quotes.
    pub quotes: u64,
    /// Price of the last sale.
    pub last_price: Option<Units>,
    /// Time of the last sale.
    pub last_at: Option<Nanos>,
}

impl From<Figures> for FiguresRecord {
    fn from(figures: Figures) -> Self {
        let Figures {
            sales,
            volume,
            quotes,
            last_price,
            last_at,
        } = figures;
        Self {
            sales,
            volume: Units(volume),
            quotes,
            last_price: last_price.map(Units),
            last_at,
        }
    }
}

impl From<FiguresRecord> for Figures {
    fn from(figures: FiguresRecord) -> Self {
        let FiguresRecord {
            sales,
            volume,
            quotes,
            last_price,
            last_at,
        } = figures;
        Self {
            sales,
            volume: volume.0,
            quotes,
            last_price: last_price.map(|price| price.0),
            last_at,
        }
    }
}
