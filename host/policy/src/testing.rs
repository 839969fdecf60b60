//! Small components from text: guests that do exactly one thing, for tests here and in other rooms.
//!
//! A [`Guest`] is a core module with a bump allocator, a `describe` that answers what it is told, and functions of the
//! hooks whose bodies the test writes in WebAssembly text. [`hostile`] holds the ones that every host must survive.

#![allow(
    clippy::expect_used,
    reason = "a guest that cannot be built is a mistake in the test that wrote it"
)]

pub mod hostile;
mod layout;

pub use layout::{
    computed, field_offset, keep_all, keep_none, no, place, price, refusal, request_offset, verdict, yes,
};

use crate::hook::Hook;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{PackageId, Resolve};

/// The package that policies are written against.
pub const WIT: &str = include_str!("../../../guest-sdk/wit/policy.wit");

/// Where a guest's function writes its answer; 64 bytes are free there.
pub const ANSWER: u32 = 1024;

/// Where a guest may keep bytes of its own: [`Guest::data`] puts them here. 8 KiB are free.
pub const DATA: u32 = 2048;

/// Where a guest may write a bitmap over a whole batch; 1 KiB is free there.
pub const BITMAP: u32 = 11_264;

/// Where an import may write its answer; 2 KiB are free there.
pub const IMPORTED: u32 = 12_288;

/// Where the answer of `describe` lies.
const DESCRIPTION: u32 = 64;

/// Where the texts of `describe` lie.
const TEXTS: u32 = 16_384;

/// A component under construction. By default it asks one base unit, valid for a second.
#[derive(Debug, Clone)]
pub struct Guest {
    name: String,
    version: String,
    summary: String,
    schema: String,
    pages: u32,
    imports: String,
    items: String,
    data: Vec<u8>,
    quote: Option<String>,
    admit: Option<String>,
    filter: Option<String>,
    authorize: Option<String>,
    describe: String,
    world: Option<String>,
}

