//! Exact replay.

use super::history::{History, engine};
use crate::backtest::entry::{Entry, Place};
use crate::backtest::exact::{MAX_FUEL, Replayed, replay};
use crate::backtest::revisions::Revisions;
use crate::backtest::source::Source;
use crate::policies::SHIPPED;
use bourse_policy::{Failure, Input, Output, RECORD_VERSION, Record};
use serde_json::{Value, json};

fn replayed(history: &History, source: &Source) -> Replayed {
    let revisions = Revisions::new(history.engine.clone(), &[], Vec::new()).unwrap();
    replay(source, &revisions, 2, &mut |_, _| {}).unwrap()
}

#[test]
fn a_log_of_the_sandbox_replays_to_the_last_bit() {
    let decisions = if std::env::var_os("BOURSE_LONG").is_some() {
        100_000
    } else {
        3_000
    };
    let history = History::of(decisions);
    let replayed = replayed(&history, &history.source());
    assert!(replayed.ok, "{replayed:?}");
    assert_eq!(
        (replayed.decisions, replayed.exact),
        (decisions as u64, decisions as u64)
    );
    let policies: Vec<&str> = replayed
        .revisions
        .iter()
        .map(|share| share.policy.as_str())
        .collect();
    assert_eq!(policies, ["dutch", "surge"]);
    println!("{decisions} decisions in {:.2} s", replayed.seconds);
}

#[test]
fn an_exported_line_is_read_as_it_was_written() {
    let history = History::of(40);
    for entry in &history.entries {
        let line = entry.to_line();
        let raw = crate::backtest::entry::Raw::Line {
            number: match entry.place {
                Place::Line(number) => number,
                Place::Stored(_) => 0,
            },
            bytes: line.clone().into_bytes(),
        };
        assert_eq!(&raw.decode().unwrap(), entry, "{line}");
        // Whoever knows only records reads them all the same.
        assert_eq!(Record::from_json(&line).unwrap(), entry.record);
    }
}

/// Changes one line of a log in JSON, and says what the replay finds.
fn flipped(history: &History, line: usize, flip: impl Fn(&mut Value)) -> Replayed {
    let mut lines: Vec<String> = history.entries.iter().map(Entry::to_line).collect();
    let mut value: Value = serde_json::from_str(&lines[line]).unwrap();
    flip(&mut value);
    lines[line] = value.to_string();
    replayed(history, &history.written(lines))
}

