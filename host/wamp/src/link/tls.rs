//! TLS on either side of a link: certificates and keys from PEM files, and what binds a login to its channel. rustls
//! does the work; TLS 1.2 and 1.3.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The label of RFC 9266, under which both ends of a channel derive the same bytes.
const BINDING: &[u8] = b"EXPORTER-Channel-Binding";

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or is not what it should be.
    #[error("{} cannot be used: {reason}; {right} in PEM is needed", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What it should hold.
        right: &'static str,
    },
    /// Certificate and key do not make a pair, or are of a kind that is not known.
    #[error("the certificate {} and the key {} do not go together: {reason}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of its key.
        key: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// rustls has nothing to work with.
    #[error("TLS cannot be set up: {reason}")]
    Setup {
        /// What is missing.
        reason: String,
    },
    /// There is nobody to trust.
    #[error(
        "this machine has no certificates of authorities ({reason}): install them, or name a file of the router's own"
    )]
    NoRoots {
        /// What was found instead.
        reason: String,
    },
}

/// What the router shows to clients under TLS. Clones share it, and a reload reaches all of them.
#[derive(Clone)]
pub struct ServerTls(Arc<Served>);

struct Served {
    certificate: PathBuf,
    key: PathBuf,
    config: ArcSwap<ServerConfig>,
    /// When the files that are in force were written.
    written: Mutex<[Option<SystemTime>; 2]>,
}

impl ServerTls {
    /// Reads a certificate, with those that lead to its authority after it, and its key.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let written = [written(certificate), written(key)];
        Ok(Self(Arc::new(Served {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            config: ArcSwap::new(server(certificate, key)?),
            written: Mutex::new(written),
        })))
    }

    /// Reads the files again if one of them was written since. Connections that stand are not touched. Returns whether
    /// there was something new.
    ///
    /// # Errors
    /// [`TlsError`]; what was in force before stays so. It is said once for each time that the files are written.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let served = &self.0;
        let now = [written(&served.certificate), written(&served.key)];
        if std::mem::replace(&mut *served.written.lock(), now) == now {
            return Ok(false);
        }
        served.config.store(server(&served.certificate, &served.key)?);
        Ok(true)
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.0.config.load_full());
        Ok(acceptor.accept(stream).await?.into())
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls")
            .field("certificate", &self.0.certificate)
            .finish_non_exhaustive()
    }
}

/// Whom a client trusts under TLS, and what it shows of itself. Clones share it.
#[derive(Clone)]
pub struct ClientTls(Arc<ClientConfig>);

/// The files of a client's TLS; by default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTlsFiles {
    /// Certificates of authorities that are trusted beside the system's.
    pub authorities: Option<PathBuf>,
    /// The certificate that is shown to the router, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    /// Trusts the authorities of this machine, and those of a file beside them.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn from_files(files: &ClientTlsFiles) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .with_root_certificates(roots(files.authorities.as_deref())?);
        let config = match &files.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
                .map_err(|error| pair(certificate, key, &error))?,
        };
        Ok(Self(Arc::new(config)))
    }

    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(self.0.clone());
        Ok(connector.connect(name, stream).await?.into())
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

/// The 32 bytes of the channel binding `tls-exporter`. Before TLS 1.3 they do not always identify the channel, so that
/// there are none.
pub(super) fn channel_id(stream: &TlsStream<TcpStream>) -> Option<[u8; 32]> {
    let (version, exported) = match stream {
        TlsStream::Client(stream) => {
            let (_, tls) = stream.get_ref();
            (
                tls.protocol_version(),
                tls.export_keying_material([0; 32], BINDING, Some(b"")),
            )
        }
        TlsStream::Server(stream) => {
            let (_, tls) = stream.get_ref();
            (
                tls.protocol_version(),
                tls.export_keying_material([0; 32], BINDING, Some(b"")),
            )
        }
    };
    exported
        .ok()
        .filter(|_| version == Some(ProtocolVersion::TLSv1_3))
}

fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .with_no_client_auth()
        .with_single_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|error| pair(certificate, key, &error))?;
    Ok(Arc::new(config))
}

