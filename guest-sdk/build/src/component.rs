//! From a core module to a component.

use crate::error::BuildError;
use std::path::Path;
use wit_component::ComponentEncoder;

/// Makes the core module `bytes`, which `path` names in errors, a component of the interfaces it carries as metadata.
///
/// # Errors
///
/// [`BuildError::NoComponent`] if it carries none, or does not implement them.
pub fn component(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, BuildError> {
    encode(bytes).map_err(|reason| BuildError::NoComponent {
        path: path.to_path_buf(),
        reason: format!("{reason}; does its code say `#[bourse::policy]`?"),
    })
}

/// As [`component`], for a module in any language; the error is what the encoder says.
pub(crate) fn encode(bytes: &[u8]) -> Result<Vec<u8>, String> {
    ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| format!("{error:#}"))
}
