//! `bourse` for the tests that need it as a process: cargo builds a package's own binaries for its tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    bourse_app::cli::run()
}
