//! Crossbar.io, a router that is not ours, in processes of its own.
//!
//! `cargo xtask test` installs it and names it in `BOURSE_CROSSBAR`; where that is unset there is none, and a test says that
//! it checked nothing.

use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long it may take to listen: it is a Python program, and others build meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);

/// A node with one realm, and a WebSocket and a RawSocket listener.
pub struct Crossbar {
    running: Option<Child>,
    program: OsString,
    folder: TempDir,
    ws: SocketAddr,
    rs: SocketAddr,
}

impl Crossbar {
    /// Starts a node whose realm has these roles, and whose listeners let clients in as `auth` says, in the words of
    /// Crossbar.io's own configuration. None where there is no Crossbar.io.
    pub fn start(realm: &str, roles: &Value, auth: &Value) -> Option<Self> {
        let Some(program) = std::env::var_os("BOURSE_CROSSBAR") else {
            eprintln!("NOT CHECKED: BOURSE_CROSSBAR is unset; `cargo xtask test` sets it");
            return None;
        };
        let [ws, rs] = free_addresses();
        let mut crossbar = Self {
            running: None,
            program,
            folder: tempfile::tempdir().unwrap(),
            ws,
            rs,
        };
        let config = crossbar.config(realm, roles, auth);
        let file = crossbar.folder.path().join("config.json");
        fs::write(file, config.to_string()).unwrap();
        crossbar.run();
        Some(crossbar)
    }

    fn config(&self, realm: &str, roles: &Value, auth: &Value) -> Value {
        let endpoint = |at: SocketAddr| json!({"type": "tcp", "interface": "127.0.0.1", "port": at.port()});
        let serializers = json!(["cbor", "msgpack", "json"]);
        json!({
            "version": 2,
            "controller": {},
            "workers": [{
                "type": "router",
                "realms": [{"name": realm, "roles": roles}],
                "transports": [
                    {"type": "websocket", "endpoint": endpoint(self.ws), "serializers": serializers, "auth": auth},
                    {"type": "rawsocket", "endpoint": endpoint(self.rs), "serializers": serializers, "auth": auth},
                ],
            }],
        })
    }

    /// Where WebSocket clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.ws)
    }

    /// Where RawSocket clients connect.
    pub fn rs(&self) -> SocketAddr {
        self.rs
    }

    /// Starts it, again after [`Crossbar::kill`] at the same places, and waits until it listens.
    pub fn run(&mut self) {
        let folder = self.folder.path();
        let log = folder.join("log");
        let child = Command::new(&self.program)
            .args(["start", "--loglevel", "warn", "--cbdir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            // Its workers are processes too, and must not outlive it.
            .process_group(0)
            .spawn()
            .unwrap();
        self.running = Some(child);
        let until = Instant::now() + PATIENCE;
        for address in [self.ws, self.rs] {
            while TcpStream::connect(address).is_err() {
                let ended = self.running.as_mut().unwrap().try_wait().unwrap().is_some();
                if ended || Instant::now() > until {
                    let said = fs::read_to_string(&log).unwrap();
                    panic!("Crossbar.io does not listen on {address}:\n{said}");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Its processes, by what `/proc` says of their group.
    pub fn pids(&self) -> Vec<u32> {
        let Some(child) = &self.running else {
            return Vec::new();
        };
        let group = child.id().to_string();
        let of_group = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // After the name, which may hold blanks: state, parent, group.
            let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            rest.split_whitespace().nth(2) == Some(group.as_str())
        };
        let names = fs::read_dir("/proc").unwrap().flatten();
        let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(of_group).collect()
    }

    /// Kills it and its workers: no goodbye, no flush.
    pub fn kill(&mut self) {
        let Some(mut child) = self.running.take() else {
            return;
        };
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = child.wait();
        // Its own mark that it runs.
        let _ = fs::remove_file(self.folder.path().join("node.pid"));
    }
}

impl Drop for Crossbar {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Two addresses that nobody listens on: Crossbar.io does not tell which port it was given, and must come back to it.
fn free_addresses() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
