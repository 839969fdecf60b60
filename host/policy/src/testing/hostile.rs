//! Guests that every host must survive, each with the outcome it must lead to.

use super::{ANSWER, DATA, Guest, keep_none, no, place, price, refusal, verdict};
use crate::hook::Hook;

/// A guest and what must become of it.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// What it does; also the policy's name.
    pub name: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The code of the failure: of loading it if it never loads, of calling it otherwise.
    pub code: &'static str,
}

fn guest(name: &'static str, code: &'static str, guest: Guest) -> Hostile {
    Hostile {
        name,
        bytes: guest.build(),
        code,
    }
}

/// A guest of `hook` that says yes to everything.
pub fn willing(name: &str, hook: Hook) -> Vec<u8> {
    Guest::of(name, hook).build()
}

/// A guest of `hook` that says no to everything: refusals with this code and text, of at most 8 KiB together, and no
/// offer of any batch.
pub fn refusing(name: &str, hook: Hook, code: &str, text: &str) -> Vec<u8> {
    let said = (DATA, code.len() as u32);
    let why = (DATA + said.1, text.len() as u32);
    let guest = Guest::of(name, hook).data(format!("{code}{text}").as_bytes());
    match hook {
        Hook::Pricing => guest.quote(refusal(said, why)),
        Hook::Offers => guest.admit(no(said, why)).filter(keep_none()),
        Hook::Consent => guest.authorize(no(said, why)),
    }
    .build()
}

/// Guests that load and then fail when they are asked for a price, with nothing granted and the default limits, each
/// within a few milliseconds.
pub fn failing() -> Vec<Hostile> {
    let mut guests = failing_for(Hook::Pricing);
    guests.retain(|hostile| !matches!(hostile.code, "not_granted" | "deadline"));
    guests
}

/// Guests that load and then fail whatever `hook` asks of them, with nothing granted and the default limits: at
/// least one each of `trap`, `out_of_fuel`, `deadline`, `out_of_memory`, `stack_overflow`, `bad_output` (two of them
/// named `bad-output` and `oversized-output`) and `not_granted`. Those of [`Hook::Offers`] fail in `admit` and in
/// `filter` alike. How long the one of `deadline` can run on its fuel is a matter of the machine: give it a deadline
/// of 10 ms to be sure.
pub fn failing_for(hook: Hook) -> Vec<Hostile> {
    let with = |name, code, make: &dyn Fn(Guest) -> Guest| guest(name, code, make(Guest::of(name, hook)));
    let body = |name, code, body: &str| with(name, code, &|guest| guest.body(hook, body));
    let good = match hook {
        Hook::Pricing => price([1, 0, 0, 0], 1),
        Hook::Offers | Hook::Consent => super::yes(),
    };
    let mut guests = vec![
        body("endless-loop", "out_of_fuel", "(loop $on (br $on)) unreachable"),
        // Growing by nothing goes to the host and back each time, for next to no fuel.
        body("endless-detours", "deadline", &{
            let detour = "(drop (memory.grow (i32.const 0)))";
            format!("(loop $on {} (br $on)) unreachable", detour.repeat(64))
        }),
        body(
            "endless-allocation",
            "out_of_memory",
            "(loop $on (drop (memory.grow (i32.const 16))) (br $on)) unreachable",
        ),
        body("endless-realloc", "out_of_memory", {
            "(loop $on
               (drop (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 4096)))
               (br $on)) unreachable"
        }),
        with("endless-table", "out_of_memory", &|guest| {
            let grow = "(table.grow $t (ref.null func) (i32.const 1000))";
            guest
                .items("(table $t 1 funcref)")
                .body(hook, format!("(loop $on (drop {grow}) (br $on)) unreachable"))
        }),
        with("stack-overflow", "stack_overflow", &|guest| {
            guest
                .items("(func $deep (param i64) (result i64) (i64.add (local.get 0) (call $deep (local.get 0))))")
                .body(hook, format!("(drop (call $deep (i64.const 1))) {good}"))
        }),
        body("trap-unreachable", "trap", "unreachable"),
        body("trap-division", "trap", "(i32.div_u (i32.const 1) (i32.const 0))"),
        body("trap-memory", "trap", "(i32.load (i32.const -8))"),
        body("answer-misaligned", "bad_output", "(i32.const 1025)"),
        body("answer-outside", "bad_output", "(i32.const -8)"),
        // Never bound by a rule that grants too little, so it must be called to be found out.
        with("denied-import", "not_granted", &|guest| {
            let ask = "(drop (call $counter (i32.const 0) (i32.const 0)))";
            guest.with_state().body(hook, format!("{ask} {good}"))
        }),
    ];
    guests.extend(bad_answers(hook));
    guests
}

