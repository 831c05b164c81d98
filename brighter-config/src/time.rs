//! Durations in text form: `200ms`, `5s`, `1m30s`, `7d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("ms", 1),
    ("m", 60_000),
    ("s", 1000),
];

/// Parses a duration: integers, each with its unit.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let (unit, milliseconds) = UNITS.iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total = total.checked_add(number.checked_mul(*milliseconds)?)?;
        rest = &rest[digits + unit.len()..];
    }
    Some(Duration::from_millis(total))
}

/// Prints a duration in the form that [`parse`] reads.
pub(super) fn show(time: Duration) -> String {
    let mut left = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut shown = String::new();
    for (unit, milliseconds) in [UNITS[0], UNITS[1], UNITS[3], UNITS[4], UNITS[2]] {
        if left >= milliseconds {
            shown.push_str(&format!("{}{unit}", left / milliseconds));
            left %= milliseconds;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown_as_people_write_them() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("200ms", 200),
            ("5s", 5000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("1s5ms", 1005),
        ] {
            let time = Duration::from_millis(milliseconds);
            assert_eq!(parse(text), Some(time), "{text}");
            assert_eq!(show(time), text);
        }
        assert_eq!(show(Duration::from_secs(300)), "5m");
    }

    #[test]
    fn invalid_durations_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            "1w",
            "5sec",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
