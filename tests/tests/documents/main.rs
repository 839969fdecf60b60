//! The Rust that the documents show: it compiles here as it stands there, and does what is said of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop"
)]

mod doubling;

use bourse::Amount;

/// The blocks of Rust in a document.
fn rust(document: &str) -> Vec<&str> {
    let blocks = document.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("rust\n")).collect()
}

#[test]
fn the_policy_in_the_readme_compiles_as_it_is_and_doubles_its_price() {
    let shown = rust(include_str!("../../../README.md"));
    assert_eq!(shown.len(), 1, "another block wants a test of its own");
    assert!(
        include_str!("doubling.rs").contains(shown[0]),
        "doubling.rs is another policy than the README's:\n{}",
        shown[0]
    );
    assert_eq!(doubling::price_after(0), Amount::from_tokens(1));
    assert_eq!(doubling::price_after(3), Amount::from_tokens(8));
}
