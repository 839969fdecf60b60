//! The real binary in a process of its own.

use bourse_app::{Addresses, Listeners};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test, which [`crate::binary`] names.
pub struct Process {
    child: Child,
    addresses: Addresses,
}

impl Process {
    /// `bourse serve` on a data folder, up and listening.
    pub fn serve(data: &Path) -> Self {
        Self::try_serve(data, &[])
            .unwrap_or_else(|said| panic!("the host never said where it listens:\n{said}"))
    }

    /// The same with these environment variables.
    ///
    /// # Errors
    ///
    /// What the host said, if it ended before it listened.
    pub fn try_serve(data: &Path, environment: &[(&str, OsString)]) -> Result<Self, String> {
        Self::try_serve_noting(data, environment, Stdio::inherit())
    }

    /// The same, with what it says on standard error going elsewhere.
    ///
    /// # Errors
    ///
    /// As [`Process::try_serve`].
    pub fn try_serve_noting(
        data: &Path,
        environment: &[(&str, OsString)],
        stderr: Stdio,
    ) -> Result<Self, String> {
        let mut child = serve_command(data)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            said.push_str(&line);
            said.push('\n');
            // The last of its addresses.
            if line.trim_start().starts_with("health") {
                break;
            }
        }
        let address = |what: &str| {
            let rest = said
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(what))?;
            let rest = rest
                .trim_start()
                .trim_start_matches("ws://")
                .trim_start_matches("http://");
            let end = rest.find(['/', ' ']).unwrap_or(rest.len());
            Some(rest.get(..end).unwrap().parse().unwrap())
        };
        let Some(http) = address("health") else {
            let _ = child.kill();
            child.wait().unwrap();
            return Err(said);
        };
        let wamp = address("WebSocket").zip(address("RawSocket"));
        let wamp = wamp.map(|(ws, rs)| Listeners { ws, rs });
        let addresses = Addresses { wamp, http };
        // Somebody must read on, or the host would block once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, addresses })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Starts `bourse serve`, and kills it after a while, whatever it is doing by then.
    pub fn kill_while_starting(data: &Path, environment: &[(&str, OsString)], after: Duration) {
        let mut child = serve_command(data)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// SIGKILL: the process gets no chance to finish anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for a clean end.
    pub fn terminate(mut self) {
        let status = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(status.success());
        let status = wait(&mut self.child);
        assert!(status.success(), "the host ended with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that fails must not leave a market behind. One that has ended already is left alone.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn wait(child: &mut Child) -> ExitStatus {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "the host does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs `bourse` with these arguments on a data folder, to its end.
pub fn run(data: &Path, args: &[&str]) -> Output {
    bourse(data).args(args).output().unwrap()
}

/// The same with these environment variables.
pub fn run_with(data: &Path, args: &[&str], environment: &[(&str, &str)]) -> Output {
    bourse(data)
        .args(args)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn serve_command(data: &Path) -> Command {
    let mut command = bourse(data);
    command.arg("serve");
    for listener in ["--listen-ws", "--listen-rs", "--listen-http"] {
        command.args([listener, "127.0.0.1:0"]);
    }
    command
}

fn bourse(data: &Path) -> Command {
    let mut command = Command::new(crate::binary());
    command.arg("--data").arg(data).stdin(Stdio::null());
    command
}
