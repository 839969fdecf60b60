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

/// What a node has, in the words of Crossbar.io's own configuration.
pub struct Setup {
    /// Its realms with their roles.
    pub realms: Value,
    /// How its listeners let clients in.
    pub auth: Value,
    /// What it shows and asks for under TLS, if it listens for that too.
    pub tls: Option<Value>,
}

impl Setup {
    /// One realm in which these roles may do everything, and callees are told who calls, as the embedded router tells them.
    pub fn open(realm: &str, roles: &[&str], auth: Value) -> Self {
        let everything = json!({
            "uri": "",
            "match": "prefix",
            "allow": {"call": true, "register": true, "publish": true, "subscribe": true},
            "disclose": {"caller": true, "publisher": true},
        });
        let role = |name: &&str| json!({"name": name, "permissions": [everything.clone()]});
        let roles: Vec<Value> = roles.iter().map(role).collect();
        Self {
            realms: json!([{"name": realm, "roles": roles}]),
            auth,
            tls: None,
        }
    }
}

/// A node with a WebSocket and a RawSocket listener, and if it is set up so, with the same under TLS.
pub struct Crossbar {
    running: Option<Child>,
    program: OsString,
    folder: TempDir,
    /// WebSocket, RawSocket; and those under TLS.
    listeners: [SocketAddr; 4],
    tls: bool,
}

impl Crossbar {
    /// Starts a node. None where there is no Crossbar.io.
    pub fn start(setup: &Setup) -> Option<Self> {
        let Some(program) = std::env::var_os("BOURSE_CROSSBAR") else {
            eprintln!("NOT CHECKED: BOURSE_CROSSBAR is unset; `cargo xtask test` sets it");
            return None;
        };
        let mut crossbar = Self {
            running: None,
            program,
            folder: tempfile::tempdir().unwrap(),
            listeners: free_addresses(),
            tls: setup.tls.is_some(),
        };
        let file = crossbar.folder.path().join("config.json");
        fs::write(file, crossbar.config(setup).to_string()).unwrap();
        crossbar.run();
        Some(crossbar)
    }

    fn config(&self, setup: &Setup) -> Value {
        let transport = |kind: &str, at: SocketAddr, tls: Option<&Value>| {
            let mut endpoint = json!({"type": "tcp", "interface": "127.0.0.1", "port": at.port()});
            if let Some(tls) = tls {
                endpoint["tls"] = tls.clone();
            }
            let serializers = ["cbor", "msgpack", "json"];
            json!({"type": kind, "endpoint": endpoint, "serializers": serializers, "auth": setup.auth})
        };
        let [ws, rs, wss, rss] = self.listeners;
        let mut transports = vec![transport("websocket", ws, None), transport("rawsocket", rs, None)];
        if let Some(tls) = &setup.tls {
            transports.push(transport("websocket", wss, Some(tls)));
            transports.push(transport("rawsocket", rss, Some(tls)));
        }
        let worker = json!({"type": "router", "realms": setup.realms, "transports": transports});
        json!({"version": 2, "controller": {}, "workers": [worker]})
    }

    /// Where WebSocket clients connect.
    pub fn url(&self) -> String {
        format!("ws://{}/ws", self.listeners[0])
    }

    /// Where RawSocket clients connect.
    pub fn rs(&self) -> SocketAddr {
        self.listeners[1]
    }

    /// Where clients connect under TLS, over WebSocket and over RawSocket: by name, as certificates have it.
    pub fn tls_urls(&self) -> [String; 2] {
        let [_, _, wss, rss] = self.listeners.map(|at| at.port());
        [
            format!("wss://localhost:{wss}/ws"),
            format!("rss://localhost:{rss}"),
        ]
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
        let listening = if self.tls { 4 } else { 2 };
        for address in self.listeners.into_iter().take(listening) {
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

/// Addresses that nobody listens on: Crossbar.io does not tell which port it was given, and must come back to it.
fn free_addresses() -> [SocketAddr; 4] {
    let listeners = [(); 4].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
