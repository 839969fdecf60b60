//! The binary: parse, run, tell the shell how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    bourse_app::cli::run()
}
