//! The blocks that were fetched, each a file named by its hash: what is read is compared with its name again.

use bourse_chain::{ContentId, MAX_BLOCK};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;

/// Blocks that are kept: of a quarter of a mebibyte at most each, a gibibyte together. Anybody may put names on the chain;
/// beyond these, the one that was asked for longest ago makes room, and is fetched again if need be.
const MAX_BLOCKS: usize = 4096;

/// The files.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// When each was asked for last, in an order of its own.
    blocks: HashMap<ContentId, u64>,
    clock: u64,
}

impl Known {
    fn touch(&mut self, id: ContentId) {
        self.clock += 1;
        self.blocks.insert(id, self.clock);
    }
}

impl Shelf {
    /// What is in `folder`. That it cannot be read is no reason not to start: all of it can be fetched again.
    pub(super) fn at(folder: PathBuf) -> Self {
        let mut known = Known::default();
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if let Some(id) = entry.file_name().to_str().and_then(named) {
                known.touch(id);
            }
        }
        Self {
            folder,
            known: Mutex::new(known),
        }
    }

    pub(super) fn has(&self, id: ContentId) -> bool {
        self.known.lock().blocks.contains_key(&id)
    }

    /// The text, if its block is here and sound.
    pub(super) fn get(&self, id: ContentId) -> Option<String> {
        if !self.has(id) {
            return None;
        }
        let mut block = Vec::new();
        let read = std::fs::File::open(self.path(id))
            .and_then(|file| file.take(MAX_BLOCK as u64 + 1).read_to_end(&mut block));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.drop(id);
                return None;
            }
            // It may be read another time.
            Err(error) => {
                tracing::warn!(%id, %error, "what was fetched of IPFS cannot be read now");
                return None;
            }
        }
        match id.text_of_block(&block) {
            Ok(text) => {
                self.known.lock().touch(id);
                Some(text)
            }
            Err(reason) => {
                tracing::warn!(%id, %reason, "what was fetched of IPFS is damaged on disk: it is fetched again");
                self.drop(id);
                None
            }
        }
    }

    /// Keeps a block, which is the one that `id` names.
    pub(super) fn put(&self, id: ContentId, block: &[u8]) -> std::io::Result<()> {
        loop {
            let oldest = {
                let known = self.known.lock();
                let full = known.blocks.len() >= MAX_BLOCKS;
                let oldest = known.blocks.iter().min_by_key(|(_, at)| **at);
                oldest.filter(|_| full).map(|(id, _)| *id)
            };
            let Some(oldest) = oldest else { break };
            self.drop(oldest);
        }
        std::fs::create_dir_all(&self.folder)?;
        // Whoever is killed in between leaves no half of a block under its name.
        let draft = self.path(id).with_extension("new");
        std::fs::write(&draft, block)?;
        std::fs::rename(&draft, self.path(id))?;
        self.known.lock().touch(id);
        Ok(())
    }

    fn drop(&self, id: ContentId) {
        self.known.lock().blocks.remove(&id);
        // It may be gone already.
        let _ = std::fs::remove_file(self.path(id));
    }

    fn path(&self, id: ContentId) -> PathBuf {
        self.folder.join(hex::encode(id.digest()))
    }
}

/// The id that a file is named by.
fn named(file: &str) -> Option<ContentId> {
    let mut digest = [0; 32];
    hex::decode_to_slice(file, &mut digest).ok()?;
    Some(ContentId::of_digest(digest)).filter(|id| hex::encode(id.digest()) == file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests may stop")]
mod tests {
    use super::*;

    const HELLO: &str = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";

    #[test]
    fn a_block_is_there_after_a_restart_and_gone_once_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let at = || Shelf::at(folder.path().join("content"));
        let id: ContentId = HELLO.parse().unwrap();
        let block = id.block_of_text(b"hello world").unwrap();
        assert_eq!(at().get(id), None);
        at().put(id, &block).unwrap();
        let shelf = at();
        assert_eq!(shelf.get(id).as_deref(), Some("hello world"));
        std::fs::write(shelf.path(id), b"hello").unwrap();
        assert_eq!(shelf.get(id), None);
        assert!(!shelf.has(id) && !at().has(id));
        // Files of any other name are none of its own.
        for name in [
            "x",
            "marketmaker.key",
            &"A".repeat(64),
            &format!("{}.new", "a".repeat(64)),
        ] {
            std::fs::write(folder.path().join("content").join(name), b"x").unwrap();
        }
        assert!(at().known.lock().blocks.is_empty());
    }

    #[test]
    fn the_block_that_nobody_asked_for_longest_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::at(folder.path().to_owned());
        let id = |number: usize| ContentId::of_block(&number.to_be_bytes());
        for number in 0..MAX_BLOCKS {
            shelf.known.lock().touch(id(number));
        }
        shelf.known.lock().touch(id(0));
        let hello: ContentId = HELLO.parse().unwrap();
        shelf
            .put(hello, &hello.block_of_text(b"hello world").unwrap())
            .unwrap();
        assert!(shelf.has(id(0)) && !shelf.has(id(1)) && shelf.has(hello));
        assert_eq!(shelf.known.lock().blocks.len(), MAX_BLOCKS);
    }
}