/// Guests whose answer is none.
fn bad_answers(hook: Hook) -> Vec<Hostile> {
    let code = "bad_output";
    // Two megabytes of zeros: valid UTF-8, more than one crossing may carry.
    let huge = (65_536, 2 << 20);
    let with = |name, make: &dyn Fn(Guest) -> Guest| guest(name, code, make(Guest::of(name, hook)));
    let discriminant = format!("{} (i32.const {ANSWER})", place(ANSWER, 7));
    match hook {
        Hook::Pricing => vec![
            with("bad-output", &|guest| guest.quote(price([1, 0, 0, 0], 0))),
            with("oversized-output", &|guest| {
                guest.pages(64).quote(refusal((DATA, 0), huge))
            }),
            with("bad-discriminant", &|guest| guest.quote(discriminant.as_str())),
            with("text-outside", &|guest| {
                guest.quote(refusal((DATA, 2), (DATA, u32::MAX)))
            }),
            with("text-not-utf8", &|guest| {
                guest.data(b"ok\xff\xfe").quote(refusal((DATA, 2), (DATA, 4)))
            }),
        ],
        Hook::Offers => vec![
            with("bad-output", &|guest| {
                // A bitmap for 800 offers fits no batch that a test would make.
                guest
                    .admit(discriminant.as_str())
                    .filter(verdict((DATA, 100), (DATA, 0)))
            }),
            with("oversized-output", &|guest| {
                guest
                    .pages(64)
                    .admit(no((DATA, 0), huge))
                    .filter(verdict(huge, (DATA, 0)))
            }),
            with("bitmap-outside", &|guest| {
                guest
                    .admit(discriminant.as_str())
                    .filter(verdict((DATA, u32::MAX), (DATA, 0)))
            }),
            with("order-past-the-end", &|guest| {
                let order = 1_000_000u32.to_le_bytes();
                guest
                    .data(&[&order[..], &[0xff; 125]].concat())
                    .admit(discriminant.as_str())
                    .filter(format!(
                        "{} (drop) {}",
                        verdict((DATA + 4, 1), (DATA, 1)),
                        format_args!(
                            "(i32.store (i32.const {}) (i32.div_u (i32.add (local.get $count) (i32.const 7))
                               (i32.const 8))) (i32.const {ANSWER})",
                            ANSWER + 4
                        )
                    ))
            }),
        ],
        Hook::Consent => vec![
            with("bad-output", &|guest| guest.authorize(discriminant.as_str())),
            with("oversized-output", &|guest| {
                guest.pages(64).authorize(no((DATA, 0), huge))
            }),
            with("text-not-utf8", &|guest| {
                guest.data(b"ok\xff\xfe").authorize(no((DATA, 2), (DATA, 4)))
            }),
        ],
    }
}

/// Files that must not load.
pub fn unloadable() -> Vec<Hostile> {
    let name = "unloadable";
    let bytes = |code, bytes: Vec<u8>| Hostile { name, bytes, code };
    let text = |code, text: &str| bytes(code, wat::parse_str(text).expect("the text is a component"));
    let whole = Guest::named(name).build();
    let mut flipped = whole.clone();
    if let Some(middle) = flipped.get_mut(whole.len() / 2..) {
        middle.fill(0xa5);
    }
    let truncated = whole.iter().copied().take(whole.len() / 2).collect();
    vec![
        bytes("not_wasm", Vec::new()),
        bytes("not_wasm", b"these are not the bytes of a policy".to_vec()),
        bytes("invalid", flipped),
        bytes("invalid", truncated),
        bytes("core_module", Guest::named(name).module()),
        bytes("too_large", vec![0; (2 << 20) + 1]),
        bytes("name_mismatch", Guest::named("somebody-else").build()),
        bytes("version", Guest::named(name).version("").build()),
        bytes("describe", Guest::named(name).describe("unreachable").build()),
        bytes(
            "describe",
            Guest::named(name)
                .describe("(loop $on (br $on)) unreachable")
                .build(),
        ),
        bytes(
            "no_hook",
            Guest::named(name)
                .world("{ export bourse:policy/describe@1.0.0; }")
                .build(),
        ),
        bytes("invalid", Guest::named(name).pages(2048).build()),
        text("missing_function", "(component)"),
        text(
            "unknown_import",
            r#"(component (import "wasi:clocks/monotonic-clock@0.2.0"
                 (instance (export "now" (func (result u64))))))"#,
        ),
        text(
            "unknown_import",
            r#"(component (import "bourse:policy/purse@1.0.0" (instance)))"#,
        ),
        text("invalid", "(component (core module (memory i64 1)))"),
        text("invalid", "(component (core module (memory 1 1 shared)))"),
        text(
            "invalid",
            "(component (core module (func (result v128)
               (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))",
        ),
    ]
}
