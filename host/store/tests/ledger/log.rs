//! The decision log on a real disk, whatever happens to it.

use crate::fixture::TestDisk;
use bourse_market::*;
use bourse_store::{DecisionLog, LogOptions, LogRead, OpenError, read_log, read_log_between};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Decision `number`, taken at that second, with a body of `bytes`.
fn decision(number: u64, bytes: usize) -> Decision {
    Decision {
        id: DecisionId(u128::from(number).to_be_bytes()),
        header: DecisionHeader {
            at: second(number),
            hook: "pricing".to_owned(),
            policy: "surge".to_owned(),
            revision: RevisionId([6; 32]),
            purchase: None,
        },
        body: vec![number as u8; bytes],
    }
}

fn second(number: u64) -> Nanos {
    Nanos(0).plus_millis(number * 1000)
}

fn number(decision: &Decision) -> u64 {
    u128::from_be_bytes(decision.id.0) as u64
}

fn small() -> LogOptions {
    LogOptions {
        segment: 4 << 10,
        keep_free: 0,
        ..LogOptions::default()
    }
}

fn open(folder: &Path) -> DecisionLog {
    DecisionLog::open(folder, small()).unwrap()
}

fn append(log: &DecisionLog, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert!(log.append(decision(number, 100)), "{number}");
    }
    log.flush();
}

/// The numbers of what is read, and how that went.
fn read(folder: &Path) -> (Vec<u64>, LogRead) {
    let mut numbers = Vec::new();
    let read = read_log(folder, &mut |decision| {
        numbers.push(number(&decision));
        ControlFlow::Continue(())
    });
    (numbers, read.unwrap())
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "decisions"))
        .collect();
    paths.sort();
    paths
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what} never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_is_appended_is_read_back_as_it_was_in_order_and_over_segments() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("decisions");
    assert_eq!(
        read(&folder),
        (vec![], LogRead::default()),
        "no folder is an empty log"
    );
    let log = open(&folder);
    assert_eq!(read(&folder), (vec![], LogRead::default()));
    append(&log, 0..200);
    assert!(segments(&folder).len() > 5);
    let mut seen = Vec::new();
    read_log(&folder, &mut |decision| {
        seen.push(decision);
        ControlFlow::Continue(())
    })
    .unwrap();
    let expected: Vec<_> = (0..200).map(|number| decision(number, 100)).collect();
    assert!(seen == expected);
    let stats = log.stats();
    assert_eq!((stats.written, stats.dropped, stats.failing), (200, 0, false));
    assert_eq!(stats.segments, segments(&folder).len() as u64);
    let bytes: u64 = segments(&folder)
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert_eq!(stats.bytes, bytes);

    let mut count = 0;
    read_log(&folder, &mut |_| {
        count += 1;
        match count {
            7 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })
    .unwrap();
    assert_eq!(count, 7, "whoever has seen enough sees no more");
}

#[test]
fn the_log_is_its_owners_alone_and_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("decisions");
    let log = open(&folder);
    append(&log, 0..1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&segments(&folder)[0]), 0o600);
    let error = DecisionLog::open(&folder, small()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    // Somebody may hold on to a log that has ended.
    log.shutdown();
    drop(open(&folder));
    assert!(!log.append(decision(1, 100)));
    drop(log);
    open(&folder);
}

#[test]
fn after_a_restart_a_new_segment_is_begun_and_nothing_before_it_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    for start in 0..3 {
        let before: Vec<_> = segments(dir.path())
            .into_iter()
            .map(|path| (fs::read(&path).unwrap(), path))
            .collect();
        let log = open(dir.path());
        append(&log, start * 10..start * 10 + 10);
        log.shutdown();
        assert!(
            !log.append(decision(99, 1)),
            "nothing is taken after the shutdown"
        );
        assert_eq!(log.dropped(), 1);
        for (bytes, path) in before {
            assert!(fs::read(path).unwrap() == bytes);
        }
        assert_eq!(segments(dir.path()).len() as u64, start + 1);
    }
    // One that appends nothing makes nothing.
    drop(open(dir.path()));
    assert_eq!(segments(dir.path()).len(), 3);
    let (numbers, read) = read(dir.path());
    assert_eq!(numbers, (0..30).collect::<Vec<_>>());
    assert_eq!((read.damaged, read.torn), (0, 0));
}

