//! What policies return: one guest whose answers, and whose questions to the host, are the input's bytes.
//!
//! The guest reads them from its state and puts them where its answer lies, so that no input needs a compilation:
//!
//! | input | is |
//! |---|---|
//! | 0 | which hook is asked |
//! | 1 | which imports the guest calls, and whether it answers from another address |
//! | 2 to 50 | its answer, as it lies in memory |
//! | 50 to 54 | that other address |
//! | from 54 | words that it passes to imports, and what addresses in its answer may point to |

use crate::{hold, market};
use bourse_policy::testing::{ANSWER, DATA, Guest, IMPORTED};
use bourse_policy::{Engine, EngineOptions, Grants, Instances, Limits, Record, Revision};
use std::sync::LazyLock;

/// A function of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    Quote,
    Admit,
    Filter,
    Authorize,
}

impl Hook {
    pub(crate) const ALL: [Self; 4] = [Self::Quote, Self::Admit, Self::Filter, Self::Authorize];
}

/// Bytes of an answer: those of the largest, a price.
const ANSWERED: usize = 48;

/// Where the data lies that addresses in an answer may point to.
const POINTED: usize = 1 + ANSWERED + 4;

static REVISION: LazyLock<Revision> = LazyLock::new(|| {
    let engine = Engine::new(EngineOptions {
        instances: 8,
        ..EngineOptions::default()
    })
    .expect("the engine starts");
    engine
        .load("answering", &guest("answering").build())
        .expect("the guest loads")
});

/// The guest. Bits of the second byte of an input: 1 `set`, 2 `add`, 4 `line`, 8 `demand`, 16 `counter`, 32 the other
/// address, 64 a second `get`, of what was set.
pub(crate) fn guest(name: &str) -> Guest {
    // The value's address, its bits, the words after the answer.
    let value = format!("(i32.load (i32.const {}))", IMPORTED + 4);
    let len = format!("(i32.load (i32.const {}))", IMPORTED + 8);
    let word = |at: usize| format!("(i32.load offset={} {value})", POINTED + 4 * at);
    let long = |at: usize| format!("(i64.load offset={} {value})", POINTED + 4 * at);
    let when = |bit: u32, then: String| {
        format!("(if (i32.and (i32.load8_u {value}) (i32.const {bit})) (then {then}))")
    };
    let copy = |to: u32, from: usize, at_most: u32| {
        let rest = format!("(i32.sub {len} (i32.const {from}))");
        // Too short a value is zeros: memory starts with them.
        format!(
            "(if (i32.gt_u {len} (i32.const {from})) (then (memory.copy (i32.const {to})
               (i32.add {value} (i32.const {from}))
               (select {rest} (i32.const {at_most}) (i32.lt_u {rest} (i32.const {at_most}))))))"
        )
    };
    let body = [
        format!("(call $get (i32.const {DATA}) (i32.const 4) (i32.const {IMPORTED}))"),
        copy(ANSWER, 1, ANSWERED as u32),
        copy(DATA, POINTED, 1024),
        when(
            1,
            format!(
                "(call $set {} {} {} {} {})",
                word(0),
                word(1),
                word(2),
                word(3),
                word(4)
            ),
        ),
        when(2, format!("(call $add {} {} {})", word(0), word(1), long(2))),
        when(4, format!("(call $line {} {} {})", word(0), word(1), word(2))),
        when(
            8,
            format!(
                "(call $demand {} {} {} {} {} {})",
                word(0),
                long(1),
                long(3),
                word(5),
                word(6),
                word(7)
            ),
        ),
        when(16, format!("(drop (call $counter {} {}))", word(0), word(1))),
        when(64, format!("(call $get {} {} {})", word(0), word(1), word(5))),
        format!(
            "(select (i32.load offset={} {value}) (i32.const {ANSWER})
               (i32.and (i32.load8_u {value}) (i32.const 32)))",
            1 + ANSWERED
        ),
    ]
    .concat();
    Guest::named(name)
        .data(b"kept")
        .with_market()
        .with_state()
        .with_log()
        .quote(body.as_str())
        .admit(body.as_str())
        .filter(body.as_str())
        .authorize(body)
}

