//! Processes and the time the operating system says they took.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Processor time of a host so far, to the nanosecond: of the threads it has. None of them ends under load.
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process is there");
    let ran = |thread: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(ran).sum())
}

/// The kernel's clock ticks a second, as `/proc` counts them on every Linux of today.
const TICKS: u64 = 100;

/// User and system time of this process so far, threads that ended included.
pub(crate) fn cpu_of_self() -> Duration {
    ticks_of(std::process::id())
}

/// That of any process, to a tick.
pub(crate) fn ticks_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    // The name, in parentheses, may hold blanks; the fields after it are counted from the state, number 3.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .expect("a stat line")
        .1
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Bytes of memory that a process holds and no file backs.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .expect("a size");
    kib.parse::<u64>().expect("a number") * 1024
}

/// A child that is killed when it is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program whose standard output is read until `find` has what it looks for.
pub(crate) fn start<T>(command: &mut Command, mut find: impl FnMut(&str) -> Option<T>) -> (Running, T) {
    let mut child = Running(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts"),
    );
    let mut lines = BufReader::new(child.0.stdout.take().expect("a pipe")).lines();
    let found = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| find(&line))
        .expect("the program says where it is");
    // Read on, so that the program never waits for a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (child, found)
}

/// The host's binary, beside this one.
pub(crate) fn host_binary() -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name("bourse");
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --release -p bourse-app`",
        path.display()
    );
    path
}