fn roots(own: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Stores of systems hold certificates that nobody can read any more; the others count.
    roots.add_parsable_certificates(found.certs);
    if let Some(own) = own {
        for certificate in certificates(own)? {
            roots
                .add(certificate)
                .map_err(|error| file(own, &error, "a certificate of an authority"))?;
        }
    }
    if roots.is_empty() {
        let reason = found
            .errors
            .first()
            .map_or_else(|| "none were found".to_owned(), ToString::to_string);
        return Err(TlsError::NoRoots { reason });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const RIGHT: &str = "one certificate or several";
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(file(path, &"it holds no certificate", RIGHT)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(file(path, &error, RIGHT)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| file(path, &error, "a private key"))
}

fn written(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

fn file(path: &Path, reason: &dyn std::fmt::Display, right: &'static str) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        reason: reason.to_string(),
        right,
    }
}

fn pair(certificate: &Path, key: &Path, error: &rustls::Error) -> TlsError {
    TlsError::Pair {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        reason: error.to_string(),
    }
}

fn setup(error: &rustls::Error) -> TlsError {
    TlsError::Setup {
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::WebPkiClientVerifier;
    use rustls::version::{TLS12, TLS13};
    use tokio::net::TcpListener;

    use super::super::authority::Authority;
    use super::*;

    type End = io::Result<TlsStream<TcpStream>>;

    /// Both ends of a connection.
    async fn sockets() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, socket)
    }

    /// Both ends of a channel to `host`.
    async fn channel(server: &ServerTls, client: &ClientTls, host: &str) -> (End, End) {
        let (accepted, socket) = sockets().await;
        tokio::join!(server.accept(accepted), client.connect(host, socket))
    }

    /// The same with a server for `localhost` that speaks `version` alone and asks for a certificate of `authority`, if it is
    /// to ask for one.
    async fn channel_to_another(
        authority: &Authority,
        version: &'static rustls::SupportedProtocolVersion,
        asks: bool,
        client: &ClientTls,
    ) -> (End, End) {
        let provider = || Arc::new(ring::default_provider());
        let (certificate, key) = authority.issue("localhost");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(&authority.certificate()).unwrap());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = match asks {
            true => verifier.build().unwrap(),
            false => WebPkiClientVerifier::no_client_auth(),
        };
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates(&certificate).unwrap(), private_key(&key).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (accepted, socket) = sockets().await;
        let accept = async { io::Result::Ok(acceptor.accept(accepted).await?.into()) };
        tokio::join!(accept, client.connect("localhost", socket))
    }

    #[tokio::test]
    async fn under_tls_1_2_there_is_a_channel_and_nothing_that_a_login_could_be_bound_to() {
        let authority = Authority::new();
        for (version, bound) in [(&TLS12, false), (&TLS13, true)] {
            let (ours, theirs) = channel_to_another(&authority, version, false, &authority.client()).await;
            for end in [ours.unwrap(), theirs.unwrap()] {
                assert_eq!(channel_id(&end).is_some(), bound, "{version:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_client_shows_its_certificate_to_a_server_that_asks_for_one() {
        let (authority, other) = (Authority::new(), Authority::new());
        for version in [&TLS12, &TLS13] {
            for (identity, let_in) in [
                (Some(authority.issue("client")), true),
                (Some(other.issue("client")), false),
                (None, false),
            ] {
                let client = authority.client_as(identity);
                let (accepted, _) = channel_to_another(&authority, version, true, &client).await;
                assert_eq!(accepted.is_ok(), let_in, "{version:?}");
            }
        }
    }

    #[tokio::test]
    async fn both_ends_of_a_channel_know_it_by_the_same_bytes_and_no_other_channel_has_them() {
        let authority = Authority::new();
        let (server, client) = (authority.server("localhost"), authority.client());
        let mut ids = Vec::new();
        for _ in 0..2 {
            let (ours, theirs) = channel(&server, &client, "localhost").await;
            let (ours, theirs) = (channel_id(&ours.unwrap()), channel_id(&theirs.unwrap()));
            assert_eq!(ours, theirs);
            ids.push(ours.unwrap());
        }
        assert_ne!(ids[0], ids[1]);
    }

    #[tokio::test]
    async fn a_router_of_another_name_or_authority_is_not_connected_to() {
        let (authority, other) = (Authority::new(), Authority::new());
        for (server, host) in [
            (authority.server("elsewhere.example"), "localhost"),
            (other.server("localhost"), "localhost"),
        ] {
            let (_, theirs) = channel(&server, &authority.client(), host).await;
            let error = theirs.err().unwrap().to_string();
            assert!(error.contains("certificate"), "{error}");
        }
        let (_, by_address) = channel(&authority.server("127.0.0.1"), &authority.client(), "127.0.0.1").await;
        by_address.unwrap();
    }

    #[tokio::test]
    async fn a_certificate_written_anew_is_taken_up_and_a_broken_one_is_not() {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("old.example");
        let server = ServerTls::from_files(&certificate, &key).unwrap();
        assert!(!server.reload().unwrap());

        std::fs::write(&certificate, "nothing").unwrap();
        let error = server.reload().unwrap_err().to_string();
        assert!(error.contains("old.example.certificate.pem"), "{error}");
        assert!(!server.reload().unwrap(), "it is said once");
        let (_, theirs) = channel(&server, &authority.client(), "old.example").await;
        theirs.unwrap();

        let (new_certificate, new_key) = authority.issue("new.example");
        std::fs::copy(new_certificate, &certificate).unwrap();
        std::fs::copy(new_key, &key).unwrap();
        assert!(server.reload().unwrap());
        let (_, theirs) = channel(&server, &authority.client(), "new.example").await;
        theirs.unwrap();
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_named_with_what_it_should_hold() {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("a.example");
        let (_, other_key) = authority.issue("b.example");
        let missing = Path::new("/nowhere/to/be/found.pem");
        for (certificate, key, said) in [
            (missing, key.as_path(), "/nowhere/to/be/found.pem"),
            (key.as_path(), key.as_path(), "one certificate or several"),
            (certificate.as_path(), certificate.as_path(), "a private key"),
            (certificate.as_path(), other_key.as_path(), "do not go together"),
        ] {
            let error = ServerTls::from_files(certificate, key).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
