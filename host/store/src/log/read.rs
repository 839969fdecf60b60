//! Reading a decision log, also beside its writer.

use super::frame::{Found, Frames};
use super::segment::Segment;
use crate::codec;
use crate::error::StoreError;
use bourse_market::{Decision, Nanos};
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// How far the order of a log may be off the order of times: decisions are appended when they are taken and carry the
/// time at which their request was decoded.
const SLACK_MS: u64 = 60_000;

/// What the table of codec errors is called for records of the log.
const TABLE: &str = "decisions";

/// What came of reading a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogRead {
    /// Decisions that were shown.
    pub decisions: u64,
    /// Damaged places that were skipped: each a record, or several in a row whose heads are gone.
    pub damaged: u64,
    /// Segments that end in the middle of a record, because the writer was stopped there, or is writing there now.
    pub torn: u64,
}

/// Shows every decision of the log in `folder` to `visit`, in the order in which they were appended, until it breaks off.
/// No folder is an empty log. The log may be written meanwhile: what was written before this call is shown, unless
/// retention removes it first.
///
/// # Errors
///
/// [`StoreError`] if the folder or a file cannot be read; damage is no error, see [`LogRead`].
pub fn read_log(
    folder: &Path,
    visit: &mut dyn FnMut(Decision) -> ControlFlow<()>,
) -> Result<LogRead, StoreError> {
    read_log_between(folder, Nanos(0), Nanos(u64::MAX), visit)
}

/// As [`read_log`], of the decisions taken at `from` and later, before `to`. Segments that cannot hold any are not read.
///
/// # Errors
///
/// As [`read_log`].
pub fn read_log_between(
    folder: &Path,
    from: Nanos,
    to: Nanos,
    visit: &mut dyn FnMut(Decision) -> ControlFlow<()>,
) -> Result<LogRead, StoreError> {
    let mut read = LogRead::default();
    let segments = Segment::list(folder).map_err(|error| failed("cannot list", folder, &error))?;
    for (place, segment) in segments.iter().enumerate() {
        let next = segments.get(place.saturating_add(1));
        let too_old = next.is_some_and(|next| next.first.plus_millis(SLACK_MS) < from);
        let too_new = segment.first >= to.plus_millis(SLACK_MS);
        if too_old || too_new {
            continue;
        }
        let Some(bytes) = load(folder, segment)? else {
            continue;
        };
        let within = |decision: &Decision| (from..to).contains(&decision.header.at);
        if scan(&bytes, segment, &within, &mut read, visit).is_break() {
            break;
        }
    }
    Ok(read)
}

/// The time of the newest decision in a segment, as far as it can be read.
pub(super) fn newest(folder: &Path, segment: &Segment) -> Option<Nanos> {
    let bytes = load(folder, segment).ok()??;
    let mut newest = None;
    let _ = scan(
        &bytes,
        segment,
        &|_| true,
        &mut LogRead::default(),
        &mut |decision| {
            newest = newest.max(Some(decision.header.at));
            ControlFlow::Continue(())
        },
    );
    newest
}

fn scan(
    bytes: &[u8],
    segment: &Segment,
    within: &dyn Fn(&Decision) -> bool,
    read: &mut LogRead,
    visit: &mut dyn FnMut(Decision) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for found in Frames::of(bytes, segment.sequence) {
        match found {
            Found::Body(body) => match codec::decode::<Decision>(TABLE, body) {
                Ok(decision) if within(&decision) => {
                    read.decisions = read.decisions.saturating_add(1);
                    visit(decision)?;
                }
                Ok(_) => {}
                Err(_) => read.damaged = read.damaged.saturating_add(1),
            },
            Found::Damaged => read.damaged = read.damaged.saturating_add(1),
            Found::Torn(_) => read.torn = read.torn.saturating_add(1),
        }
    }
    ControlFlow::Continue(())
}

/// The bytes of a segment; none if retention has removed it since it was listed.
fn load(folder: &Path, segment: &Segment) -> Result<Option<Vec<u8>>, StoreError> {
    let path = segment.path(folder);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("cannot read", &path, &error)),
    }
}

fn failed(what: &'static str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::File {
        what,
        path: path.to_owned(),
        why: error.to_string(),
    }
}
