//! Where things lie in a guest's memory, and bodies that put answers there.

use super::{ANSWER, BITMAP, resolve};
use wit_parser::{SizeAlign, Type, TypeDefKind};

/// Instructions that answer `quote` with an amount (limbs, least significant first) valid for `valid_ms`.
pub fn price(limbs: [u64; 4], valid_ms: u32) -> String {
    let [low, rest @ ..] = limbs;
    let mut body = String::new();
    for (limb, offset) in rest.into_iter().zip([16, 24, 32]) {
        body.push_str(&format!(
            "(i64.store (i32.const {}) (i64.const {}))",
            ANSWER + offset,
            limb.cast_signed()
        ));
    }
    body.push_str(&computed(&format!("(i64.const {})", low.cast_signed()), valid_ms));
    body
}

/// Instructions that answer `quote` with as many base units as the 64-bit `expression` says, valid for `valid_ms`.
pub fn computed(expression: &str, valid_ms: u32) -> String {
    format!(
        "{} (i64.store (i32.const {}) {expression}) {} (i32.const {ANSWER})",
        place(ANSWER, 0),
        ANSWER + 8,
        place(ANSWER + 40, valid_ms),
    )
}

/// Instructions that answer `quote` with a refusal, its two texts lying at (address, length).
pub fn refusal(code: (u32, u32), text: (u32, u32)) -> String {
    words([1, 0, code.0, code.1, text.0, text.1])
}

/// Instructions that answer `admit` or `authorize` with a yes.
pub fn yes() -> String {
    format!("{} (i32.const {ANSWER})", place(ANSWER, 0))
}

/// Instructions that answer `admit` or `authorize` with a refusal, its two texts lying at (address, length).
pub fn no(code: (u32, u32), text: (u32, u32)) -> String {
    words([1, code.0, code.1, text.0, text.1])
}

/// Instructions that answer `filter` with the bitmap and the order lying at (address, bytes) and (address, items).
pub fn verdict(keep: (u32, u32), order: (u32, u32)) -> String {
    words([keep.0, keep.1, order.0, order.1])
}

/// Instructions that answer `filter` with all offers of the batch, in the host's order.
pub fn keep_all() -> String {
    keep(0xff)
}

/// Instructions that answer `filter` with no offer at all.
pub fn keep_none() -> String {
    keep(0)
}

/// Instructions that answer `filter` with a bitmap of `byte`.
fn keep(byte: u8) -> String {
    let len = "(i32.div_u (i32.add (local.get $count) (i32.const 7)) (i32.const 8))";
    format!(
        "(memory.fill (i32.const {BITMAP}) (i32.const {byte}) {len}) {} (i32.store (i32.const {}) {len})
         (i32.const {ANSWER})",
        [(0, BITMAP), (8, 4), (12, 0)]
            .map(|(at, word)| place(ANSWER + at, word))
            .concat(),
        ANSWER + 4,
    )
}

/// Instructions that answer with these words.
fn words<const N: usize>(words: [u32; N]) -> String {
    let mut body = String::new();
    for (at, word) in words.into_iter().enumerate() {
        body.push_str(&place(ANSWER + 4 * at as u32, word));
    }
    body.push_str(&format!("(i32.const {ANSWER})"));
    body
}

/// An instruction that stores the 32-bit `word` at `address`.
pub fn place(address: u32, word: u32) -> String {
    format!(
        "(i32.store (i32.const {address}) (i32.const {}))",
        word.cast_signed()
    )
}

/// Where a field of `pricing.request` lies, such as `offer.price`; for an option, where its discriminant lies.
///
/// # Panics
///
/// If there is no such field.
pub fn request_offset(path: &str) -> u32 {
    field_offset("pricing", "request", path)
}

/// Where a field of the record `interface`.`record` lies, such as `offer.price` in `consent`.`request`; for an option,
/// where its discriminant lies.
///
/// # Panics
///
/// If there is no such field.
pub fn field_offset(interface: &str, record: &str, path: &str) -> u32 {
    let (resolve, package) = resolve();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve).expect("the package has sizes");
    let package = resolve.packages.get(package).expect("the package exists");
    let id = package
        .interfaces
        .get(interface)
        .expect("the package has the interface");
    let interface = resolve.interfaces.get(*id).expect("the interface exists");
    let mut ty = Type::Id(*interface.types.get(record).expect("the interface has the record"));
    let mut offset = 0;
    for name in path.split('.') {
        let record = loop {
            let Type::Id(id) = ty else {
                unreachable!("`{name}` of `{path}` is asked of a plain type")
            };
            match &resolve.types.get(id).expect("the type exists").kind {
                TypeDefKind::Record(record) => break record,
                TypeDefKind::Type(alias) => ty = *alias,
                other => unreachable!("`{name}` of `{path}` is asked of a {}", other.as_str()),
            }
        };
        let offsets = sizes.field_offsets(record.fields.iter().map(|field| &field.ty));
        let (field, (at, _)) = record
            .fields
            .iter()
            .zip(offsets)
            .find(|(field, _)| field.name == name)
            .expect("the field exists");
        offset += at.size_wasm32() as u32;
        ty = field.ty;
    }
    offset
}
