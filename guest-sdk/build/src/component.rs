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
    ComponentEncoder::default()
        .validate(true)
        .module(bytes)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| BuildError::NoComponent {
            path: path.to_path_buf(),
            reason: format!("{error:#}; does its code say `#[bourse::policy]`?"),
        })
}
