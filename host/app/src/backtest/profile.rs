//! Where the fuel of calls goes: their stacks, sampled at even distances of fuel.

use super::ask::{Known, Params, ask};
use super::flame::Stacks;
use super::source::{Source, SourceError};
use super::trial::is_chosen;
use bourse_policy::{Record, Revision};
use core::ops::ControlFlow;

/// Decisions of a log that are sampled at most, evenly spaced over it.
const CALLS: usize = 256;

/// What stands for the stack past the last place of a call where fuel is counted.
const END: &str = "(end of the call)";

/// A profile.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Calls that were sampled.
    pub(crate) calls: u64,
    /// Fuel they burned together.
    pub(crate) fuel: u64,
    /// The stacks.
    pub(crate) stacks: Stacks,
}

impl Profile {
    /// Whether no function has a name, as in a component that was stripped.
    pub(crate) fn is_nameless(&self) -> bool {
        let functions = self.stacks.functions();
        !functions
            .iter()
            .any(|(name, ..)| name != END && !name.starts_with("function "))
    }
}

/// Samples the calls of `records`, all made by this `revision`, some `samples` times, evenly over their fuel.
pub(crate) fn profile(
    revision: &Revision,
    records: &[Record],
    samples: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Profile {
    let fuel = records
        .iter()
        .fold(0u64, |sum, record| sum.saturating_add(record.fuel));
    let mut profile = Profile {
        calls: records.len() as u64,
        fuel,
        stacks: Stacks::default(),
    };
    let step = fuel.checked_div(samples.max(1)).unwrap_or(0).max(1);
    // In the middle of each stretch, so that no sample falls on the very beginning, which every call shares.
    let mut next = step / 2;
    let mut before = 0u64;
    for record in records {
        let end = before.saturating_add(record.fuel);
        while next < end {
            let stack = revision
                .stack_after(record, next.saturating_sub(before))
                .unwrap_or_else(|| vec![END.to_owned()]);
            profile
                .stacks
                .add(stack.iter().map(|name| readable(name)).collect());
            next = next.saturating_add(step);
            progress(next.min(fuel), fuel);
        }
        before = end;
    }
    profile
}

/// A function's name as its author wrote it: Rust's compiler spells paths and types out in letters.
fn readable(name: &str) -> String {
    // The alternate form leaves out the hash behind each name.
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Decisions of a log, made again by `revision`: as many as a profile samples, evenly spaced. Those that ask what the log
/// does not answer are left out.
///
/// # Errors
///
/// [`SourceError`] if the log cannot be read.
pub(crate) fn calls_of(
    revision: &Revision,
    source: &Source,
    of: &[String],
) -> Result<Vec<Record>, SourceError> {
    let own = [revision.name().to_owned()];
    let of = if of.is_empty() { own.as_slice() } else { of };
    let mut kept = Vec::new();
    let mut stride = 1usize;
    let mut seen = 0usize;
    source.visit(&mut |raw| {
        let Ok(entry) = raw.decode() else {
            return ControlFlow::Continue(());
        };
        let record = entry.record;
        if revision.has(record.hook) && is_chosen(of, &record.policy, record.revision.0) {
            if seen.is_multiple_of(stride) {
                kept.push(record);
            }
            seen = seen.saturating_add(1);
            if kept.len() > CALLS.saturating_mul(2) {
                // Every second one goes, and of those to come only as many are kept.
                let mut keep = false;
                kept.retain(|_| {
                    keep = !keep;
                    keep
                });
                stride = stride.saturating_mul(2);
            }
        }
        ControlFlow::Continue(())
    })?;
    let known = Known::default();
    Ok(kept
        .iter()
        .filter_map(|record| ask(revision, record, &Params::default(), &known, None).ok())
        .filter(|said| said.grounds.unknown.is_empty())
        .map(|said| said.record)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_people_write() {
        for (name, shown) in [
            (
                "_ZN6bourse5hooks5quote17h9ee57ff036c9b556E",
                "bourse::hooks::quote",
            ),
            (
                "_ZN64_$LT$bourse..amount..Amount$u20$as$u20$core..cmp..PartialOrd$GT$11partial_cmp17h9119e7194555d3fdE",
                "<bourse::amount::Amount as core::cmp::PartialOrd>::partial_cmp",
            ),
            ("cabi_realloc", "cabi_realloc"),
            ("function 12", "function 12"),
        ] {
            assert_eq!(readable(name), shown);
        }
    }
}
