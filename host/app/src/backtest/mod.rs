//! Recorded decisions made again: exactly, by the revision that made them, or by another to see what would differ.
//!
//! What lives here: reading a log of decisions wherever it lies ([`Source`]), exact replay ([`exact`]), the trial of a
//! policy on recorded history ([`Trial`], [`Report`]), and the drawings of both. Pure but for the reading: a log and
//! revisions in, a report out.
//!
//! What never does: the sandbox itself (`bourse-policy`), arguments and tables (`commands`), and anything that changes
//! a market. Logs come from elsewhere and are not trusted: whatever a line holds is an error with its number at worst.

mod ask;
mod change;
mod entry;
pub(crate) mod exact;
mod flame;
mod html;
mod plot;
mod pool;
mod profile;
mod report;
mod revisions;
mod sales;
mod source;
mod state;
mod stats;
pub(crate) mod table;
mod tally;
mod text;
pub(crate) mod time;
mod trial;

pub(crate) use ask::{Base, Params, params};
pub(crate) use entry::Unreadable;
pub(crate) use exact::{Field, Repeat, repeat};
pub(crate) use html::page;
pub(crate) use pool::cores;
pub(crate) use profile::{Profile, calls_of, profile};
pub(crate) use report::Report;
pub(crate) use revisions::{Revisions, load};
pub(crate) use source::{Folder, Source};
pub(crate) use trial::{Trial, run};

#[cfg(test)]
mod tests;
