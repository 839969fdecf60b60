//! Lines on standard output, which whoever reads them may close before the program ends: `seller | head -1`.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line.
///
/// # Errors
///
/// If it cannot be written; of kind [`ErrorKind::BrokenPipe`] if nobody reads any more.
pub fn say(line: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

/// What a program ends with: that nobody reads its lines any more is no error.
///
/// # Errors
///
/// Any other that it ended with.
pub fn unless_unread(ended: anyhow::Result<()>) -> anyhow::Result<()> {
    match ended {
        Err(error) if is_unread(&error) => Ok(()),
        ended => ended,
    }
}

fn is_unread(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_nobody_reads_end_a_program_without_an_error() {
        let ended = |kind: ErrorKind| unless_unread(Err(io::Error::from(kind).into()));
        ended(ErrorKind::BrokenPipe).unwrap();
        ended(ErrorKind::StorageFull).unwrap_err();
        unless_unread(Ok(())).unwrap();
        unless_unread(Err(anyhow::anyhow!("the market closed the connection"))).unwrap_err();
    }
}
