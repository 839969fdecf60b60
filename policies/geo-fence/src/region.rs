//! Codes of countries and of parts of them, as ISO 3166 writes them: `DE`, `US-CA`. Letters of either case are the same.

/// Whether this is two letters and, for a part, a hyphen and one to three letters or digits.
pub(crate) fn is_code(text: &str) -> bool {
    let (country, part) = text.split_once('-').unwrap_or((text, "X"));
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_alphabetic())
        && (1..=3).contains(&part.len())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Whether `place` is `area` or a part of it. What is no code is nowhere.
pub(crate) fn within(place: &str, area: &str) -> bool {
    if !is_code(place) || !is_code(area) {
        return false;
    }
    let (start, rest) = place.split_at_checked(area.len()).unwrap_or((place, ""));
    start.eq_ignore_ascii_case(area) && (rest.is_empty() || rest.starts_with('-'))
}

/// Whether one of the two is within the other: who is in the one may be in the other.
pub(crate) fn overlaps(place: &str, area: &str) -> bool {
    within(place, area) || within(area, place)
}
