//! The state machine.
use crate::{Changes, Command, Fault, Outcome, Refusal, View};

/// Decides one command. On refusal nothing changes.
///
/// # Errors
///
/// [`Fault::Refused`] if the rules say no, [`Fault::View`] if a record could not be read.
pub fn apply<V: View>(_view: &V, _command: &Command) -> Result<(Changes, Outcome), Fault<V::Error>> {
    Err(Refusal::NoGenesis.into())
}
