//! Where things lie in a guest's memory, and bodies that put answers there.

use super::{ANSWER, resolve};
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
    let words = [1, 0, code.0, code.1, text.0, text.1];
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
    let (resolve, package) = resolve();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve).expect("the package has sizes");
    let package = resolve.packages.get(package).expect("the package exists");
    let pricing = package
        .interfaces
        .get("pricing")
        .expect("the package has `pricing`");
    let pricing = resolve.interfaces.get(*pricing).expect("the interface exists");
    let mut ty = Type::Id(*pricing.types.get("request").expect("`pricing` has `request`"));
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
