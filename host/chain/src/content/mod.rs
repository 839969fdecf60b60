//! Texts that the chain names by their hash alone: what their names are, and how the bytes behind one are got and proven.
//!
//! What lives here: [`ContentId`], an IPFS id of version 0; what a block must be for its id; and the [`Gateway`] that
//! hands blocks over and is believed nothing.
//!
//! What never does: keeping what was fetched, trying again, and files of several blocks.

mod block;
mod gateway;
mod id;

pub use gateway::{Gateway, GatewayError};
pub use id::{ContentId, ContentIdError};

/// Bytes of a text in one block at most: IPFS cuts files into parts of this size.
pub const MAX_TEXT: usize = 256 * 1024;
/// Bytes of a block at most: the text and what describes it.
pub const MAX_BLOCK: usize = MAX_TEXT + 1024;

/// Why bytes are not the text that an id names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The bytes are something else.
    #[error("the hash of these {length} bytes is not that of {id}")]
    Other {
        /// What was wanted.
        id: ContentId,
        /// How many bytes there are.
        length: usize,
    },
    /// It is more than one block.
    #[error("{id} is made of several blocks, and only texts of one block are read: up to {MAX_TEXT} bytes")]
    Several {
        /// Which.
        id: ContentId,
    },
    /// It is a folder, or nothing that IPFS knows.
    #[error("{id} is no file: {what}")]
    NoFile {
        /// Which.
        id: ContentId,
        /// What it is instead.
        what: &'static str,
    },
    /// It is a file, and no text.
    #[error("{id} is no text: it is not UTF-8")]
    NoText {
        /// Which.
        id: ContentId,
    },
}

impl ContentId {
    /// The text in a block, if the block is the one that this names.
    ///
    /// # Errors
    ///
    /// [`ContentError`].
    pub fn text_of_block(&self, block: &[u8]) -> Result<String, ContentError> {
        if *self != Self::of_block(block) {
            return Err(ContentError::Other {
                id: *self,
                length: block.len(),
            });
        }
        let text = block::file_in(*self, block)?;
        let text = core::str::from_utf8(text).map_err(|_| ContentError::NoText { id: *self })?;
        Ok(text.to_owned())
    }

    /// The block that holds a text, if it is the one that this names. A text that is longer than [`MAX_TEXT`] has none.
    ///
    /// # Errors
    ///
    /// [`ContentError`].
    pub fn block_of_text(&self, text: &[u8]) -> Result<Vec<u8>, ContentError> {
        let block = block::of_file(text);
        if text.len() > MAX_TEXT || *self != Self::of_block(&block) {
            return Err(ContentError::Other {
                id: *self,
                length: text.len(),
            });
        }
        Ok(block)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    fn id(text: &str) -> ContentId {
        text.parse().unwrap()
    }

    /// As `ipfs add` names them.
    #[test]
    fn a_text_has_the_id_that_ipfs_gives_it_and_no_other() {
        let known: [(&str, &[u8]); 3] = [
            ("QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", b""),
            ("Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD", b"hello world"),
            ("QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o", b"hello world\n"),
        ];
        for (name, text) in known {
            let block = id(name).block_of_text(text).unwrap();
            let read = id(name).text_of_block(&block).unwrap();
            assert_eq!(read.as_bytes(), text);
            let wrong = id(name).block_of_text(b"hello worlds").unwrap_err();
            assert!(matches!(wrong, ContentError::Other { length: 12, .. }), "{wrong}");
        }
    }

    fn named(block: &[u8]) -> Result<String, ContentError> {
        ContentId::of_block(block).text_of_block(block)
    }

    #[test]
    fn what_is_no_text_in_one_block_is_told_apart() {
        let file = block::of_file(b"hello");
        assert_eq!(named(&file).unwrap(), "hello");
        assert!(matches!(
            named(&block::of_file(&[0xFF])),
            Err(ContentError::NoText { .. })
        ));
        // A link to another block before the data, as canonical blocks have it.
        let link = [[0x12, 2, 0x0A, 0].as_slice(), &file].concat();
        assert!(matches!(named(&link), Err(ContentError::Several { .. })));
        // The empty folder.
        let folder = [0x0A, 2, 8, 1];
        assert_eq!(
            ContentId::of_block(&folder).to_string(),
            "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
        );
        assert!(matches!(named(&folder), Err(ContentError::NoFile { .. })));
        for block in [
            b"".as_slice(),
            b"hello",
            // Lengths that reach behind the end, endless numbers, parts of unknown kinds.
            &[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            &[0x0A, 5, 8, 2],
            &[0xFF; 12],
            &[0x0B, 1, 1],
            &[0x0A, 4, 8, 2, 0x12, 9],
        ] {
            assert!(
                matches!(named(block), Err(ContentError::NoFile { .. })),
                "{block:?}"
            );
        }
    }
}
