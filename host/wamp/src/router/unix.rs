//! The file of a unix socket: who may connect, what becomes of one that was left behind, and that ours goes with us.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket, UnixStream};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Who may connect to a unix socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketMode {
    /// The user that the router runs as: mode 0600.
    #[default]
    Owner,
    /// The file's group too: mode 0660.
    Group,
}

impl SocketMode {
    fn bits(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Group => 0o660,
        }
    }
}

/// A socket's file, which goes when this is dropped.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number: another file at the same path is not ours to take away.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    /// Binds a socket to `path` with `mode`.
    pub(super) async fn bind(path: &Path, mode: SocketMode) -> io::Result<(UnixListener, Self)> {
        make_room(path).await?;
        let socket = UnixSocket::new_stream()?;
        socket.bind(path).map_err(|error| at(path, &error))?;
        let file = Self {
            path: path.to_owned(),
            identity: identity(path),
        };
        // Before anybody can connect, which takes a socket that listens.
        let permissions = std::fs::Permissions::from_mode(mode.bits());
        std::fs::set_permissions(path, permissions).map_err(|error| at(path, &error))?;
        let listener = socket.listen(BACKLOG).map_err(|error| at(path, &error))?;
        Ok((listener, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // It may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes a socket away that nobody listens on, and nothing else.
async fn make_room(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path, &error)),
    };
    if !kind.is_socket() {
        let text = format!(
            "{} is there already, and no socket: choose another path for the unix socket, or take it away",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| at(path, &error))
        }
        // Connected, or at least not refused: whoever made it may still be there.
        _ => {
            let text = format!(
                "somebody listens on {} already: stop what is there, or choose another path for the unix socket",
                path.display()
            );
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_or_its_groups_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wamp.sock");
        for (given, bits) in [(SocketMode::Owner, 0o600), (SocketMode::Group, 0o660)] {
            let bound = SocketFile::bind(&path, given).await.unwrap();
            assert_eq!(mode(&path), bits);
            drop(bound);
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wamp.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _bound = SocketFile::bind(&path, SocketMode::Owner).await.unwrap();
        let error = SocketFile::bind(&path, SocketMode::Owner).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("wamp.sock"), "{error}");
        UnixStream::connect(&path).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_but_a_socket_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let error = SocketFile::bind(&path, SocketMode::Owner).await.err().unwrap();
        assert!(error.to_string().contains("no socket"), "{error}");
        let bound = {
            std::fs::remove_file(&path).unwrap();
            SocketFile::bind(&path, SocketMode::Owner).await.unwrap()
        };
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine again").unwrap();
        drop(bound);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine again");
    }
}
