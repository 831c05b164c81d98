//! Times as they travel: seconds since 1970, or RFC 3339 with milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Seconds since 1970; none for a time before.
#[cfg(feature = "rabbitmq")]
pub(crate) fn seconds(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// The time so many seconds after 1970; none for one that no calendar holds.
#[cfg(feature = "rabbitmq")]
pub(crate) fn from_seconds(seconds: u64) -> Option<SystemTime> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    // What no calendar holds was no time at all, but a number somebody put there.
    calendar(time).map(|_| time)
}

/// `2026-09-30T12:00:00.000Z`; none for a time outside the years 0 to 9999.
pub(crate) fn write(time: SystemTime) -> Option<String> {
    let t = calendar(time)?;
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    ))
}

/// Any time of RFC 3339, however precise.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
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

/// The plain conversion panics on a time that is too far away.
fn calendar(time: SystemTime) -> Option<OffsetDateTime> {
    let nanos = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).ok()?,
        Err(before) => -i128::try_from(before.duration().as_nanos()).ok()?,
    };
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .filter(|time| (0..=9999).contains(&time.year()))
}