#[test]
fn a_torn_tail_ends_quietly_wherever_it_is_torn_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 100..103);
    drop(log);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let frame = (whole.len() - 19) / 3;
    for cut in 0..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (numbers, read) = read(dir.path());
        let sound = (cut.saturating_sub(19) / frame) as u64;
        assert_eq!(numbers, (100..100 + sound).collect::<Vec<_>>(), "cut at {cut}");
        assert_eq!(read.damaged, 0, "cut at {cut}");
        let between = cut == 0 || (cut >= 19 && (cut - 19).is_multiple_of(frame));
        assert_eq!(read.torn, u64::from(!between), "cut at {cut}");
    }
    let log = open(dir.path());
    append(&log, 103..106);
    assert_eq!(read(dir.path()).0, [100, 101, 103, 104, 105]);
}

#[test]
fn a_damaged_record_in_the_middle_is_skipped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..60);
    let path = &segments(dir.path())[1];
    let frame = (19 + 10) as u64;
    for offset in [frame, 1500, 3000] {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(b"?", offset).unwrap();
    }
    let (numbers, read) = read(dir.path());
    assert_eq!(
        (numbers.len(), read.decisions, read.damaged, read.torn),
        (57, 57, 3, 0)
    );
    assert!(numbers.is_sorted());

    // A whole segment of rubbish costs itself alone.
    let rest = fs::read(path).unwrap().len();
    fs::write(path, vec![b'#'; rest]).unwrap();
    let (numbers, read) = self::read(dir.path());
    assert!(numbers.len() < 57 && numbers.first() == Some(&0) && numbers.last() == Some(&59));
    assert_eq!(read.damaged, 1);
}

#[test]
fn records_of_another_kind_in_sound_frames_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..2);
    drop(log);
    // The same file under another name is another place in the log.
    let path = segments(dir.path()).remove(0);
    let moved = dir.path().join("0000000009-00000000000000000000.decisions");
    fs::copy(&path, moved).unwrap();
    fs::write(dir.path().join("notes.txt"), "not a segment").unwrap();
    let (numbers, read) = read(dir.path());
    assert_eq!((numbers, read.damaged), (vec![0, 1], 1));
    // And the next one comes after it.
    append(&open(dir.path()), 2..3);
    assert!(segments(dir.path())[2].to_str().unwrap().contains("0000000010-"));
}

#[test]
fn the_oldest_segments_go_when_there_is_too_much() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        max_bytes: 40 << 10,
        ..small()
    };
    let log = DecisionLog::open(dir.path(), options.clone()).unwrap();
    append(&log, 0..1000);
    let (numbers, found) = read(dir.path());
    assert_eq!(numbers.last(), Some(&999));
    assert!(numbers.len() > 150 && numbers.len() < 300, "{}", numbers.len());
    assert!(
        numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "without holes"
    );
    assert_eq!((found.damaged, found.torn), (0, 0));
    assert!(log.stats().bytes <= (40 << 10) + (4 << 10));
    drop(log);
    // A smaller size is kept from the start.
    let smaller = LogOptions {
        max_bytes: 20 << 10,
        ..options
    };
    let log = DecisionLog::open(dir.path(), smaller).unwrap();
    assert!(log.stats().bytes <= 20 << 10);
    assert_eq!(read(dir.path()).0.last(), Some(&999));
}

