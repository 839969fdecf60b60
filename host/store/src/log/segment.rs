//! Segment files: their names and order.

use bourse_market::Nanos;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const ENDING: &str = "decisions";

/// A segment file, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its place in the order.
    pub(super) sequence: u64,
    /// Time of its first decision.
    pub(super) first: Nanos,
}

impl Segment {
    /// Where it is.
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:010}-{:020}.{ENDING}", self.sequence, self.first.0))
    }

    fn parse(name: &str) -> Option<Self> {
        let (sequence, first) = name.strip_suffix(ENDING)?.strip_suffix('.')?.split_once('-')?;
        Some(Self {
            sequence: sequence.parse().ok()?,
            first: Nanos(first.parse().ok()?),
        })
    }

    /// The segments in `folder`, oldest first; none if there is no such folder. Other files are left alone.
    pub(super) fn list(folder: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut segments = Vec::new();
        for entry in entries {
            segments.extend(entry?.file_name().to_str().and_then(Self::parse));
        }
        segments.sort_by_key(|segment| segment.sequence);
        Ok(segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_it_was_made_of_and_other_files_are_not_segments() {
        let segment = Segment {
            sequence: 12,
            first: Nanos(1_700_000_000_000_000_000),
        };
        let path = segment.path(Path::new("/x"));
        assert_eq!(
            path.to_str().unwrap(),
            "/x/0000000012-01700000000000000000.decisions"
        );
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(Segment::parse(name), Some(segment));
        for other in [
            "bourse.lock",
            "1-2",
            "1-2.decision",
            "x-2.decisions",
            ".decisions",
            "12.decisions",
        ] {
            assert_eq!(Segment::parse(other), None, "{other}");
        }
    }
}
