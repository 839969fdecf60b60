//! The compiled contracts, as truffle writes them.

use alloy_primitives::hex;
use bourse_market::Address;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where code calls the library XBRTypes before its address is known: two underscores, the name, and underscores up to
/// the length of an address in hex.
const LIBRARY: &str = "__XBRTypes______________________________";
/// Bytes of an artifact at most. It holds the syntax tree too, and the largest of them has 3 MB.
const MOST_BYTES: u64 = 32 << 20;

/// Why there is no code to deploy.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file is missing, too large, or the system does not let it be read.
    #[error(
        "cannot read the compiled contract {path}: {error}; expected the folder `xbr/abi` of the Python package xbr 26.10.1"
    )]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        error: std::io::Error,
    },
    /// The file is something else.
    #[error("{path} is no compiled contract: {reason}; expected an artifact of truffle with its `bytecode`")]
    Nonsense {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A folder with the artifacts of the XBR contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifacts {
    folder: PathBuf,
}

/// As far as an artifact is looked at.
#[derive(Deserialize)]
struct Artifact {
    bytecode: String,
}

impl Artifacts {
    /// Those in `folder`. Nothing is read yet.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// The code that makes the contract `name`, linked with the library, and the arguments of its constructor behind it.
    ///
    /// # Errors
    ///
    /// [`ArtifactError`], naming the file.
    pub(crate) fn creation(
        &self,
        name: &str,
        library: Option<Address>,
        arguments: &[Address],
    ) -> Result<Vec<u8>, ArtifactError> {
        let path = self.folder.join(name).with_extension("json");
        let nonsense = |reason: String| ArtifactError::Nonsense {
            path: path.clone(),
            reason,
        };
        let artifact: Artifact =
            serde_json::from_slice(&read(&path)?).map_err(|error| nonsense(error.to_string()))?;
        let linked = match library {
            Some(library) => artifact.bytecode.replace(LIBRARY, &hex::encode(library.0)),
            None => artifact.bytecode,
        };
        let mut code = hex::decode(&linked).map_err(|error| nonsense(format!("its bytecode: {error}")))?;
        if code.is_empty() {
            return Err(nonsense("it has no code: an interface or a base".to_owned()));
        }
        for argument in arguments {
            // An address is the last 20 bytes of a word.
            code.extend([0; 12]);
            code.extend(argument.0);
        }
        Ok(code)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ArtifactError> {
    let unreadable = |error| ArtifactError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MOST_BYTES {
        let error = std::io::Error::other(format!("{length} bytes, {MOST_BYTES} are the most"));
        return Err(unreadable(error));
    }
    std::fs::read(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(bytecode: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(r#"{{"contractName":"C","abi":[],"bytecode":"{bytecode}","ast":{{}}}}"#);
        std::fs::write(folder.path().join("C.json"), text).unwrap();
        folder
    }

    #[test]
    fn the_placeholder_is_as_long_as_an_address() {
        assert_eq!(LIBRARY.len(), 2 * Address::LEN);
    }

    #[test]
    fn code_is_linked_and_its_arguments_follow() {
        let folder = folder(&format!("0x6001{LIBRARY}02{LIBRARY}03"));
        let library = Address([0xab; 20]);
        let code = Artifacts::at(folder.path()).creation("C", Some(library), &[Address([0xcd; 20])]);
        let address = "ab".repeat(20);
        let argument = format!("{}{}", "00".repeat(12), "cd".repeat(20));
        let expected = format!("6001{address}02{address}03{argument}");
        assert_eq!(hex::encode(code.unwrap()), expected);
    }

    #[test]
    fn what_cannot_be_deployed_is_named() {
        for (bytecode, says) in [
            (format!("0x60{LIBRARY}"), "its bytecode"),
            ("0x".to_owned(), "it has no code"),
            ("0x601".to_owned(), "its bytecode"),
        ] {
            let folder = folder(&bytecode);
            let error = Artifacts::at(folder.path()).creation("C", None, &[]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(says) && text.contains("C.json"), "{text}");
        }
        let error = Artifacts::at(Path::new("/nowhere"))
            .creation("XBRToken", None, &[])
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("/nowhere/XBRToken.json") && text.contains("xbr/abi"),
            "{text}"
        );
    }
}