#[test]
fn old_segments_go_by_the_time_of_what_is_in_them_while_new_ones_come_and_while_none_does() {
    let dir = tempfile::tempdir().unwrap();
    let hour = 3600;
    let options = LogOptions {
        max_age: Duration::from_secs(16 * hour),
        ..LogOptions {
            segment: 1 << 20,
            ..small()
        }
    };
    let log = DecisionLog::open(dir.path(), options.clone()).unwrap();
    // Two an hour for 40 hours: no segment is ever full, and yet none spans much more than an hour.
    for half in 0..80 {
        append(&log, half * hour / 2..half * hour / 2 + 1);
    }
    let (numbers, _) = read(dir.path());
    let newest = 79 * hour / 2;
    assert_eq!(numbers.last(), Some(&newest));
    let age = newest - numbers[0];
    assert!(
        (16 * hour..=18 * hour).contains(&age),
        "the oldest is {age} s old"
    );

    log.retain(second(newest + 10 * hour));
    log.flush();
    let oldest = read(dir.path()).0[0];
    assert!(newest + 10 * hour - oldest <= 18 * hour, "{oldest}");
    drop(log);

    // The last segment of a log that slept is known by its newest decision.
    let log = DecisionLog::open(dir.path(), options).unwrap();
    log.retain(second(newest + 16 * hour));
    log.flush();
    assert_eq!(read(dir.path()).0.last(), Some(&newest));
    assert_eq!(log.stats().segments, 1);
    log.retain(second(newest + 17 * hour));
    log.flush();
    assert_eq!(read(dir.path()), (vec![], LogRead::default()));
    assert_eq!((log.stats().segments, log.stats().bytes), (0, 0));
    append(&log, newest + 17 * hour..newest + 17 * hour + 1);
    assert_eq!(read(dir.path()).0.len(), 1);
}

#[test]
fn a_reader_reads_to_its_end_while_the_log_is_written_and_retention_removes_what_it_reads() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        max_bytes: 64 << 10,
        ..small()
    };
    let log = DecisionLog::open(dir.path(), options).unwrap();
    append(&log, 0..100);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 100..20_000 {
                while !log.append(decision(number, 100)) {
                    std::thread::yield_now();
                }
            }
            log.flush();
        });
        let mut rounds = 0;
        while !writer.is_finished() || rounds == 0 {
            let mut last = None;
            let read = read_log(dir.path(), &mut |decision| {
                let number = number(&decision);
                assert!(last < Some(number), "{last:?} before {number}");
                last = Some(number);
                if number.is_multiple_of(50) {
                    // As slow as an export that others wait for.
                    std::thread::sleep(Duration::from_micros(200));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
            assert_eq!(read.damaged, 0);
            rounds += 1;
        }
    });
    let (numbers, found) = read(dir.path());
    assert_eq!(numbers.last(), Some(&19_999));
    assert_eq!((found.damaged, found.torn), (0, 0));
}

#[test]
fn a_reader_of_some_time_sees_that_time_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0..1000);
    for (from, to) in [(0, 1000), (100, 200), (500, 501), (990, 2000), (7, 7), (1000, 1)] {
        let mut seen = Vec::new();
        let read = read_log_between(dir.path(), second(from), second(to), &mut |decision| {
            seen.push(number(&decision));
            ControlFlow::Continue(())
        })
        .unwrap();
        let expected: Vec<_> = (from..to.min(1000)).collect();
        assert_eq!(seen, expected, "{from} to {to}");
        assert_eq!(read.decisions, expected.len() as u64);
    }
    // Segments of other times are not even opened: these may be rubbish.
    for path in segments(dir.path()).iter().take(5) {
        fs::write(path, "rubbish").unwrap();
    }
    let read = read_log_between(dir.path(), second(900), second(950), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((read.decisions, read.damaged), (50, 0));
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let options = LogOptions { queue: 8, ..small() };
    let log = DecisionLog::open_on(dir.path(), options, disk.clone()).unwrap();
    disk.hold();
    assert!(log.append(decision(0, 100)));
    // The writer stands still in its first write.
    wait_until("the write", || disk.appends.load(SeqCst) == 1);
    let start = Instant::now();
    let taken: Vec<u64> = (1..1000)
        .filter(|number| log.append(decision(*number, 100)))
        .collect();
    let took = start.elapsed();
    assert!(
        took < Duration::from_millis(500),
        "a thousand appends took {took:?}"
    );
    assert_eq!(taken, (1..=8).collect::<Vec<_>>());
    assert_eq!(log.dropped(), 991);
    disk.release();
    log.flush();
    assert_eq!(read(dir.path()).0, (0..=8).collect::<Vec<_>>());
    append(&log, 2000..2001);
    assert_eq!(log.stats().dropped, 991);
    assert_eq!(log.stats().written, 10);
    assert!(!log.stats().failing, "a crowd is no failure of the disk");
}