impl Guest {
    /// A policy that describes itself as `name`.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            summary: "a test".to_owned(),
            schema: "{}".to_owned(),
            pages: 4,
            imports: String::new(),
            items: String::new(),
            data: Vec::new(),
            quote: Some(price([1, 0, 0, 0], 1000)),
            admit: None,
            filter: None,
            authorize: None,
            describe: format!("i32.const {DESCRIPTION}"),
            world: None,
        }
    }

    /// A policy that exports only `hook`, and says yes: one base unit, every offer, every deal.
    pub fn of(name: &str, hook: Hook) -> Self {
        let mut guest = Self::named(name);
        guest.quote = None;
        guest.also(hook)
    }

    /// Exports `hook` as well, and says yes there.
    #[must_use]
    pub fn also(self, hook: Hook) -> Self {
        match hook {
            Hook::Pricing => self.quote(price([1, 0, 0, 0], 1000)),
            Hook::Offers => self.admit(yes()).filter(keep_all()),
            Hook::Consent => self.authorize(yes()),
        }
    }

    /// The body of every function of `hook`.
    #[must_use]
    pub fn body(self, hook: Hook, body: impl Into<String>) -> Self {
        let body = body.into();
        match hook {
            Hook::Pricing => self.quote(body),
            Hook::Offers => self.admit(body.clone()).filter(body),
            Hook::Consent => self.authorize(body),
        }
    }

    /// The body of `quote`: from `(param $request i32)` to the address of its answer on the stack.
    #[must_use]
    pub fn quote(mut self, body: impl Into<String>) -> Self {
        self.quote = Some(body.into());
        self
    }

    /// The body of `admit`, which needs a `filter` beside it: from `(param $request i32)`, where context and offer lie,
    /// to the address of its answer on the stack.
    #[must_use]
    pub fn admit(mut self, body: impl Into<String>) -> Self {
        self.admit = Some(body.into());
        self
    }

    /// The body of `filter`, which needs an `admit` beside it: from the parameters `$now`, `$market_hi`, `$market_lo`,
    /// `$action`, `$buyer`, `$buyer_a`, `$buyer_b`, `$buyer_c`, `$params`, `$params_len`, `$layout`, `$count`, `$batch`
    /// and `$batch_len` to the address of its answer on the stack. The locals `$i`, `$j` and `$at` are free.
    #[must_use]
    pub fn filter(mut self, body: impl Into<String>) -> Self {
        self.filter = Some(body.into());
        self
    }

    /// The body of `authorize`: from `(param $request i32)` to the address of its answer on the stack.
    #[must_use]
    pub fn authorize(mut self, body: impl Into<String>) -> Self {
        self.authorize = Some(body.into());
        self
    }

    /// The body of `describe`, to the address of its answer on the stack.
    #[must_use]
    pub fn describe(mut self, body: impl Into<String>) -> Self {
        self.describe = body.into();
        self
    }

    /// The version it says.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.to_owned();
        self
    }

    /// The summary and the schema it says.
    #[must_use]
    pub fn texts(mut self, summary: &str, schema: &str) -> Self {
        self.summary = summary.to_owned();
        self.schema = schema.to_owned();
        self
    }

    /// Bytes at [`DATA`].
    #[must_use]
    pub fn data(mut self, bytes: &[u8]) -> Self {
        self.data = bytes.to_vec();
        self
    }

    /// Pages of 64 KiB that its memory starts with.
    #[must_use]
    pub fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// Further functions, globals or tables, in text.
    #[must_use]
    pub fn items(mut self, text: &str) -> Self {
        self.items = text.to_owned();
        self
    }

    /// Imports `market.demand` as `$demand`: (subject's case, two halves, tail, window, address of the answer).
    #[must_use]
    pub fn with_market(mut self) -> Self {
        self.imports.push_str(
            r#"(import "bourse:policy/market@1.0.0" "demand"
                 (func $demand (param i32 i64 i64 i32 i32 i32)))"#,
        );
        self
    }

    /// Imports all of `state`: `$get` (key, address of the answer), `$set` (key, 1 or 0 for some or none, value),
    /// `$counter` (key) to a 64-bit number, `$add` (key, 64-bit delta). Keys and values are addresses and lengths.
    #[must_use]
    pub fn with_state(mut self) -> Self {
        self.imports.push_str(
            r#"(import "bourse:policy/state@1.0.0" "get" (func $get (param i32 i32 i32)))
               (import "bourse:policy/state@1.0.0" "set" (func $set (param i32 i32 i32 i32 i32)))
               (import "bourse:policy/state@1.0.0" "counter" (func $counter (param i32 i32) (result i64)))
               (import "bourse:policy/state@1.0.0" "add" (func $add (param i32 i32 i64)))"#,
        );
        self
    }

    /// Imports `log.line` as `$line`: (level, address and length of the text).
    #[must_use]
    pub fn with_log(mut self) -> Self {
        self.imports
            .push_str(r#"(import "bourse:policy/log@1.0.0" "line" (func $line (param i32 i32 i32)))"#);
        self
    }

    /// Implements another world of the package, written in WIT with its braces, and no hook of its own.
    #[must_use]
    pub fn world(mut self, wit: &str) -> Self {
        self.world = Some(wit.to_owned());
        self.quote = None;
        self
    }

    /// The functions of the hooks, in text.
    fn hooks(&self) -> String {
        let plain = "(param $request i32) (result i32)";
        let filter = "(param $now i64) (param $market_hi i64) (param $market_lo i64) (param $action i32)
            (param $buyer i32) (param $buyer_a i64) (param $buyer_b i64) (param $buyer_c i32)
            (param $params i32) (param $params_len i32) (param $layout i32) (param $count i32)
            (param $batch i32) (param $batch_len i32) (result i32)
            (local $i i32) (local $j i32) (local $at i32)";
        [
            (Hook::Pricing, "quote", plain, &self.quote),
            (Hook::Offers, "admit", plain, &self.admit),
            (Hook::Offers, "filter", filter, &self.filter),
            (Hook::Consent, "authorize", plain, &self.authorize),
        ]
        .into_iter()
        .filter_map(|(hook, name, signature, body)| {
            let body = body.as_ref()?;
            let export = format!("{}#{name}", hook.interface());
            Some(format!(r#"(func (export "{export}") {signature} {body})"#))
        })
        .collect()
    }

    /// The world of the package for the hooks it exports.
    fn package_world(&self) -> String {
        let hooks: Vec<&str> = [
            (Hook::Pricing, self.quote.is_some()),
            (Hook::Offers, self.filter.is_some()),
            (Hook::Consent, self.authorize.is_some()),
        ]
        .into_iter()
        .filter_map(|(hook, there)| there.then_some(hook.as_str()))
        .collect();
        match hooks.len() {
            3 => "full-policy".to_owned(),
            _ => format!("{}-policy", hooks.join("-")),
        }
    }

    /// The core module, in text.
    pub fn text(&self) -> String {
        let Self {
            pages,
            imports,
            items,
            describe,
            ..
        } = self;
        let hooks = self.hooks();
        let mut records = Vec::new();
        let mut texts = Vec::new();
        for text in [&self.name, &self.version, &self.summary, &self.schema] {
            records.extend((TEXTS + texts.len() as u32).to_le_bytes());
            records.extend((text.len() as u32).to_le_bytes());
            texts.extend(text.bytes());
        }
        let heap = (TEXTS as usize + texts.len()).next_multiple_of(16);
        format!(
            r#"(module
              {imports}
              (memory (export "memory") {pages})
              (global $heap (mut i32) (i32.const {heap}))
              (data (i32.const {DESCRIPTION}) "{}")
              (data (i32.const {DATA}) "{}")
              (data (i32.const {TEXTS}) "{}")
              (func $realloc (export "cabi_realloc")
                (param $old i32) (param $had i32) (param $align i32) (param $want i32) (result i32)
                (local $at i32)
                (local.set $at
                  (i32.and (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get $align))))
                (global.set $heap (i32.add (local.get $at) (local.get $want)))
                (block $enough
                  (loop $more
                    (br_if $enough
                      (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
                    (br $more)))
                (local.get $at))
              {items}
              (func (export "bourse:policy/describe@1.0.0#describe") (result i32) {describe})
              {hooks})"#,
            escape(&records),
            escape(&self.data),
            escape(&texts),
        )
    }

    /// The core module, not yet a component.
    pub fn module(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("the guest's text is a module")
    }

    /// The component.
    pub fn build(&self) -> Vec<u8> {
        let (mut resolve, package) = resolve();
        let (package, world) = match &self.world {
            Some(wit) => {
                let source = format!("package bourse:testing;\nworld testing {wit}");
                (
                    resolve
                        .push_source("testing.wit", &source)
                        .expect("the test's WIT is valid"),
                    "testing".to_owned(),
                )
            }
            None => (package, self.package_world()),
        };
        let world = resolve
            .select_world(&[package], Some(&world))
            .expect("the world exists");
        let mut module = self.module();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("the metadata fits the module");
        ComponentEncoder::default()
            .module(&module)
            .expect("the module has metadata")
            .validate(true)
            .encode()
            .expect("the module implements its world")
    }
}

/// The parsed package.
fn resolve() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let package = resolve
        .push_source("policy.wit", WIT)
        .expect("the package is valid WIT");
    (resolve, package)
}

/// Bytes as a string of WebAssembly text.
fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
