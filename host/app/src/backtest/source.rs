//! Where decisions come from: an export, or the data folder of a market, which may be running.

mod folder;

use super::entry::{MAX_LINE, Raw};
use super::sales::Sold;
use bourse_market::PurchaseId;
use bourse_store::{OpenError, StoreError};
use core::ops::ControlFlow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

pub(crate) use folder::Folder;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The system says no.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder that holds neither a ledger nor a decision log.
    #[error(
        "{} holds no decisions: expected the data folder of a market, or a file that `bourse decisions export` wrote",
        path.display()
    )]
    NothingThere {
        /// The folder.
        path: PathBuf,
    },
    /// The ledger of a data folder does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The ledger or the decision log of a data folder does not read.
    #[error(transparent)]
    Ledger(#[from] StoreError),
}

/// A log that can be read as often as it takes.
#[derive(Debug)]
pub(crate) enum Source {
    /// Lines of JSON.
    File {
        /// The file.
        path: PathBuf,
        /// Its bytes when it was opened.
        bytes: u64,
    },
    /// The data folder of a market.
    Folder(Folder),
}

impl Source {
    /// Finds out what `path` is.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if it holds no decisions or cannot be looked at.
    pub(crate) fn open(path: &Path, map_size: usize) -> Result<Self, SourceError> {
        let meta = std::fs::metadata(path).map_err(|source| SourceError::Read {
            path: path.to_owned(),
            source,
        })?;
        if meta.is_dir() {
            return Folder::open(path, map_size).map(Self::Folder);
        }
        Ok(Self::File {
            path: path.to_owned(),
            bytes: meta.len(),
        })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Folder(folder) => folder.path(),
        }
    }

    /// About how many bytes it has, for progress.
    pub(crate) fn weight(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            Self::Folder(folder) => folder.weight(),
        }
    }

    /// Shows every purchase that was ever posted to `each`, if this is a place that knows: a ledger does, an export only
    /// has those that a policy priced. True if it is.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if the ledger cannot be read.
    pub(crate) fn sales(&self, each: &mut dyn FnMut(PurchaseId, Sold)) -> Result<bool, SourceError> {
        match self {
            Self::File { .. } => Ok(false),
            Self::Folder(folder) => folder.sales(each),
        }
    }

    /// Shows its entries to `each`, in the order of the log, until it breaks off. Says in how many places decisions were
    /// lost to damage; lines of a file that are damaged are entries, and say so when they are decoded.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if it cannot be read further.
    pub(crate) fn visit(&self, each: &mut dyn FnMut(Raw) -> ControlFlow<()>) -> Result<u64, SourceError> {
        match self {
            Self::File { path, .. } => {
                let failed = |source| SourceError::Read {
                    path: path.clone(),
                    source,
                };
                let file = File::open(path).map_err(failed)?;
                lines(BufReader::with_capacity(1 << 20, file), each).map_err(failed)?;
                Ok(0)
            }
            Self::Folder(folder) => folder.visit(each),
        }
    }
}

/// Cuts text into lines. Empty ones are none, and of a line that no decision can have only so much is kept as tells it.
fn lines(mut text: impl BufRead, each: &mut dyn FnMut(Raw) -> ControlFlow<()>) -> Result<(), std::io::Error> {
    let mut number = 0u64;
    loop {
        let mut bytes = Vec::new();
        let room = MAX_LINE as u64 + 2;
        if text.by_ref().take(room).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        number = number.saturating_add(1);
        let whole = bytes.last() == Some(&b'\n');
        if whole {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if !whole && bytes.len() > MAX_LINE {
            text.skip_until(b'\n')?;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if each(Raw::Line { number, bytes }).is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backtest::entry::Place;

    fn read(text: &[u8]) -> Vec<(u64, usize)> {
        let mut seen = Vec::new();
        lines(text, &mut |raw| {
            if let Raw::Line { number, bytes } = raw {
                seen.push((number, bytes.len()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        seen
    }

    #[test]
    fn lines_keep_their_numbers_where_others_are_empty() {
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\n"), []);
        assert_eq!(read(b"a\n\r\nbc\r\n  \nd"), [(1, 1), (3, 2), (5, 1)]);
    }

    #[test]
    fn a_line_without_end_is_skipped_in_bounded_memory_and_the_next_one_is_read() {
        let mut text = vec![b'x'; MAX_LINE + (1 << 20)];
        text.extend(b"\nok");
        assert_eq!(read(&text), [(1, MAX_LINE + 2), (2, 2)]);
        let longest = [vec![b'x'; MAX_LINE], b"\nok".to_vec()].concat();
        assert_eq!(read(&longest), [(1, MAX_LINE), (2, 2)]);
    }

    #[test]
    fn what_is_no_decision_is_named_with_its_line() {
        let long = vec![b'['; MAX_LINE + 1];
        let deep = [b"{\"x\":".to_vec(), vec![b'['; 1_000_000]].concat();
        let bad_utf8 = b"{\"v\":1,\xff}".to_vec();
        let version = format!(
            "of version 99, this host reads version {}",
            bourse_policy::RECORD_VERSION
        );
        for (bytes, why) in [
            (long.as_slice(), "longer than"),
            (deep.as_slice(), "not a decision"),
            (bad_utf8.as_slice(), "not UTF-8 from byte 7"),
            (b"nonsense".as_slice(), "expected"),
            (b"{}", "missing field"),
            (b"{\"v\":99}", version.as_str()),
            (b"{\"v\":1,\"hook\":\"\x1b[31m\"}", "not a decision"),
            (b"null", "not a decision"),
        ] {
            let raw = Raw::Line {
                number: 17,
                bytes: bytes.to_vec(),
            };
            let unreadable = raw.decode().unwrap_err();
            assert_eq!(unreadable.place, Place::Line(17));
            assert!(unreadable.why.contains(why), "{}", unreadable.why);
            assert!(!unreadable.why.contains('\u{1b}') && !unreadable.why.contains("line 1 "));
            assert!(unreadable.why.len() < 1000);
        }
    }
}
