//! One decision of a policy, complete: enough to show it, to log it and to repeat it exactly.
//!
//! One type serves two forms. [`Record::encode`] is compact (postcard, some 400 bytes) for the ledger; its first
//! byte is the version of the layout, so a later layout brings its own decoder. [`Record::to_json`] is the line that
//! is exported: identifiers in hex, amounts as decimal base units.

mod text;

use crate::failure::Failure;
use crate::grants::{Grants, Import};
use crate::hook::Hook;
use crate::limits::Limits;
use crate::outcome::Bound;
use crate::request::{Action, PriceRequest};
use bourse_market::{
    Address, ApiId, CatalogId, DecisionId, Figures, KeyId, MarketId, Nanos, OfferId, Price, RevisionId,
    Subject,
};
use core::time::Duration;
use serde::{Deserialize, Serialize};

pub use text::{Hex, Units};

/// Version of the layout that this host writes.
pub const RECORD_VERSION: u8 = 1;

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
    /// `priced`, `refused` or a failure's code.
    pub outcome: String,
    /// What it answered.
    pub output: Output,
    /// Fuel it burned.
    pub fuel: u64,
    /// Microseconds it took. The one field that another run does not repeat.
    pub us: u64,
}

/// What a hook was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// `pricing.quote`.
    Pricing(Box<PriceInput>),
}

/// What `pricing.quote` was asked, and under which limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceInput {
    /// The host's clock when the request was decoded.
    pub now: Nanos,
    /// The market.
    pub market: Hex<MarketId>,
    /// In which procedure.
    pub action: Action,
    /// The buyer's delegate, where proven.
    pub buyer: Option<Hex<Address>>,
    /// Parameters: a JSON object.
    pub params: String,
    /// The offer.
    pub offer: OfferInput,
    /// The fixed price the policy works over.
    pub base: Option<Units>,
    /// The price is at least this.
    pub floor: Units,
    /// The price is at most this.
    pub cap: Units,
    /// The price holds for at most this long.
    pub max_valid_ms: u32,
    /// What the call might use up.
    pub limits: RecordedLimits,
    /// Words of the imports that were granted.
    pub grants: Vec<String>,
}

/// The limits of a recorded call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLimits {
    /// Fuel.
    pub fuel: u64,
    /// Wall-clock backstop in milliseconds.
    pub deadline_ms: u64,
    /// Bytes of linear memory.
    pub memory: u64,
}

impl From<&Limits> for RecordedLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            fuel: limits.fuel,
            deadline_ms: u64::try_from(limits.deadline.as_millis()).unwrap_or(u64::MAX),
            memory: limits.memory as u64,
        }
    }
}

impl From<RecordedLimits> for Limits {
    fn from(limits: RecordedLimits) -> Self {
        Self {
            fuel: limits.fuel,
            deadline: Duration::from_millis(limits.deadline_ms),
            memory: usize::try_from(limits.memory).unwrap_or(usize::MAX),
        }
    }
}

/// The offer as a policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferInput {
    /// The host's identifier; policies do not see it.
    pub id: Hex<OfferId>,
    /// The key on offer.
    pub key: Hex<KeyId>,
    /// Its API.
    pub api: Hex<ApiId>,
    /// The API's catalog.
    pub catalog: Option<Hex<CatalogId>>,
    /// Where the data is published.
    pub uri: String,
    /// The seller's delegate.
    pub seller: Hex<Address>,
    /// The seller's provider id.
    pub provider: Option<String>,
    /// When it was placed.
    pub placed_at: Nanos,
    /// Sold from then on.
    pub valid_from: Nanos,
    /// Sold until then.
    pub expires: Option<Nanos>,
    /// Its own price, none if dynamic.
    pub price: Option<Units>,
    /// How often it may be sold.
    pub copies: Option<u32>,
    /// Copies left.
    pub remaining: Option<u32>,
    /// Labels, sorted by key.
    pub categories: Vec<(String, String)>,
}

/// One call of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCall {
    /// Interface and function: `market.demand`.
    pub name: String,
    /// With what.
    pub args: Args,
    /// What it answered.
    pub answer: Answer,
}

/// Arguments of an import call.
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
}

/// Answer to an import call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// `market.demand`.
    Figures(FiguresRecord),
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

/// What came of a call.
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
}

impl Output {
    /// `priced`, `refused` or the failure's code.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Price { .. } => "priced",
            Self::Refusal { .. } => "refused",
            Self::Failure(failure) => failure.code(),
        }
    }
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by another version of the host.
    #[error("the record has layout version {got}, this host reads version {RECORD_VERSION}")]
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

impl Record {
    /// The compact form.
    pub fn encode(&self) -> Vec<u8> {
        // Postcard fails on a full buffer or on sequences of unknown length: neither occurs with a growing buffer
        // and these types. An empty body is refused by `decode`, so even then nothing wrong is read back.
        postcard::to_stdvec(self).unwrap_or_default()
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
        match bytes.first() {
            Some(&RECORD_VERSION) => {}
            Some(&got) => return Err(DecodeError::Version { got }),
            None => return Err(corrupt("there is nothing".to_owned())),
        }
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
        let record: Self = serde_json::from_str(line).map_err(|error| DecodeError::Corrupt {
            len: line.len(),
            why: error.to_string(),
        })?;
        if record.v == RECORD_VERSION {
            Ok(record)
        } else {
            Err(DecodeError::Version { got: record.v })
        }
    }
}

impl PriceInput {
    pub(crate) fn new(request: &PriceRequest<'_>, grants: Grants, limits: &Limits) -> Self {
        let offer = request.offer;
        Self {
            now: request.now,
            market: Hex(request.market),
            action: request.action,
            buyer: request.buyer.map(Hex),
            params: request.params.to_owned(),
            offer: OfferInput {
                id: Hex(offer.id),
                key: Hex(offer.key),
                api: Hex(offer.api),
                catalog: offer.catalog.map(Hex),
                uri: offer.uri.clone(),
                seller: Hex(offer.seller),
                provider: offer.provider_id.clone(),
                placed_at: offer.placed_at,
                valid_from: offer.valid_from.unwrap_or(offer.placed_at),
                expires: offer.expires,
                price: match offer.price {
                    Price::Fixed(amount) => Some(Units(amount)),
                    Price::Dynamic => None,
                },
                copies: offer.copies,
                remaining: offer.remaining,
                categories: offer
                    .categories
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect(),
            },
            base: request.base.map(Units),
            floor: Units(request.floor),
            cap: Units(request.cap),
            max_valid_ms: request.max_valid_ms,
            limits: limits.into(),
            grants: Import::ALL
                .into_iter()
                .filter(|import| grants.has(*import))
                .map(|i| i.as_str().to_owned())
                .collect(),
        }
    }

    /// The grants that were recorded.
    pub fn grants(&self) -> Grants {
        self.grants
            .iter()
            .filter_map(|word| Import::from_word(word))
            .fold(Grants::NONE, Grants::with)
    }
}
