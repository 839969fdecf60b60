//! An authority and a certificate of its for `localhost`, as files, as other libraries than ours take them too.

use std::path::PathBuf;

use bourse_wamp::{ClientTls, ClientTlsFiles, ConnectOptions, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

pub(crate) struct Pki(tempfile::TempDir);

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        let mut params = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        // OpenSSL takes a certificate with its authority's own name for the authority's.
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        std::fs::write(pki.authority(), authority.pem()).unwrap();
        std::fs::write(pki.certificate(), certificate.pem()).unwrap();
        std::fs::write(pki.key(), key.serialize_pem()).unwrap();
        pki
    }

    /// A file of the test's own beside the others.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("certificate.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.file("key.pem")
    }

    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_files(&self.certificate(), &self.key()).unwrap()
    }

    /// How a client connects that trusts the authority.
    pub(crate) fn client(&self) -> ConnectOptions {
        let files = ClientTlsFiles {
            authorities: Some(self.authority()),
            identity: None,
        };
        let mut options = ConnectOptions::default();
        options.tls = Some(ClientTls::from_files(&files).unwrap());
        options
    }
}