pub(crate) fn run(bytes: &[u8]) {
    let Some((which, value)) = bytes.split_first() else {
        return;
    };
    let hook = Hook::ALL
        .into_iter()
        .nth(usize::from(*which) % Hook::ALL.len())
        .unwrap_or(Hook::Quote);
    let value = value.get(..1024).unwrap_or(value);
    let limits = Limits::default();
    ask(&REVISION, hook, value, &limits);
    // A used instance may remember what the last input wrote into it, and is held to the same bounds.
    if *which >= 128 {
        let warm = Limits {
            instances: Instances::Warm,
            ..limits
        };
        ask(&REVISION, hook, value, &warm);
    }
}

/// Asks `hook` of `revision`, of a host whose state holds `value` everywhere, and holds the decision to what must be.
pub(crate) fn ask(revision: &Revision, hook: Hook, value: &[u8], limits: &Limits) {
    let imports = market::Kept(value);
    let offer = market::offer(1);
    match hook {
        Hook::Quote => {
            let decided = revision.price(&market::price(&offer), &imports, Grants::ALL, limits);
            if let Ok(priced) = &decided.outcome {
                assert!(
                    (market::FLOOR..=market::CAP).contains(&priced.amount),
                    "{priced:?}"
                );
                assert!(
                    (1..=market::MAX_VALID_MS).contains(&priced.valid_ms),
                    "{priced:?}"
                );
            }
            hold::decision(revision, &decided);
        }
        Hook::Admit => {
            let decided = revision.admit(&market::admit(&offer), &imports, Grants::ALL, limits);
            hold::decision(revision, &decided);
        }
        Hook::Filter => {
            let batch = market::batch();
            let decided = revision.filter(&market::filter(&batch), &imports, Grants::ALL, limits);
            if let Ok(shown) = &decided.outcome {
                hold::shown(shown, market::OFFERS);
            }
            hold::decision(revision, &decided);
        }
        Hook::Authorize => {
            let grants = market::grants();
            let request = market::consent(&offer, &grants);
            let decided = revision.authorize(&request, &imports, Grants::ALL, limits);
            hold::decision(revision, &decided);
        }
    }
}

/// Gives `keep` the record of a price whose guest has `value`.
pub(crate) fn recorded(value: &[u8], keep: &mut dyn FnMut(&Record)) {
    let offer = market::offer(1);
    let request = market::price(&offer);
    keep(
        &REVISION
            .price(&request, &market::Kept(value), Grants::ALL, &Limits::default())
            .record,
    );
}

/// Every good answer and every import with good arguments, from which bad ones are a few bytes away.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let input = |hook: u8, bits: u8, answer: &[u8], pointed: &[u8]| {
        let mut bytes = vec![hook, bits];
        bytes.extend(answer);
        bytes.resize(2 + ANSWERED, 0);
        bytes.extend(ANSWER.to_le_bytes());
        bytes.extend(pointed);
        bytes
    };
    // Discriminant, then at 8 the amount's limbs and the milliseconds.
    let price = words(&[0, 0, 500, 0, 0, 0, 0, 0, 0, 0, 5_000, 0]);
    let refused = words(&[1, 0, DATA, 6, DATA + 6, 8]);
    let texts = b"closedtomorrow";
    let no = words(&[1, DATA, 6, DATA + 6, 8]);
    let shown = words(&[DATA, 2, DATA + 4, 3]);
    let verdict = [&[0b0101_0101, 1, 0, 0][..], &words(&[4, 0, 8])].concat();
    let some = words(&[DATA, 4, 1, DATA, 8, DATA + 256, 60_000, DATA + 256]);
    let mut seeds = vec![
        input(0, 0, &price, b""),
        input(0, 0, &refused, texts),
        input(1, 0, &[0], b""),
        input(1, 0, &no, texts),
        input(2, 0, &shown, &verdict),
        input(3, 0, &[0], b""),
        input(3, 0, &no, texts),
        input(128, 32, &price, b""),
    ];
    for bit in [1, 2, 16, 64, 127 - 32] {
        seeds.push(input(0, bit, &price, &some));
    }
    // Levels and subjects are discriminants, so theirs come first.
    seeds.push(input(0, 4, &price, &words(&[1, DATA, 12])));
    seeds.push(input(
        0,
        8,
        &price,
        &words(&[3, 1, 2, 3, 4, 5, 60_000, DATA + 256]),
    ));
    seeds
}
