//! The licence that members of the network accept.

use super::Content;
use anyhow::{Context, ensure};
use bourse_chain::{ContentId, MAX_TEXT};
use std::path::Path;
use std::sync::Arc;

/// The licence: its hash as XBRNetwork has it, and its text where that is known.
#[derive(Debug)]
pub(crate) struct Licence {
    id: Option<ContentId>,
    /// From the operator's file.
    text: Option<Arc<str>>,
}

impl Licence {
    /// The licence of this hash, its text in `file` if there is one.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is no licence of that hash.
    pub(crate) fn of(hash: Option<&str>, file: Option<&Path>) -> anyhow::Result<Self> {
        let id = hash.and_then(|hash| hash.parse().ok());
        let text = match file {
            None => None,
            Some(file) => Some(read(hash, id, file)?),
        };
        Ok(Self { id, text })
    }

    /// Where the text can be had by anybody.
    pub(crate) fn url(&self) -> Option<String> {
        self.id.map(|id| format!("ipfs://{id}"))
    }

    /// What is to be fetched.
    pub(crate) fn missing(&self) -> Option<ContentId> {
        self.id.filter(|_| self.text.is_none())
    }

    /// The text; none while it is not known. May read a file: for a worker.
    pub(crate) fn text(&self, content: &Content) -> Option<String> {
        match &self.text {
            Some(text) => Some(text.to_string()),
            None => content.get(self.id?),
        }
    }
}

fn read(hash: Option<&str>, id: Option<ContentId>, file: &Path) -> anyhow::Result<Arc<str>> {
    let shown = file.display();
    let hash = hash.with_context(|| {
        format!("chain.eula_file is {shown}, and without a chain there is no licence to accept: leave it out")
    })?;
    let id =
        id.with_context(|| format!("chain.eula_file is {shown}, and the hash of the licence that XBRNetwork names, `{hash}`, is none of IPFS"))?;
    let length = std::fs::metadata(file)
        .with_context(|| format!("chain.eula_file is {shown}: it cannot be read"))?
        .len();
    ensure!(
        length <= MAX_TEXT as u64,
        "chain.eula_file is {shown}, of {length} bytes: a licence of more than {MAX_TEXT} cannot be compared with its hash"
    );
    let bytes =
        std::fs::read(file).with_context(|| format!("chain.eula_file is {shown}: it cannot be read"))?;
    id.block_of_text(&bytes).with_context(|| {
        format!("chain.eula_file is {shown}, and that is not the licence which XBRNetwork names, {id}: every byte counts")
    })?;
    let text = String::from_utf8(bytes)
        .with_context(|| format!("chain.eula_file is {shown}: it is no text in UTF-8"))?;
    Ok(text.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    const HELLO: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";

    #[test]
    fn a_file_is_the_licence_if_its_hash_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eula.txt");
        let content = Content::in_folder(folder.path(), None);
        let licence = |hash| Licence::of(hash, Some(&file));
        let missing = format!("{:#}", licence(Some(HELLO)).unwrap_err());
        assert!(missing.contains("cannot be read"), "{missing}");
        std::fs::write(&file, "hello world").unwrap();
        let known = licence(Some(HELLO)).unwrap();
        assert_eq!(known.text(&content).as_deref(), Some("hello world"));
        assert_eq!(known.url().as_deref(), Some(&*format!("ipfs://{HELLO}")));
        assert_eq!(known.missing(), None);
        for (hash, says) in [(None, "without a chain"), (Some("../eula"), "none of IPFS")] {
            let refused = format!("{:#}", licence(hash).unwrap_err());
            assert!(refused.contains(says), "{refused}");
        }
        for bytes in [b"hello world\n".to_vec(), vec![b'a'; MAX_TEXT + 1]] {
            std::fs::write(&file, bytes).unwrap();
            let refused = format!("{:#}", licence(Some(HELLO)).unwrap_err());
            assert!(refused.contains("chain.eula_file is"), "{refused}");
        }
        let bare = Licence::of(Some(HELLO), None).unwrap();
        assert_eq!((bare.text(&content), bare.missing().is_some()), (None, true));
    }
}
