//! A market that joins the node under TLS, where the node asks its clients for a certificate.

use bourse_app::config::{Config, Serializer};
use bourse_tests::{Behind, World, trade_one};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;

/// An authority with the certificates that it gave, as files.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
type Identity = (PathBuf, PathBuf);

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = named("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(
            folder.path().join("ca.pem"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        Self {
            folder,
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).signed_by(&key, &self.issuer).unwrap();
        let files = (
            self.file(&format!("{name}.pem")),
            self.file(&format!("{name}.key")),
        );
        std::fs::write(&files.0, certificate.pem()).unwrap();
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        files
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    // OpenSSL takes a certificate with its authority's own name for the authority's.
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A market at `url` that trusts `authority` and shows this.
async fn market(node: &Behind, url: &str, authority: &Authority, shown: Option<&Identity>) -> World {
    let mut world = World::with(|config: &mut Config| {
        node.welcome(config, url.to_owned(), Serializer::Cbor);
        config.wamp.connect_ca = Some(authority.file("ca.pem"));
        config.wamp.connect_certificate = shown.map(|shown| shown.0.clone());
        config.wamp.connect_key = shown.map(|shown| shown.1.clone());
    })
    .await;
    world.meet_at(node.url());
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_shows_its_certificate_to_a_router_that_asks_for_one_and_without_it_stays_out() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (of_node, of_market) = (authority.issue("localhost"), authority.issue("marketmaker"));
    let node = Behind::start_with(|setup| {
        setup.tls = Some(json!({
            "certificate": of_node.0,
            "key": of_node.1,
            "ca_certificates": [authority.file("ca.pem")],
        }));
    });
    let Some(node) = node else {
        return;
    };
    for url in node.tls_urls() {
        let mut world = market(&node, &url, &authority, Some(&of_market)).await;
        assert_eq!(world.host().router(), Some((url.as_str(), None)));
        trade_one(&world, bourse_market::KeyId([7; 16])).await;
        world.assert_sound();
        world.stop().await;

        let unknown = other.issue("marketmaker");
        for (trusted, shown) in [
            (&authority, None),
            (&authority, Some(&unknown)),
            (&other, Some(&of_market)),
        ] {
            let mut world = market(&node, &url, trusted, shown).await;
            let (_, trouble) = world.host().router().unwrap();
            let why = trouble.expect("it is not let in");
            assert!(why.contains(&url), "{why}");
            world.stop().await;
        }
    }
}
