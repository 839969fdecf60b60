//! One decision of a policy, complete: enough to show it, to log it and to repeat it exactly.
//!
//! One type serves two forms. [`Record::encode`] is compact (postcard, some 400 bytes) for the ledger; its first
//! byte is the version of the layout, so a later layout brings its own decoder. [`Record::to_json`] is the line that
//! is exported: identifiers in hex, amounts as decimal base units.

mod call;
mod input;
mod text;

use crate::failure::Failure;
use crate::hook::Hook;
use crate::limits::Instances;
use crate::outcome::Bound;
use bourse_market::{DecisionId, Nanos, RevisionId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

pub use call::{Answer, Args, FiguresRecord, ImportCall, SubjectRecord};
pub use input::{
    AdmitInput, ConsentInput, FilterInput, GrantInput, Input, OfferInput, PriceInput, RecordedLimits,
};
pub use text::{Bytes, Hex, Units};

/// Version of the layout that this host writes. Version 1 lacked the last field and is read as well.
pub const RECORD_VERSION: u8 = 2;

/// The version before.
const RECORD_VERSION_1: u8 = 1;

/// One decision of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the layout: [`RECORD_VERSION`].
    pub v: u8,
    /// The decision's identifier, none until the host has given it one.
    pub id: Option<Hex<DecisionId>>,
    /// When the request was decoded.
    pub at_ns: Nanos,
    /// Which hook decided.
    pub hook: Hook,
    /// The policy's name.
    pub policy: String,
    /// SHA-256 of its component.
    pub revision: Hex<RevisionId>,
    /// What it was asked.
    pub input: Input,
    /// What it asked the host in turn, in order, and what it was told.
    pub imports: Vec<ImportCall>,
    /// `priced`, `admitted`, `shown`, `allowed`, `refused` or a failure's code.
    pub outcome: Cow<'static, str>,
    /// What it answered.
    pub output: Output,
    /// Fuel it burned.
    pub fuel: u64,
    /// Microseconds it took. The one field that another run does not repeat.
    pub us: u64,
    /// Whether the instance was made for this call. A used one may remember what no record holds.
    #[serde(default)]
    pub instance: Instances,
}

/// What came of a call. New kinds come last: the compact form counts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// A price.
    Price {
        /// What the policy asked, before the bounds.
        asked: Units,
        /// For how long the policy wanted it to hold.
        asked_valid_ms: u32,
        /// The price.
        amount: Units,
        /// It holds for so long.
        valid_ms: u32,
        /// The bound that changed it.
        bounded: Option<Bound>,
    },
    /// The policy refused.
    Refusal {
        /// Its reason, for programs.
        code: String,
        /// Its reason, for people.
        text: String,
    },
    /// The policy failed.
    Failure(Failure),
    /// The offer may be placed.
    Admitted,
    /// What the buyer may see.
    Shown {
        /// Indices into the batch, in the order to show.
        indices: Vec<u32>,
    },
    /// The parties may deal.
    Allowed,
}

impl Output {
    /// `priced`, `admitted`, `shown`, `allowed`, `refused` or the failure's code.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Price { .. } => "priced",
            Self::Refusal { .. } => "refused",
            Self::Failure(failure) => failure.code(),
            Self::Admitted => "admitted",
            Self::Shown { .. } => "shown",
            Self::Allowed => "allowed",
        }
    }
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by another version of the host.
    #[error(
        "the record has layout version {got}, this host reads versions {RECORD_VERSION_1} and {RECORD_VERSION}"
    )]
    Version {
        /// The version it has.
        got: u8,
    },
    /// Not a record, or damaged.
    #[error("the {len} bytes are not a policy record: {why}")]
    Corrupt {
        /// How many bytes came.
        len: usize,
        /// What the decoder says.
        why: String,
    },
}

/// A buffer of the right size from the start: a batch is large, and is to be copied once.
struct Buffer(Vec<u8>);

impl postcard::ser_flavors::Flavor for Buffer {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

impl Record {
    /// The compact form.
    pub fn encode(&self) -> Vec<u8> {
        let batch = match &self.input {
            Input::Filter(input) => input.batch.0.len(),
            _ => 0,
        };
        // Nothing here fails: the buffer grows, and these types have no sequences of unknown length. An empty body is
        // refused by `decode`, so even then nothing wrong is read back.
        let buffer = Buffer(Vec::with_capacity(1024 + batch));
        postcard::serialize_with_flavor(self, buffer).unwrap_or_default()
    }

    /// Reads the compact form.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for another version's layout and for anything that is not exactly one record.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let corrupt = |why: String| DecodeError::Corrupt {
            len: bytes.len(),
            why,
        };
        let older: Vec<u8>;
        let bytes = match bytes.first() {
            Some(&RECORD_VERSION) => bytes,
            Some(&RECORD_VERSION_1) => {
                // The last field's first variant is what every instance was then.
                let body = bytes.get(1..).unwrap_or_default();
                older = [&[RECORD_VERSION], body, &[0]].concat();
                &older
            }
            Some(&got) => return Err(DecodeError::Version { got }),
            None => return Err(corrupt("there is nothing".to_owned())),
        };
        let (record, rest) =
            postcard::take_from_bytes::<Self>(bytes).map_err(|error| corrupt(error.to_string()))?;
        if rest.is_empty() {
            Ok(record)
        } else {
            Err(corrupt(format!("{} bytes too many", rest.len())))
        }
    }

    /// The exported form: one line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the exported form.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] as for [`Record::decode`].
    pub fn from_json(line: &str) -> Result<Self, DecodeError> {
        let mut record: Self = serde_json::from_str(line).map_err(|error| DecodeError::Corrupt {
            len: line.len(),
            why: error.to_string(),
        })?;
        if !matches!(record.v, RECORD_VERSION_1 | RECORD_VERSION) {
            return Err(DecodeError::Version { got: record.v });
        }
        record.v = RECORD_VERSION;
        Ok(record)
    }
}
