//! A market behind a Crossbar.io that is configured as one of the files in `examples/crossbar`.

use crate::crossbar::{Crossbar, Setup};
use crate::world::World;
use bourse_app::config::{Config, LoginMethod, Serializer};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The secret that the shipped configuration tells to be changed.
const CHANGE_ME: &str = "change-me";
const TICKET: &str = "only-for-this-test";
/// How long a node that listens may take until somebody can join, on a busy machine.
const BOOT: Duration = Duration::from_secs(60);

/// The node, and what the market needs to join it.
pub struct Behind {
    node: Crossbar,
    folder: tempfile::TempDir,
}

impl Behind {
    /// The secret of everybody who logs in by one.
    pub const TICKET: &str = TICKET;

    /// A node that anybody on this machine can join; none where there is no Crossbar.io to run.
    pub fn start() -> Option<Self> {
        Self::start_with(|_| {})
    }

    /// The same, in whose set-up a test has its say.
    pub fn start_with(change: impl FnOnce(&mut Setup)) -> Option<Self> {
        Self::start_as("config.json", change)
    }

    /// One where everybody logs in: `seller-one`, `seller-two` and `buyer-one` by [`Behind::TICKET`], others by the market's
    /// authenticator.
    pub fn start_with_logins() -> Option<Self> {
        Self::start_as("logins.json", |_| {})
    }

    fn start_as(shipped: &str, change: impl FnOnce(&mut Setup)) -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/crossbar");
        let shipped = folder.join(shipped);
        let text = std::fs::read_to_string(shipped)
            .unwrap()
            .replace(CHANGE_ME, TICKET);
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let worker = &config["workers"][0];
        let mut setup = Setup {
            realms: worker["realms"].clone(),
            auth: worker["transports"][0]["auth"].clone(),
            tls: None,
        };
        change(&mut setup);
        let node = Crossbar::start(&setup)?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ticket"), TICKET).unwrap();
        Some(Self { node, folder })
    }

    fn ticket_file(&self) -> PathBuf {
        self.folder.path().join("ticket")
    }

    /// Its WebSocket.
    pub fn url(&self) -> String {
        self.node.url()
    }

    /// Its RawSocket.
    pub fn raw_url(&self) -> String {
        format!("rs://{}", self.node.rs())
    }

    /// Its WebSocket and its RawSocket under TLS, where it is set up for that.
    pub fn tls_urls(&self) -> [String; 2] {
        self.node.tls_urls()
    }

    /// Kills it: no goodbye.
    pub fn kill(&mut self) {
        self.node.kill();
    }

    /// Starts it again at the same places. Returns the moment from which `world`'s clients can join.
    pub async fn again(&mut self, world: &World) -> Instant {
        self.node.run();
        let began = Instant::now();
        while world.try_session().await.is_none() {
            assert!(began.elapsed() < BOOT, "nobody can join Crossbar.io");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    }

    /// Has a market join it at `url`.
    pub fn welcome(&self, config: &mut Config, url: String, serializer: Serializer) {
        config.wamp.connect = Some(url);
        config.wamp.serializer = serializer;
        config.wamp.login.method = LoginMethod::Ticket;
        config.wamp.login.authid = Some("xbrmm".to_owned());
        config.wamp.login.file = Some(self.ticket_file());
    }

    /// The same as a part of `[wamp]` in a configuration.
    pub fn section(&self) -> String {
        format!(
            "connect = \"{}\"\nlogin = {{ method = \"ticket\", authid = \"xbrmm\", file = \"{}\" }}",
            self.url(),
            self.ticket_file().display()
        )
    }

    /// The same for a market in a process of its own.
    pub fn environment(&self) -> [(&'static str, OsString); 4] {
        [
            ("BOURSE__WAMP__CONNECT", self.url().into()),
            ("BOURSE__WAMP__LOGIN__METHOD", "ticket".into()),
            ("BOURSE__WAMP__LOGIN__AUTHID", "xbrmm".into()),
            ("BOURSE__WAMP__LOGIN__FILE", self.ticket_file().into()),
        ]
    }
}
