//! Times as people and programs write them.

use std::time::{Duration, SystemTime};

use brighter_core::__private::rfc3339;

/// Returns a time for a program; empty outside of the calendar.
pub(crate) fn stamp(time: SystemTime) -> String {
    rfc3339::write(time).unwrap_or_default()
}

/// Returns how long ago a time was, in words of one unit.
pub(crate) fn ago(time: SystemTime) -> String {
    match SystemTime::now().duration_since(time) {
        Ok(age) if age < Duration::from_secs(1) => "now".to_owned(),
        Ok(age) => format!("{} ago", span(age)),
        Err(ahead) => format!("in {}", span(ahead.duration())),
    }
}

/// Returns a duration in its largest unit.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= 2 * length || (unit == "m" && seconds >= 60) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// Reads a duration such as `90s`, `15m`, `2h` or `7d`.
pub(crate) fn read_span(text: &str) -> Result<Duration, String> {
    let said = || format!("`{text}` is no time: give a number and a unit, such as 90s, 15m, 2h or 7d");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| said())?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "" if number == 0 => 1,
        _ => return Err(said()),
    };
    number.checked_mul(unit).map(Duration::from_secs).ok_or_else(said)
}

/// Reads a number of messages a second, such as `20/s`, `20` or `30/m`.
pub(crate) fn read_rate(text: &str) -> Result<f64, String> {
    let said =
        || format!("`{text}` is no rate: give messages a second, such as 20/s, or a minute, as in 30/m");
    let (number, seconds) = match text.split_once('/') {
        None | Some((_, "s")) => (text.trim_end_matches("/s"), 1.0),
        Some((number, "m")) => (number, 60.0),
        Some(_) => return Err(said()),
    };
    let rate = number.parse::<f64>().map_err(|_| said())? / seconds;
    if rate.is_finite() && rate > 0.0 {
        Ok(rate)
    } else {
        Err(said())
    }
}

/// Reads a time of RFC 3339, or how long ago it was.
pub(crate) fn read_time(text: &str) -> Result<SystemTime, String> {
    if let Some(time) = rfc3339::read(text) {
        return Ok(time);
    }
    let age = read_span(text).map_err(|_| {
        format!("`{text}` is no time: give one such as 2026-09-30T12:00:00Z, or how long ago, as in 2h")
    })?;
    SystemTime::now()
        .checked_sub(age)
        .ok_or_else(|| format!("`{text}` is too long ago"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_are_read_and_mistakes_told() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("2h", 7_200),
            ("7d", 604_800),
            ("0", 0),
        ] {
            assert_eq!(read_span(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "s", "5", "5 m", "-1s", "5w", "99999999999999999999d", "é"] {
            assert!(read_span(text).is_err(), "{text}");
        }
        assert_eq!(read_rate("20/s"), Ok(20.0));
        assert_eq!(read_rate("0.5"), Ok(0.5));
        assert_eq!(read_rate("30/m"), Ok(0.5));
        for text in ["", "0", "-1/s", "20/h", "nan", "1/s/s/m", "inf"] {
            assert!(read_rate(text).is_err(), "{text}");
        }
        assert!(read_time("2026-09-30T12:00:00Z").is_ok() && read_time("2h").is_ok());
        assert!(read_time("yesterday").is_err());
    }

    #[test]
    fn a_duration_has_one_unit() {
        for (seconds, said) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_800, "2d"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), said);
        }
    }
}