#[test]
fn the_bytes_that_wait_are_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let options = LogOptions {
        queue_bytes: 1 << 20,
        ..LogOptions::default()
    };
    let log = DecisionLog::open_on(dir.path(), options, disk.clone()).unwrap();
    disk.hold();
    assert!(log.append(decision(0, 1)));
    wait_until("the write", || disk.appends.load(SeqCst) == 1);
    let taken = (1..100)
        .filter(|number| log.append(decision(*number, 100_000)))
        .count();
    assert_eq!(taken, 10);
    disk.release();
    log.flush();
    assert!(log.append(decision(100, 100_000)), "there is room again");
    assert!(
        !log.append(decision(101, 2 << 20)),
        "never for what exceeds it all"
    );
    drop(log);
    assert_eq!(read(dir.path()).0.len(), 12);
}

#[test]
fn a_disk_that_fails_costs_decisions_that_are_counted_and_no_more_once_it_works_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let log = DecisionLog::open_on(dir.path(), small(), disk.clone()).unwrap();
    append(&log, 0..10);
    disk.fail_appends.store(true, SeqCst);
    append(&log, 10..100);
    let stats = log.stats();
    assert_eq!((stats.written, stats.dropped, stats.failing), (10, 90, true));
    disk.fail_appends.store(false, SeqCst);
    append(&log, 100..110);
    let stats = log.stats();
    assert_eq!((stats.written, stats.dropped, stats.failing), (20, 90, false));
    let (numbers, read) = read(dir.path());
    assert_eq!(numbers, (0..10).chain(100..110).collect::<Vec<_>>());
    assert_eq!((read.damaged, read.torn), (0, 0));
}

#[test]
fn the_log_stops_long_before_the_disk_is_too_full_for_the_market() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new();
    let options = LogOptions {
        keep_free: 256 << 20,
        ..small()
    };
    let log = DecisionLog::open_on(dir.path().join("decisions"), options, disk.clone()).unwrap();
    let store = bourse_store::Store::open_on(
        crate::fixture::options(&dir.path().join("ledger")),
        &crate::fixture::stamp(),
        disk.clone(),
    )
    .unwrap();
    disk.free.store(200 << 20, SeqCst);
    append(&log, 0..5);
    assert_eq!((log.dropped(), log.stats().segments), (5, 0));
    // Purchases go on where the log has stopped.
    crate::fixture::populate(&store, 1, 10);
    crate::fixture::reserve_now(&store, 1, 0).unwrap();
    crate::fixture::do_all(&store, [crate::fixture::post(1, 0, 100)]);
    disk.free.store(1 << 30, SeqCst);
    append(&log, 5..6);
    assert_eq!(log.dropped(), 5);
}

#[test]
fn what_is_appended_is_written_at_once_and_without_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for number in 0..5 {
        assert!(log.append(decision(number, 100)));
        let start = Instant::now();
        wait_until("the decision", || read(dir.path()).0.len() as u64 == number + 1);
        assert!(
            start.elapsed() < Duration::from_millis(900),
            "it waited for a sync"
        );
    }
}

