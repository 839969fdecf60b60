//! The binary: parse, run, tell the shell how it went.

use std::process::ExitCode;

/// Requests of many sizes come and go on several threads, which the system's allocator makes wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bourse_app::cli::run()
}
