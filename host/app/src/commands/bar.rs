//! A progress bar on a terminal, nothing anywhere else.

use std::io::{IsTerminal, Write};

/// Width of a bar in characters.
const WIDTH: u64 = 40;

/// A progress bar on standard error. It is gone when it is dropped.
pub(crate) struct Bar {
    what: &'static str,
    shown: Option<u64>,
    terminal: bool,
}

impl Bar {
    /// A bar for `what` is done, such as `verifying`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            shown: None,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Shows that `done` of `all` is done.
    pub(crate) fn show(&mut self, done: u64, all: u64) {
        let percent = (u128::from(done) * 100)
            .checked_div(u128::from(all))
            .map_or(0, |percent| u64::try_from(percent.min(100)).unwrap_or(100));
        if !self.terminal || self.shown == Some(percent) {
            return;
        }
        self.shown = Some(percent);
        let filled = usize::try_from(percent * WIDTH / 100).unwrap_or_default();
        eprint!("\r{} [{:<40}] {percent:>3} %", self.what, "#".repeat(filled));
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[2K");
        }
    }
}
