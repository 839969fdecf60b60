//! The scripts of `python/`: the original clients, unmodified.

use bourse_chain::Signer;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tokio::process::Command;

/// Runs a script of `python/` at a market to its end; none where there is no Python to run it.
pub async fn python_script(name: &str, url: &str, arguments: &str) -> Option<Output> {
    let Some(interpreter) = std::env::var_os("BOURSE_PYTHON") else {
        eprintln!("NOT CHECKED: BOURSE_PYTHON is unset; `cargo xtask test` sets it");
        return None;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let output = Command::new(interpreter)
        .arg(folder.join(name))
        .args(["--url", url])
        .args(arguments.split_whitespace())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Some(output)
}

/// Has the original seller and buyer trade: whether `trade.py` ended well, and the line that it ended with.
pub async fn python_trade(url: &str, arguments: &str) -> Option<(bool, Value)> {
    let output = python_script("trade.py", url, arguments).await?;
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = serde_json::from_str(said.trim())
        .unwrap_or_else(|error| panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr)));
    Some((output.status.success(), summary))
}

/// A seller's and a buyer's delegate whose keys `trade.py` is given, so that they can log in as these.
pub struct KnownPair {
    delegates: [Signer; 2],
    folder: tempfile::TempDir,
}

impl KnownPair {
    /// What both show when they log in.
    pub const TICKET: &str = "sesame";

    /// Two new ones.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let delegates = ["seller", "buyer"].map(|name| {
            let signer = Signer::generate();
            std::fs::write(folder.path().join(name), hex::encode(signer.to_bytes())).unwrap();
            signer
        });
        std::fs::write(folder.path().join("ticket"), Self::TICKET).unwrap();
        Self { delegates, folder }
    }

    /// Where the ticket is written down.
    pub fn ticket_file(&self) -> PathBuf {
        self.folder.path().join("ticket")
    }

    /// As whom they log in.
    pub fn authids(&self) -> [String; 2] {
        self.delegates
            .each_ref()
            .map(|delegate| format!("delegate-{}", hex::encode(delegate.address().0)))
    }

    /// What `trade.py` is told for them to log in.
    pub fn arguments(&self) -> String {
        let [seller, buyer] = ["seller", "buyer"].map(|name| self.folder.path().join(name));
        format!(
            "--seller-key-file {} --buyer-key-file {} --ticket {}",
            seller.display(),
            buyer.display(),
            Self::TICKET
        )
    }
}

impl Default for KnownPair {
    fn default() -> Self {
        Self::new()
    }
}
