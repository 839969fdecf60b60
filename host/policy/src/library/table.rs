//! What the library knows of each policy beside its revisions, and the part of it that outlives the process.

use super::disk::{self, Disk, Stamp};
use crate::load::check_name;
use bourse_market::RevisionId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The version of the file; another one is not understood.
const VERSION: u32 = 1;

/// Bytes of the file that are read: a thousand policies with full histories take fewer.
const MAX_FILE: u64 = 16 << 20;

/// Good revisions that a policy remembers, the active one included.
pub(crate) const MAX_GOOD: usize = 32;

/// A revision that was in force and may be again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Good {
    /// Its hash, in hex.
    #[serde(with = "text")]
    pub(crate) id: RevisionId,
    /// The content of its signature file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    /// Whether a command put it there, not a file of the operator.
    #[serde(default)]
    pub(crate) deployed: bool,
}

/// What is kept of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Good revisions, the most recent last.
    #[serde(default)]
    pub(crate) good: Vec<Good>,
    /// An operator switched it off.
    #[serde(default)]
    pub(crate) disabled: bool,
    /// Its file is gone on purpose: no good revision stands in for it until a new file is good.
    #[serde(default)]
    pub(crate) removed: bool,
    /// The revision in its shadow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shadow: Option<Good>,
}

impl Kept {
    /// `good` is in force now.
    pub(crate) fn push(&mut self, good: Good) {
        // Beside itself it would only be asked twice.
        self.shadow = self.shadow.take().filter(|shadow| shadow.id != good.id);
        self.good.retain(|earlier| earlier.id != good.id);
        self.good.push(good);
        let over = self.good.len().saturating_sub(MAX_GOOD);
        self.good.drain(..over);
        self.removed = false;
    }

    /// Its file is gone, and nothing ships in its place.
    pub(crate) fn remove(&mut self) {
        self.removed = !self.good.is_empty();
        self.shadow = None;
    }

    /// The history before the revision `active`, or the whole of it where none is active; the most recent last.
    pub(crate) fn before(&self, active: Option<RevisionId>) -> &[Good] {
        let end = active.and_then(|active| self.good.iter().rposition(|good| good.id == active));
        self.good
            .get(..end.unwrap_or(self.good.len()))
            .unwrap_or_default()
    }
}

/// A policy's two files, as they were at one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    pub(crate) wasm: Option<Stamp>,
    pub(crate) signature: Option<Stamp>,
}

/// What is known of a policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) kept: Kept,
    /// The files that were dealt with last.
    pub(crate) seen: Look,
    /// Files that look new, and may still be written.
    pub(crate) pending: Option<Look>,
    /// `seen` was written a moment ago, and is to be compared by content once.
    pub(crate) doubtful: bool,
    /// Why the file is refused.
    pub(crate) trouble: Option<String>,
}

impl Slot {
    /// The files of `look` were dealt with, and refused if there is `trouble`.
    pub(crate) fn dealt_with(&mut self, look: Look, trouble: Option<String>) {
        self.seen = look;
        self.pending = None;
        self.trouble = trouble;
    }

    /// A command wrote the files of `look`.
    pub(crate) fn written(&mut self, look: Look) {
        self.dealt_with(look, None);
        self.doubtful = true;
    }
}

/// All slots, and the file of what is kept.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) slots: BTreeMap<String, Slot>,
    /// Files of the folder that cannot be policies, by a printable form of their stems.
    pub(crate) strays: BTreeMap<String, String>,
    path: PathBuf,
    written: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct File {
    v: u32,
    policies: BTreeMap<String, Kept>,
}

impl Table {
    /// Reads the file at `path`. Content that makes no sense is set aside, with a notice; then nothing is known.
    pub(crate) fn open(disk: &Disk, path: PathBuf, notices: &mut Vec<String>) -> std::io::Result<Self> {
        let bytes = match disk::read(&path, MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut table = Self {
            path,
            ..Self::default()
        };
        if bytes.is_empty() {
            return Ok(table);
        }
        match parse(&bytes) {
            Ok(policies) => {
                table.written = bytes;
                table.slots = policies
                    .into_iter()
                    .map(|(name, kept)| {
                        let slot = Slot {
                            kept,
                            ..Slot::default()
                        };
                        (name, slot)
                    })
                    .collect();
            }
            Err(reason) => {
                let aside = table.path.with_extension("json.bad");
                let moved = disk.rename(&table.path, &aside);
                notices.push(format!(
                    "the history of the policies in {} is damaged ({reason}): the files in the folder of policies \
                     decide alone, no policy is disabled or shadowed, and there is nothing to roll back to. {}",
                    table.path.display(),
                    match moved {
                        Ok(()) => format!("It was moved to {}", aside.display()),
                        Err(error) => format!("It could not be moved aside: {error}"),
                    },
                ));
            }
        }
        Ok(table)
    }

    /// Writes what is kept, if it changed; durable on return.
    pub(crate) fn save(&mut self, disk: &Disk) -> std::io::Result<()> {
        let policies = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.kept != Kept::default())
            .map(|(name, slot)| (name.clone(), slot.kept.clone()))
            .collect();
        let mut bytes = serde_json::to_vec_pretty(&File { v: VERSION, policies })?;
        bytes.push(b'\n');
        if bytes == self.written {
            return Ok(());
        }
        // A write that fails may have left either: the next one must not be spared.
        self.written.clear();
        disk.write(&self.path, &bytes)?;
        self.written = bytes;
        Ok(())
    }

    /// Where it is kept.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The slot of a policy, made if there is none.
    pub(crate) fn slot(&mut self, name: &str) -> &mut Slot {
        self.slots.entry(name.to_owned()).or_default()
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Kept>, String> {
    let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file.v != VERSION {
        return Err(format!("version {}, expected {VERSION}", file.v));
    }
    // Names become paths.
    for name in file.policies.keys() {
        check_name(name).map_err(|error| error.to_string())?;
    }
    Ok(file.policies)
}

/// A revision's hash as hex digits.
mod text {
    use bourse_market::RevisionId;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &RevisionId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(id.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RevisionId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
