//! The host's side of the imports, as a case writes it down.

use crate::text::{Blob, Id, Once, Tokens, When};
use bourse_market::{Address, ApiId, Figures, KeyId, Subject};
use bourse_policy::{Imports, Level};
use core::fmt;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// One entry of `market`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DemandFile {
    subject: Option<SubjectFile>,
    window_ms: Option<u32>,
    sales: u64,
    volume: Option<Tokens>,
    quotes: u64,
    last_price: Option<Tokens>,
    last_at: Option<When>,
}

/// `"key"` for whichever key, `{"key": "0x22…"}` for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SubjectFile {
    Any(Kind),
    One(Subject),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Key,
    Api,
    Seller,
    Buyer,
}

impl Kind {
    fn of(subject: Subject) -> Self {
        match subject {
            Subject::Key(_) => Self::Key,
            Subject::Api(_) => Self::Api,
            Subject::Seller(_) => Self::Seller,
            Subject::Buyer(_) => Self::Buyer,
        }
    }

    fn read<E: de::Error>(word: &str) -> Result<Self, E> {
        match word {
            "key" => Ok(Self::Key),
            "api" => Ok(Self::Api),
            "seller" => Ok(Self::Seller),
            "buyer" => Ok(Self::Buyer),
            _ => Err(E::unknown_variant(word, &["key", "api", "seller", "buyer"])),
        }
    }
}

impl<'de> Deserialize<'de> for SubjectFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = SubjectFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "\"key\", \"api\", \"seller\" or \"buyer\", or one such as {\"key\": \"0x2222…\"}",
                )
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<SubjectFile, E> {
                Kind::read(word).map(SubjectFile::Any)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SubjectFile, A::Error> {
                let Some(word) = map.next_key::<String>()? else {
                    return Err(de::Error::invalid_length(0, &self));
                };
                let subject = match Kind::read(&word)? {
                    Kind::Key => Subject::Key(map.next_value::<Id<KeyId>>()?.0),
                    Kind::Api => Subject::Api(map.next_value::<Id<ApiId>>()?.0),
                    Kind::Seller => Subject::Seller(map.next_value::<Id<Address>>()?.0),
                    Kind::Buyer => Subject::Buyer(map.next_value::<Id<Address>>()?.0),
                };
                match map.next_key::<String>()? {
                    None => Ok(SubjectFile::One(subject)),
                    Some(_) => Err(de::Error::invalid_length(2, &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// `state`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StateFile {
    values: Once<Blob>,
    counters: Once<i64>,
}

/// What the host answers to a policy's imports: what the case says, and nothing for everything else.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    demand: Vec<Demand>,
    values: BTreeMap<String, Vec<u8>>,
    counters: BTreeMap<String, i64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Demand {
    subject: Option<SubjectFile>,
    window_ms: Option<u32>,
    figures: Figures,
}

impl World {
    pub(crate) fn new(demand: Vec<DemandFile>, state: StateFile) -> Self {
        let entry = |file: DemandFile| Demand {
            subject: file.subject,
            window_ms: file.window_ms,
            figures: Figures {
                sales: file.sales,
                volume: file.volume.map(|volume| volume.0).unwrap_or_default(),
                quotes: file.quotes,
                last_price: file.last_price.map(|price| price.0),
                last_at: file.last_at.map(|at| at.0),
            },
        };
        Self {
            demand: demand.into_iter().map(entry).collect(),
            values: state
                .values
                .0
                .into_iter()
                .map(|(key, value)| (key, value.0))
                .collect(),
            counters: state.counters.0,
        }
    }
}

/// Answers; lines of the log go nowhere.
impl Imports for World {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        let speaks_of = |entry: &&Demand| {
            entry.window_ms.is_none_or(|window| window == window_ms)
                && match entry.subject {
                    None => true,
                    Some(SubjectFile::Any(kind)) => kind == Kind::of(subject),
                    Some(SubjectFile::One(one)) => one == subject,
                }
        };
        self.demand
            .iter()
            .find(speaks_of)
            .map(|entry| entry.figures)
            .unwrap_or_default()
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.values.get(key).cloned()
    }

    fn counter(&self, key: &str) -> i64 {
        self.counters.get(key).copied().unwrap_or_default()
    }
}

/// A world that keeps the lines of the log.
pub(crate) struct Listening<'a> {
    world: &'a World,
    lines: Mutex<Vec<(Level, String)>>,
}

impl<'a> Listening<'a> {
    pub(crate) fn to(world: &'a World) -> Self {
        Self {
            world,
            lines: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn lines(self) -> Vec<(Level, String)> {
        self.lines
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Imports for Listening<'_> {
    fn demand(&self, subject: Subject, window_ms: u32) -> Figures {
        self.world.demand(subject, window_ms)
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.world.state(key)
    }

    fn counter(&self, key: &str) -> i64 {
        self.world.counter(key)
    }

    fn log(&self, level: Level, text: &str) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.push((level, text.to_owned()));
        }
    }
}
