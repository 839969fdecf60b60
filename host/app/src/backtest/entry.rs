//! One decision of a log: read from a line of an export, or from what the host stored.

use super::text::plain;
use bourse_market::{Address, Amount, Decision, Nanos, PurchaseId};
use bourse_policy::{DecodeError, Hex, RECORD_VERSION, Record, Units};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The longest line that is read, in bytes. A filter over a full page of 1000 offers takes some 800 KiB.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// Where an entry stands, so that people find it again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
pub(crate) enum Place {
    /// A line of a file, counted from 1.
    Line(u64),
    /// A stored decision, by the identifier that it is stored under.
    Stored(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Stored(id) => write!(f, "decision {id}"),
        }
    }
}

/// What a purchase paid: the part of a log that says what was really sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sale {
    /// When the purchase was posted.
    pub(crate) at_ns: Nanos,
    /// What the buyer paid, in base units.
    pub(crate) price: Units,
    /// The buyer's delegate.
    pub(crate) buyer: Hex<Address>,
}

impl Sale {
    /// A purchase of `buyer` that was posted `at` for `price`.
    pub(crate) fn new(at: Nanos, price: Amount, buyer: Address) -> Self {
        Self {
            at_ns: at,
            price: Units(price),
            buyer: Hex(buyer),
        }
    }
}

/// A decision with the purchase it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands.
    pub(crate) place: Place,
    /// The decision.
    pub(crate) record: Record,
    /// The posted purchase it was made for, where there is one.
    pub(crate) purchase: Option<PurchaseId>,
    /// What that purchase paid, where the log says it.
    pub(crate) sale: Option<Sale>,
    /// A shadow made it: it was asked what the revision in force was asked, and its answer was never used.
    pub(crate) shadow: bool,
}

/// An entry that has not been decoded: decoding is most of the work of reading, so the workers do it.
#[derive(Debug)]
pub(crate) enum Raw {
    /// A line of a file.
    Line {
        /// Counted from 1.
        number: u64,
        /// Without its end; as much as [`MAX_LINE`] and one byte.
        bytes: Vec<u8>,
    },
    /// A decision that the host stored.
    Stored {
        /// As stored.
        decision: Box<Decision>,
        /// What its purchase paid.
        sale: Option<Sale>,
    },
}

/// Why an entry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEntry {
    /// Longer than any decision.
    #[error("the line is longer than {MAX_LINE} bytes: no decision is")]
    TooLong,
    /// Not UTF-8.
    #[error("the line is not UTF-8 from byte {at} on")]
    NotText {
        /// The first byte that is not.
        at: usize,
    },
    /// Not the JSON of a decision.
    #[error("the line is not a decision: {why}")]
    NotADecision {
        /// What the reader says.
        why: String,
    },
    /// A decision in a form that this host does not read.
    #[error("the decision is of version {got}, this host reads version {RECORD_VERSION}")]
    Version {
        /// The version it says.
        got: u64,
    },
    /// A stored body that does not decode.
    #[error("the stored decision does not decode: {why}")]
    Body {
        /// What the decoder says.
        why: String,
    },
}

/// An entry that cannot be used, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unreadable {
    /// Where.
    pub(crate) place: Place,
    /// Why, in words.
    pub(crate) why: String,
}

/// What an exported line has beside its record.
#[derive(Deserialize)]
struct Beside {
    #[serde(default)]
    purchase: Option<String>,
    #[serde(default)]
    sale: Option<Sale>,
    #[serde(default)]
    shadow: bool,
}

/// The one field that tells what the others mean.
#[derive(Deserialize)]
struct Head {
    v: u64,
}

impl Raw {
    /// Bytes that it takes in its log, for progress.
    pub(crate) fn weight(&self) -> u64 {
        let bytes = match self {
            Self::Line { bytes, .. } => bytes.len().saturating_add(1),
            Self::Stored { decision, .. } => decision.body.len(),
        };
        bytes as u64
    }

    /// Decodes it.
    ///
    /// # Errors
    ///
    /// Where it stands and why it is no decision.
    pub(crate) fn decode(self) -> Result<Entry, Unreadable> {
        let place = match &self {
            Self::Line { number, .. } => Place::Line(*number),
            Self::Stored { decision, .. } => Place::Stored(decision.id.to_string()),
        };
        let entry = match self {
            Self::Line { bytes, .. } => line(place.clone(), &bytes),
            Self::Stored { decision, sale } => stored(place.clone(), &decision, sale),
        };
        entry.map_err(|bad| Unreadable {
            place,
            why: bad.to_string(),
        })
    }
}

fn line(place: Place, bytes: &[u8]) -> Result<Entry, BadEntry> {
    if bytes.len() > MAX_LINE {
        return Err(BadEntry::TooLong);
    }
    let text = core::str::from_utf8(bytes).map_err(|error| BadEntry::NotText {
        at: error.valid_up_to(),
    })?;
    let record = Record::from_json(text).map_err(|error| unread(text, &error))?;
    let not_a_decision = |why: String| BadEntry::NotADecision { why: plain(&why) };
    let beside: Beside =
        serde_json::from_str(text).map_err(|error| not_a_decision(one_line(&error.to_string())))?;
    let purchase = beside
        .purchase
        .map(|id| id.parse())
        .transpose()
        .map_err(|error: bourse_market::ParseIdError| not_a_decision(format!("`purchase`: {error}")))?;
    Ok(Entry {
        place,
        record,
        purchase,
        sale: beside.sale,
        shadow: beside.shadow,
    })
}

/// Why a text is no record. A version of another host may have other fields: its number says more than they do.
fn unread(text: &str, error: &DecodeError) -> BadEntry {
    if let Ok(Head { v }) = serde_json::from_str(text)
        && v != u64::from(RECORD_VERSION)
    {
        return BadEntry::Version { got: v };
    }
    let why = match error {
        DecodeError::Corrupt { why, .. } => why.clone(),
        other => other.to_string(),
    };
    BadEntry::NotADecision {
        why: plain(&one_line(&why)),
    }
}

/// The decoder counts lines from 1 within the one line it is given, which would only confuse.
fn one_line(why: &str) -> String {
    why.replace(" at line 1 column ", " at column ")
}

fn stored(place: Place, decision: &Decision, sale: Option<Sale>) -> Result<Entry, BadEntry> {
    let mut record = Record::decode(&decision.body).map_err(|error| BadEntry::Body {
        why: plain(&error.to_string()),
    })?;
    record.id.get_or_insert(Hex(decision.id));
    Ok(Entry {
        place,
        record,
        purchase: decision.header.purchase,
        sale,
        shadow: decision.header.is_of_shadow(),
    })
}

impl Entry {
    /// The line of the export: the record, and beside it the purchase.
    pub(crate) fn to_line(&self) -> String {
        let mut line = self.record.to_json();
        let mut beside = String::new();
        if let Some(purchase) = self.purchase {
            beside.push_str(&format!(",\"purchase\":\"{purchase}\""));
        }
        if let Some(sale) = &self.sale
            && let Ok(sale) = serde_json::to_string(sale)
        {
            beside.push_str(&format!(",\"sale\":{sale}"));
        }
        if self.shadow {
            beside.push_str(",\"shadow\":true");
        }
        if !beside.is_empty() && line.ends_with('}') {
            line.pop();
            line.push_str(&beside);
            line.push('}');
        }
        line
    }
}
