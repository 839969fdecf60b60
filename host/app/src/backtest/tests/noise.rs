//! Damaged and hostile logs: whatever a line holds, everything ends in a report.

use super::backtest::{Try, over, tried};
use super::history::History;
use crate::backtest::exact::replay;
use crate::backtest::html::page;
use crate::backtest::revisions::Revisions;
use crate::backtest::table;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One line with some of its bytes changed, cut out or repeated, or with one of its numbers made extreme.
fn damaged(line: &str, rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    if rng.random_bool(0.5) {
        const NUMBERS: [&str; 7] = [
            "0",
            "-1",
            "1e308",
            "18446744073709551615",
            "99999999999999999999",
            "null",
            "\"\"",
        ];
        let digits: Vec<usize> = (1..bytes.len())
            .filter(|at| bytes[*at].is_ascii_digit() && !bytes[at - 1].is_ascii_digit())
            .collect();
        let from = digits[rng.random_range(0..digits.len())];
        let to = (from..bytes.len())
            .find(|at| !bytes[*at].is_ascii_digit())
            .unwrap();
        let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
        bytes.splice(from..to, number.bytes());
        return bytes;
    }
    for _ in 0..rng.random_range(1..5) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..3) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => {
                let to = (at + rng.random_range(1..40)).min(bytes.len());
                bytes.drain(at..to);
            }
            _ => {
                let to = (at + rng.random_range(1..40)).min(bytes.len());
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes.retain(|byte| *byte != b'\n');
    bytes
}

#[test]
fn no_damage_to_a_log_keeps_it_from_being_reported_on() {
    let rounds = if std::env::var_os("BOURSE_LONG").is_some() {
        60
    } else {
        4
    };
    let history = History::of(150);
    let revisions = Revisions::new(history.engine.clone(), &[], Vec::new()).unwrap();
    let mut rng = StdRng::seed_from_u64(5);
    for _ in 0..rounds {
        let lines: Vec<Vec<u8>> = history
            .entries
            .iter()
            .map(|entry| {
                let line = entry.to_line();
                if rng.random_bool(0.7) {
                    damaged(&line, &mut rng)
                } else {
                    line.into_bytes()
                }
            })
            .collect();
        let source = history.written(&lines);
        let replayed = replay(&source, &revisions, 2, &mut |_, _| {}).unwrap();
        assert!(!replayed.ok && replayed.exact > 20, "{replayed:?}");
        let sum = replayed.exact + replayed.different + replayed.not_repeated + replayed.unreadable;
        assert_eq!(
            sum + replayed.circumstances.values().sum::<u64>(),
            replayed.decisions
        );
        assert!(!table::replayed(&replayed).contains('\u{1b}'));
        let what = Try {
            of: &["all"],
            params: over(r#"{"window_ms": 20000}"#),
            elasticity: Some(2.0),
            ..Try::default()
        };
        let report = tried(&history, &source, what).unwrap();
        let page = page(&report);
        assert!(!page.contains("NaN") && page.len() < 1 << 20);
        assert!(!table::report(&report).contains('\u{1b}'));
    }
}
