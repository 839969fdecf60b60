//! Guests that every host must survive, each with the outcome it must lead to.

use super::{ANSWER, DATA, Guest, place, price, refusal};

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

fn guest(name: &'static str, code: &'static str, make: impl FnOnce(Guest) -> Guest) -> Hostile {
    Hostile {
        name,
        bytes: make(Guest::named(name)).build(),
        code,
    }
}

/// Guests that load and then fail when they are asked for a price.
pub fn failing() -> Vec<Hostile> {
    vec![
        guest("endless-loop", "out_of_fuel", |guest| {
            guest.quote("(loop $on (br $on)) unreachable")
        }),
        guest("endless-allocation", "out_of_memory", |guest| {
            guest.quote("(loop $on (drop (memory.grow (i32.const 16))) (br $on)) unreachable")
        }),
        guest("endless-realloc", "out_of_memory", |guest| {
            let more = "(call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 4096))";
            guest.quote(format!("(loop $on (drop {more}) (br $on)) unreachable"))
        }),
        guest("endless-table", "out_of_memory", |guest| {
            let grow = "(table.grow $t (ref.null func) (i32.const 1000))";
            guest
                .items("(table $t 1 funcref)")
                .quote(format!("(loop $on (drop {grow}) (br $on)) unreachable"))
        }),
        guest("stack-overflow", "stack_overflow", |guest| {
            guest
                .items("(func $deep (param i64) (result i64) (i64.add (local.get 0) (call $deep (local.get 0))))")
                .quote(format!("(drop (call $deep (i64.const 1))) {}", price([1, 0, 0, 0], 1)))
        }),
        guest("trap-unreachable", "trap", |guest| guest.quote("unreachable")),
        guest("trap-division", "trap", |guest| {
            guest.quote("(i32.div_u (i32.const 1) (i32.const 0))")
        }),
        guest("trap-memory", "trap", |guest| {
            guest.quote("(i32.load (i32.const -8))")
        }),
        guest("validity-zero", "bad_output", |guest| {
            guest.quote(price([1, 0, 0, 0], 0))
        }),
        guest("bad-discriminant", "bad_output", |guest| {
            guest.quote(format!("{} (i32.const {ANSWER})", place(ANSWER, 7)))
        }),
        guest("answer-misaligned", "bad_output", |guest| {
            guest.quote("(i32.const 1025)")
        }),
        guest("answer-outside", "bad_output", |guest| {
            guest.quote("(i32.const -8)")
        }),
        guest("text-outside", "bad_output", |guest| {
            guest.quote(refusal((DATA, 2), (DATA, u32::MAX)))
        }),
        guest("text-not-utf8", "bad_output", |guest| {
            guest.data(b"ok\xff\xfe").quote(refusal((DATA, 2), (DATA, 4)))
        }),
        guest("text-huge", "bad_output", |guest| {
            // Two megabytes of zeros: valid UTF-8, more than one crossing may carry.
            guest.pages(64).quote(refusal((DATA, 0), (65_536, 2 << 20)))
        }),
    ]
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
