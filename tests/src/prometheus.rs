//! A real Prometheus, which watches a market by the rules of `docs/alerts.yml`, sixty times as fast as an operator's.
//!
//! `cargo xtask test` names the program in `BOURSE_PROMETHEUS`; where that is unset there is none, and a test says that it
//! checked nothing.

use crate::watch::found;
use crate::web::Web;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an alert may take to come or go on a machine that builds meanwhile.
const PATIENCE: Duration = Duration::from_secs(90);
/// Scrapes after which every rule that does not wait has been looked at.
const SETTLED: u32 = 15;

/// A running Prometheus. It ends when this is dropped.
pub struct Prometheus {
    child: Child,
    web: Web,
    folder: tempfile::TempDir,
}

/// The documents, as the operators get them.
pub fn document(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The rules with each minute made a second.
fn hurried(rules: &str) -> String {
    let mut rules = rules.replace("for: 1h", "for: 60s");
    for minutes in [1, 2, 5, 10] {
        for (before, after) in [("for: ", "\n"), ("[", "]")] {
            let slow = format!("{before}{minutes}m{after}");
            rules = rules.replace(&slow, &format!("{before}{minutes}s{after}"));
        }
    }
    let waits = |line: &str| line.trim_start().starts_with("for: ") || line.contains('[');
    let slow = |line: &&str| waits(line) && !line.contains("s]") && !line.trim_end().ends_with('s');
    let left: Vec<_> = rules.lines().filter(slow).collect();
    assert!(left.is_empty(), "these still take minutes: {left:?}");
    rules
}

impl Prometheus {
    /// The program, if there is one; else a line that says so.
    pub fn program() -> Option<OsString> {
        let program = std::env::var_os("BOURSE_PROMETHEUS");
        if program.is_none() {
            println!("NOT CHECKED: BOURSE_PROMETHEUS is unset; `cargo xtask test` sets it");
        }
        program
    }

    /// Starts one that watches whoever is at `market`.
    pub async fn watching(program: &OsString, market: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("alerts.yml"), hurried(&document("alerts.yml"))).unwrap();
        name_target(folder.path(), market);
        let config = "global: { scrape_interval: 200ms, evaluation_interval: 200ms }\n\
                      rule_files: [alerts.yml]\n\
                      scrape_configs:\n  - job_name: bourse\n    file_sd_configs: [{ files: [targets.json], refresh_interval: 1s }]\n";
        std::fs::write(path("prometheus.yml"), config).unwrap();
        let mut child = Command::new(program)
            .arg(format!("--config.file={}", path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path("series").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--log.level=info"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("Prometheus never said where it listens:\n{}", said.join("\n"));
            };
            if let Some((_, address)) = line.split_once("msg=\"Listening on\" address=") {
                break address.trim().parse().unwrap();
            }
            said.push(line);
        };
        // Somebody must read on, or it would wait once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        let watch = Self {
            child,
            web: Web::new(address),
            folder,
        };
        watch.settled().await;
        watch
    }

    /// Watches whoever is at another address from here on.
    pub fn look_at(&self, market: SocketAddr) {
        name_target(self.folder.path(), market);
    }

    /// Waits until it has looked at the market, and at its rules, often enough for those that do not wait.
    async fn settled(&self) {
        let looked = format!("count_over_time(up{{job=\"bourse\"}}[1h]) >= {SETTLED}");
        found("what Prometheus has seen", async || {
            let seen = self.query(&looked).await.ok()?;
            (!seen.as_array()?.is_empty()).then_some(())
        })
        .await;
    }

    /// What an expression gives now.
    ///
    /// # Errors
    ///
    /// Prometheus's own words.
    pub async fn query(&self, expression: &str) -> Result<Json, String> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page = self.web.get(&format!("/api/v1/query?query={encoded}")).await;
        let mut said: Json = serde_json::from_str(&page.body).map_err(|error| error.to_string())?;
        match said["status"].as_str() {
            Some("success") => Ok(said["data"]["result"].take()),
            _ => Err(said["error"].to_string()),
        }
    }

    /// Every rule, as Prometheus has it: with the words of whatever it cannot make of one.
    pub async fn rules(&self) -> Vec<Json> {
        let told = self.web.json("/api/v1/rules").await;
        let groups = told["data"]["groups"].as_array().unwrap();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
        rules.cloned().collect()
    }

    /// The alerts that fire.
    pub async fn alerts(&self) -> Vec<Json> {
        let told = self.web.json("/api/v1/alerts").await;
        let alerts = told["data"]["alerts"].as_array().unwrap().iter();
        alerts
            .filter(|alert| alert["state"] == "firing")
            .cloned()
            .collect()
    }

    /// Their names.
    pub async fn firing(&self) -> BTreeSet<String> {
        let alerts = self.alerts().await;
        let names = alerts
            .iter()
            .map(|alert| alert["labels"]["alertname"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }

    /// Waits until an alert fires.
    pub async fn fires(&self, alert: &str) {
        self.comes_to(alert, true).await;
    }

    /// Waits until it does not.
    pub async fn ends(&self, alert: &str) {
        self.comes_to(alert, false).await;
    }

    async fn comes_to(&self, alert: &str, fires: bool) {
        let began = Instant::now();
        loop {
            let firing = self.firing().await;
            if firing.contains(alert) == fires {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{alert} should {}fire; what fires is {firing:?}",
                if fires { "" } else { "not " }
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Writes down whom to watch: in one step, since the file is read at any time.
fn name_target(folder: &Path, market: SocketAddr) {
    let aside = folder.join("targets.new");
    let targets = serde_json::json!([{ "targets": [market.to_string()] }]);
    std::fs::write(&aside, targets.to_string()).unwrap();
    std::fs::rename(aside, folder.join("targets.json")).unwrap();
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
