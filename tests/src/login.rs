//! autobahn's logins, by whatever there is.

use std::io::Write;
use std::process::{Command, Stdio};

/// Has autobahn log in, once for each of `asked` as `python/logins.py` takes them, and what it was told each time. None where
/// there is no Python to run it.
pub async fn autobahn_logins(asked: Vec<serde_json::Value>) -> Option<Vec<serde_json::Value>> {
    let Some(python) = std::env::var_os("BOURSE_PYTHON") else {
        eprintln!("NOT CHECKED: BOURSE_PYTHON is unset; `cargo xtask test` sets it");
        return None;
    };
    let logins = tokio::task::spawn_blocking(move || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/logins.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for login in &asked {
            writeln!(stdin, "{login}").unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let told: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(told.len(), asked.len());
        told
    });
    Some(logins.await.unwrap())
}