#[test]
fn any_flipped_field_is_an_error_that_names_record_and_field() {
    let history = History::of(300);
    // A price between its bounds, so that a change of what it is made from shows.
    let (line, _) = history
        .by("surge")
        .find(|(_, entry)| {
            entry.record.output.outcome() == "priced" && !entry.to_line().contains(r#""bounded":"cap""#)
        })
        .unwrap();
    type Flip = fn(&mut Value);
    let cases: [(&str, &str, Flip); 7] = [
        ("/output/price/amount", "output.price.amount", |value| {
            *value = json!("12345")
        }),
        ("/output/price/valid_ms", "output.price.valid_ms", |value| {
            *value = json!(1)
        }),
        ("/fuel", "fuel", |value| *value = json!(1)),
        ("/outcome", "outcome", |value| *value = json!("refused")),
        ("/at_ns", "at_ns", |value| *value = json!(5)),
        ("/imports/0/answer/figures/sales", "output.price.a", |value| {
            *value = json!(20)
        }),
        ("/imports/0/args/demand/window_ms", "output", |value| {
            *value = json!(7)
        }),
    ];
    for (pointer, field, flip) in cases {
        let replayed = flipped(&history, line, |value| flip(value.pointer_mut(pointer).unwrap()));
        assert!(!replayed.ok);
        assert_eq!((replayed.different, replayed.exact), (1, 299), "{pointer}");
        let mismatch = &replayed.differences[0];
        assert_eq!(mismatch.place, Place::Line(line as u64 + 1));
        assert!(
            mismatch.fields.iter().any(|found| found.field.starts_with(field)),
            "{pointer}: {mismatch:?}"
        );
    }
}

#[test]
fn parameters_that_were_others_come_out_otherwise() {
    let history = History::of(300);
    let (line, _) = history.by("dutch").next().unwrap();
    let replayed = flipped(&history, line, |value| {
        value["input"]["pricing"]["params"] = json!(r#"{"valid_ms":1}"#);
    });
    let fields = &replayed.differences[0].fields;
    assert!(fields.iter().any(|field| field.field == "output.price.valid_ms"
        && field.recorded == "4000"
        && field.repeated == "1"));
}

#[test]
fn a_revision_that_is_nowhere_is_named_once_with_its_first_decision() {
    let history = History::of(50);
    let (line, entry) = history.by("surge").next().unwrap();
    let revision = entry.record.revision.to_string();
    let unknown = format!("0x{}", "ab".repeat(32));
    let lines = history
        .entries
        .iter()
        .map(|entry| entry.to_line().replace(&revision, &unknown));
    let replayed = replayed(&history, &history.written(lines));
    assert!(!replayed.ok);
    assert_eq!(replayed.not_repeated, history.by("surge").count() as u64);
    assert_eq!(replayed.reasons.len(), 1);
    assert_eq!(replayed.reasons[0].place, Place::Line(line as u64 + 1));
    assert!(
        replayed.reasons[0]
            .why
            .contains(&format!("revision {unknown} of `surge`"))
    );
    assert!(replayed.reasons[0].why.contains("--policy FILE"));
}

#[test]
fn revisions_are_found_in_an_archive_and_a_damaged_one_is_refused() {
    let history = History::of(60);
    let source = history.source();
    let archive = history.path("revisions");
    std::fs::create_dir(&archive).unwrap();
    let guest = other_dutch();
    let engine = engine();
    let revision = engine.load("dutch", &guest).unwrap();
    let file = archive.join(format!("{}.wasm", hex::encode(revision.id().as_bytes())));
    std::fs::write(&file, &guest).unwrap();
    let revisions = |damage: &[u8]| {
        std::fs::write(&file, [&guest, damage].concat()).unwrap();
        Revisions::new(engine.clone(), &[], vec![archive.clone()])
            .unwrap()
            .find("dutch", revision.id())
    };
    assert_eq!(revisions(b"").unwrap().id(), revision.id());
    assert!(revisions(b"x").unwrap_err().contains("is damaged"));
    assert!(replayed(&history, &source).ok);
}

/// A component other than the shipped ones: dutch, with a section behind it that says nothing.
fn other_dutch() -> Vec<u8> {
    let (_, dutch) = SHIPPED.iter().find(|(name, _)| *name == "dutch").unwrap();
    [dutch, b"\x00\x05\x04note".as_slice()].concat()
}

#[test]
fn what_the_clock_or_the_load_decided_is_counted_apart() {
    let mut history = History::of(30);
    let outcomes = [Failure::Busy, Failure::Deadline { limit_ms: 50 }, Failure::Busy];
    for (entry, failure) in history.entries.iter_mut().zip(outcomes) {
        entry.record.outcome = failure.code().to_owned().into();
        entry.record.output = Output::Failure(failure);
    }
    let replayed = replayed(&history, &history.source());
    assert!(replayed.ok);
    assert_eq!(replayed.exact, 27);
    assert_eq!(replayed.circumstances["busy"], 2);
    assert_eq!(replayed.circumstances["deadline"], 1);
}

#[test]
fn hostile_lines_are_named_with_their_numbers_and_the_others_are_replayed() {
    let history = History::of(20);
    let mut lines: Vec<Vec<u8>> = history
        .entries
        .iter()
        .map(|entry| entry.to_line().into_bytes())
        .collect();
    let good = lines[0].clone();
    let text = String::from_utf8(good.clone()).unwrap();
    let version = |version: u8| format!("{{\"v\":{version},");
    lines.insert(3, b"not json".to_vec());
    lines.insert(5, vec![b'{'; crate::backtest::entry::MAX_LINE + 10]);
    lines.insert(
        7,
        text.replacen(&version(RECORD_VERSION), &version(99), 1)
            .into_bytes(),
    );
    lines.insert(9, good[..good.len() / 2].to_vec());
    lines.insert(11, [good.as_slice(), b"garbage"].concat());
    lines.insert(13, vec![0xff; 100]);
    lines.insert(
        15,
        text.replace("\"fuel\":10000000", &format!("\"fuel\":{}", u64::MAX))
            .into_bytes(),
    );
    lines.insert(17, text.replace("\"pricing\"", "\"unheard_of\"").into_bytes());
    lines.push(b"   ".to_vec());
    let replayed = replayed(&history, &history.written(lines));
    assert!(!replayed.ok);
    assert_eq!(
        (replayed.exact, replayed.unreadable, replayed.not_repeated),
        (20, 7, 1)
    );
    let bad: Vec<&Place> = replayed.bad.iter().map(|bad| &bad.place).collect();
    let expected = [4, 6, 8, 10, 12, 14, 18].map(Place::Line);
    assert_eq!(bad, expected.iter().collect::<Vec<_>>());
    assert_eq!(replayed.reasons[0].place, Place::Line(16));
    assert!(
        replayed.reasons[0]
            .why
            .contains(&format!("more than the {MAX_FUEL}"))
    );
    assert!(replayed.bad[2].why.contains("of version 99, this host reads"));
}

#[test]
fn hostile_inputs_of_a_record_fail_in_the_sandbox_and_nowhere_else() {
    let mut history = History::of(12);
    for (index, entry) in history.entries.iter_mut().enumerate() {
        let Input::Pricing(input) = &mut entry.record.input else {
            continue;
        };
        match index {
            0 => input.params = "{".repeat(3_000),
            1 => input.offer.uri = "\u{0}\u{1b}".repeat(100_000),
            2 => input.limits.memory = u64::MAX,
            3 => input.limits.memory = 0,
            4 => input.limits.fuel = 0,
            5 => (input.floor, input.cap) = (input.cap, input.floor),
            6 => input.grants = vec!["everything".into(); 1000],
            7 => input.offer.categories = vec![("a".repeat(10_000), "b".repeat(10_000)); 100],
            _ => {}
        }
    }
    let replayed = replayed(&history, &history.source());
    assert_eq!(replayed.decisions, 12);
    assert!(replayed.different >= 4 && replayed.exact >= 4, "{replayed:?}");
}

#[test]
fn an_empty_log_is_exact_and_a_missing_one_is_an_error() {
    let history = History::of(1);
    assert_eq!(replayed(&history, &history.written([""; 0])).decisions, 0);
    let missing = Source::open(&history.path("nowhere"), 1 << 20)
        .unwrap_err()
        .to_string();
    assert!(missing.contains("cannot read") && missing.contains("nowhere"));
    let empty = history.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let error = Source::open(&empty, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("holds no decisions"), "{error}");
}
