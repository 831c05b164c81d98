//! Times on the wire: seconds since 1970, or RFC 3339 with milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Returns the seconds since 1970; `None` for an earlier time.
pub fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Returns the time this many seconds after 1970; `None` if it is outside of the calendar.
pub fn from_seconds(seconds: u64) -> Option<SystemTime> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // A number outside of the calendar was not a time.
    calendar(time).map(|_| time)
}

/// Writes a time as `2026-09-30T12:00:00.000Z`; `None` for a time outside the years 0 to 9999.
pub fn write(time: SystemTime) -> Option<String> {
    let t = calendar(time)?;
    // Every message has a time, and `format!` would take a quarter of the cost of its headers.
    let mut text = String::with_capacity("2026-09-30T12:00:00.000Z".len());
    let mut put = |number: u32, digits: usize, after: char| {
        let all = [number / 1000, number / 100, number / 10, number];
        for digit in &all[all.len() - digits..] {
            text.push(char::from(b'0' + (digit % 10) as u8));
        }
        text.push(after);
    };
    put(t.year().unsigned_abs(), 4, '-');
    put(u8::from(t.month()).into(), 2, '-');
    put(t.day().into(), 2, 'T');
    put(t.hour().into(), 2, ':');
    put(t.minute().into(), 2, ':');
    put(t.second().into(), 2, '.');
    put(t.millisecond().into(), 3, 'Z');
    Some(text)
}

/// Reads any time of RFC 3339, of any precision.
pub fn read(text: &str) -> Option<SystemTime> {
    let nanos = OffsetDateTime::parse(text.trim(), &Rfc3339)
        .ok()?
        .unix_timestamp_nanos();
    let distance = Duration::new(
        u64::try_from(nanos.unsigned_abs() / 1_000_000_000).ok()?,
        u32::try_from(nanos.unsigned_abs() % 1_000_000_000).ok()?,
    );
    if nanos < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}

/// Converts a time without the panic of the plain conversion for a time that is too far away.
fn calendar(time: SystemTime) -> Option<OffsetDateTime> {
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).ok()?,
        Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
    };
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .filter(|time| (0..=9999).contains(&time.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_every_digit_in_its_place() {
        for text in [
            "2026-09-30T12:34:56.789Z",
            "1970-01-01T00:00:00.000Z",
            "0001-02-03T04:05:06.007Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert_eq!(write(read(text).unwrap()).as_deref(), Some(text));
        }
    }
}