#[test]
fn a_killed_process_has_lost_no_decision_that_it_had_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut reported = 0u64;
    for kill_after in [1, 60, 300] {
        let mut child = child("log::child_appends_until_killed", dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (first, mut seen) = (reported, 0);
        for line in &mut lines {
            if let Some(number) = line.unwrap().strip_suffix(" written") {
                seen += 1;
                let number = number.rsplit(' ').next().unwrap();
                reported = number.parse().unwrap();
            }
            if seen == kill_after {
                break;
            }
        }
        // In the middle of whatever it is writing.
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen, kill_after, "the child ended before it was killed");
        let (numbers, read) = read(dir.path());
        assert!(
            numbers.contains(&reported),
            "{reported} was reported, from {first} on"
        );
        assert!(
            numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "without holes"
        );
        assert_eq!(read.damaged, 0);
        reported = numbers.last().copied().unwrap() + 1;
    }
    let log = open(dir.path());
    append(&log, reported..reported + 1);
    assert_eq!(read(dir.path()).0.last(), Some(&reported));
}

#[test]
#[ignore = "run and killed by a_killed_process_has_lost_no_decision_that_it_had_written"]
fn child_appends_until_killed() {
    let folder = PathBuf::from(std::env::var_os("BOURSE_TEST_FOLDER").unwrap());
    let options = LogOptions {
        segment: 64 << 10,
        ..small()
    };
    let log = DecisionLog::open(&folder, options).unwrap();
    let first = read(&folder).0.last().map_or(0, |last| last + 1);
    let mut out = std::io::stdout().lock();
    for number in first.. {
        // Most are on their way while others are reported.
        while !log.append(decision(number, 600)) {
            std::thread::yield_now();
        }
        if log.stats().written > number - first {
            writeln!(out, "{number} written").unwrap();
        } else if number.is_multiple_of(7) {
            log.flush();
            writeln!(out, "{number} written").unwrap();
        }
    }
}

fn child(test: &str, folder: &Path) -> Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env("BOURSE_TEST_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_write_that_the_system_cuts_short_leaves_no_half_a_record() {
    let dir = tempfile::tempdir().unwrap();
    // The system itself writes a part and then refuses, as a full disk does: files may have 16 KiB here.
    let output = Process::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "log::child_appends_against_a_limit",
        ])
        .env("BOURSE_TEST_FOLDER", dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = output
        .lines()
        .find(|line| line.starts_with("counts"))
        .unwrap_or_else(|| panic!("{output}"));
    let counts: Vec<u64> = line
        .split(' ')
        .skip(1)
        .map(|count| count.parse().unwrap())
        .collect();
    let [written, dropped] = counts[..] else {
        panic!("{line}")
    };
    assert_eq!(written + dropped, 40);
    assert!(dropped > 0, "nothing was too long for the limit");
    let (numbers, read) = read(dir.path());
    assert_eq!((numbers.len() as u64, read.damaged, read.torn), (written, 0, 0));
    assert!(
        segments(dir.path())
            .iter()
            .all(|path| fs::metadata(path).unwrap().len() <= 16 << 10)
    );
}

#[test]
#[ignore = "run by a_write_that_the_system_cuts_short_leaves_no_half_a_record, under a limit for files"]
fn child_appends_against_a_limit() {
    let folder = PathBuf::from(std::env::var_os("BOURSE_TEST_FOLDER").unwrap());
    let options = LogOptions {
        segment: 1 << 20,
        ..small()
    };
    let log = DecisionLog::open(&folder, options).unwrap();
    for number in 0..40 {
        // Each write of these crosses the limit sooner or later, at another place.
        log.append(decision(number, 700 + 37 * number as usize));
        log.flush();
    }
    let stats = log.stats();
    println!("\ncounts {} {}", stats.written, stats.dropped);
}
