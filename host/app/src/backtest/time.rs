//! Moments as people write and read them, always in UTC.

use bourse_market::Nanos;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// `2026-11-22 10:18:56`.
pub(crate) fn show(at: u64) -> String {
    let seconds = at / SECOND;
    let (year, month, day) = date(seconds / DAY);
    let rest = seconds % DAY;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Reads `2026-11-22`, `2026-11-22T10:18`, `2026-11-22T10:18:56Z`, nanoseconds since 1970 as a plain number, or a time
/// before `now` such as `90s`, `30m`, `12h` or `7d`.
///
/// # Errors
///
/// In words, if the text is none of these.
pub(crate) fn parse(text: &str, now: Nanos) -> Result<Nanos, String> {
    let number = |digits: &str| -> Option<u64> {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let before = [("s", 1), ("m", 60), ("h", 3600), ("d", DAY)]
        .into_iter()
        .find_map(|(unit, seconds)| {
            let count = number(text.strip_suffix(unit)?)?;
            Some(count.saturating_mul(seconds).saturating_mul(SECOND))
        });
    if let Some(before) = before {
        return Ok(Nanos(now.0.saturating_sub(before)));
    }
    if let Some(nanos) = number(text) {
        return Ok(Nanos(nanos));
    }
    moment(text).map(Nanos).ok_or_else(|| {
        format!("`{text}` is no moment: expected 2026-11-22, 2026-11-22T10:18:56Z, 12h (ago), or nanoseconds since 1970")
    })
}

fn moment(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let parts = |text: &str, separator: char| -> Option<Vec<u64>> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        text.split(separator)
            .map(|part| digits(part).then(|| part.parse().ok()).flatten())
            .collect()
    };
    let &[year, month, day] = parts(date, '-')?.as_slice() else {
        return None;
    };
    let (hour, minute, second) = match *parts(time, ':')?.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let days = days(year, month, day)?;
    let valid = hour < 24 && minute < 60 && second < 60;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    valid.then(|| seconds.checked_mul(SECOND)).flatten()
}

/// Days from 1970-01-01 to a date of the years 1970 to 2500.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=2500).contains(&year) || !(1..=12).contains(&month) || day == 0 || day > length(year, month) {
        return None;
    }
    // Years begin in March, so that the day that leap years add is their last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day - 1;
    // 719 468 days lie between the first of March of the year 0 and 1970.
    Some(year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468)
}

fn length(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The date that is so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_three_centuries_is_read_as_it_is_shown() {
        for day in 0..110_000u64 {
            let at = (day * DAY + day % DAY) * SECOND;
            let shown = show(at);
            assert_eq!(parse(&shown, Nanos(0)), Ok(Nanos(at)), "{shown}");
        }
        assert_eq!(show(1_763_806_736 * SECOND), "2025-11-22 10:18:56");
        assert!(show(u64::MAX).starts_with("2554-"));
    }

    #[test]
    fn moments_have_several_forms() {
        let now = Nanos(1_000_000 * SECOND);
        for (text, seconds) in [
            ("1970-01-02", DAY),
            ("1970-01-01T00:01", 60),
            ("1970-01-01T00:00:05Z", 5),
            ("7000000000", 7),
            ("90s", 999_910),
            ("2h", 992_800),
            ("900d", 0),
        ] {
            assert_eq!(parse(text, now), Ok(Nanos(seconds * SECOND)), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-02-29",
            "2026-13-01",
            "2026-01-01T24:00",
            "-5",
            "1.5h",
            "2026-1",
        ] {
            assert!(parse(text, now).unwrap_err().contains("is no moment"), "{text}");
        }
    }
}
