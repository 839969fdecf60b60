//! Amounts against `ruint`, which is too big for a component but right.

use super::*;
use crate::amount;
use proptest::prelude::*;
use ruint::UintTryFrom;
use ruint::aliases::{U256, U512};

fn amounts() -> impl Strategy<Value = Amount> {
    // Every size is as likely: uniform 256-bit numbers would hardly ever be small.
    (any::<[u64; 4]>(), 0u64..256).prop_map(|(limbs, bits)| Amount::from_limbs(limbs).halved(bits))
}

fn factors() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0u32..64).prop_map(|(factor, bits)| factor >> bits)
}

fn big(amount: Amount) -> U256 {
    U256::from_limbs(amount.limbs())
}

fn small(number: U256) -> Amount {
    Amount::from_limbs(number.into_limbs())
}

proptest! {
    #[test]
    fn sums_and_differences_are_those_of_ruint(a in amounts(), b in amounts()) {
        prop_assert_eq!(a.checked_add(b), big(a).checked_add(big(b)).map(small));
        prop_assert_eq!(a.checked_sub(b), big(a).checked_sub(big(b)).map(small));
        prop_assert_eq!(a.saturating_add(b), small(big(a).saturating_add(big(b))));
        prop_assert_eq!(a.saturating_sub(b), small(big(a).saturating_sub(big(b))));
        prop_assert_eq!(a.cmp(&b), big(a).cmp(&big(b)));
        prop_assert_eq!(a.abs_diff(b), small(big(a).abs_diff(big(b))));
    }

    #[test]
    fn scaling_holds_the_product_exactly(a in amounts(), by in factors(), over in factors()) {
        let exact = (over != 0).then(|| U512::from(big(a)) * U512::from(by) / U512::from(over));
        let expected = exact.and_then(|wide| U256::uint_try_from(wide).ok()).map(small);
        prop_assert_eq!(a.checked_mul_div(by, over), expected);
        prop_assert_eq!(a.checked_mul(by), big(a).checked_mul(U256::from(by)).map(small));
        prop_assert_eq!(a.checked_div(over), (over != 0).then(|| small(big(a) / U256::from(over))));
    }

    #[test]
    fn any_decimal_text_reads_as_ruint_reads_it(
        whole in "0{0,30}[0-9]{1,70}", fraction in "[0-9]{0,18}",
    ) {
        let digits = format!("{whole}{fraction:0<18}");
        let expected = U256::from_str_radix(&digits, 10).ok().map(small);
        let text = if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") };
        prop_assert_eq!(Amount::parse_tokens(&text).ok(), expected);
    }

    #[test]
    fn bytes_are_those_of_ruint(a in amounts()) {
        prop_assert_eq!(a.to_le_bytes(), big(a).to_le_bytes::<32>());
        prop_assert_eq!(Amount::from_le_bytes(a.to_le_bytes()), a);
    }

    #[test]
    fn halving_shifts(a in amounts(), times in 0u64..300) {
        prop_assert_eq!(a.halved(times), small(big(a) >> (times as usize)));
    }

    #[test]
    fn tokens_print_and_read_back(a in amounts()) {
        prop_assert_eq!(Amount::parse_tokens(&a.to_string()), Ok(a));
    }
}

#[test]
fn tokens_read_and_print_alike() {
    for text in ["0", "35", "0.5", "1000000000", "0.000000000000000001"] {
        assert_eq!(Amount::parse_tokens(text).unwrap().to_string(), text);
    }
    assert_eq!(
        Amount::parse_tokens("2.50"),
        Ok(Amount::from_units(2_500_000_000_000_000_000))
    );
    let most = Amount::MAX.to_string();
    assert_eq!(Amount::parse_tokens(&most), Ok(Amount::MAX));
    let (front, last) = most.split_at(most.len() - 1);
    assert_eq!(last, "5", "2^256 - 1 is odd");
    assert!(Amount::parse_tokens(&format!("{front}6")).is_err());
    assert_eq!(format!("{:>6}|", Amount::from_tokens(7)), "     7|");
}

#[test]
fn what_is_not_an_amount_is_named() {
    let huge = "1".repeat(80);
    for text in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "0.0000000000000000001",
        "1_0",
        "1.2.3",
        &huge,
    ] {
        assert_eq!(Amount::parse_tokens(text).unwrap_err().text, text);
    }
}

#[test]
fn a_parameter_is_tokens_as_text_or_whole_number_and_never_a_float() {
    let read = |json: &str| serde_json::from_str::<Amount>(json);
    assert_eq!(read("35").unwrap(), Amount::from_tokens(35));
    assert_eq!(read("\"0.5\"").unwrap(), Amount::from_tokens(1).halved(1));
    for wrong in ["0.5", "-1", "null", "\"five\"", "[]"] {
        assert!(
            read(wrong)
                .unwrap_err()
                .to_string()
                .contains("an amount of tokens"),
            "{wrong}"
        );
    }
}

#[test]
fn basis_points_are_hundredths_of_a_percent() {
    let ten = Amount::from_tokens(10);
    assert_eq!(ten.saturating_mul_bp(WHOLE_BP), ten);
    assert_eq!(ten.saturating_mul_bp(15_000), Amount::from_tokens(15));
    assert_eq!(Amount::MAX.saturating_mul_bp(10_001), Amount::MAX);
    assert_eq!(Amount::MAX.checked_mul_bp(10_001), None);
    assert_eq!(ten.checked_mul_bp(9_750), Some(amount!("9.75")));
    assert_eq!(Amount::MAX.saturating_mul(2), Amount::MAX);
}
