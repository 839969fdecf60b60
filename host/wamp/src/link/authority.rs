//! In tests: an authority of one's own, and certificates of it as files.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::{ClientTls, ClientTlsFiles, ServerTls};

pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a host, and its key; a second one for the same host takes the place of the first.
    pub(crate) fn issue(&self, host: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |kind: &str| self.folder.path().join(format!("{host}.{kind}.pem"));
        std::fs::write(file("certificate"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("certificate"), file("key"))
    }

    /// Its own certificate.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server for a host shows.
    pub(crate) fn server(&self, host: &str) -> ServerTls {
        let (certificate, key) = self.issue(host);
        ServerTls::from_files(&certificate, &key).unwrap()
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> ClientTls {
        self.client_as(None)
    }

    /// The same, which shows this certificate.
    pub(crate) fn client_as(&self, identity: Option<(PathBuf, PathBuf)>) -> ClientTls {
        ClientTls::from_files(&ClientTlsFiles {
            authorities: Some(self.certificate()),
            identity,
        })
        .unwrap()
    }
}
