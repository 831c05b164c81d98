//! Times of RFC 3339.

use std::time::{Duration, SystemTime};

use brighter_core::__private::rfc3339;

use crate::Target;
use crate::seed::Seed;

/// A time is read or refused; what was read is written so that it is read as the same, to the millisecond.
pub(crate) const TARGET: Target = Target {
    name: "times",
    run,
    seeds,
};

fn run(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(time) = rfc3339::read(text)
        && let Some(written) = rfc3339::write(time)
    {
        let again = rfc3339::read(&written).expect("what was written can be read");
        let off = distance(time, again);
        assert!(
            off < Duration::from_millis(1),
            "{text:?} became {written}, which is {off:?} off"
        );
    }
    if let Some(eight) = bytes.first_chunk()
        && let Some(time) = rfc3339::from_seconds(u64::from_be_bytes(*eight))
    {
        assert_eq!(rfc3339::seconds(time), Some(u64::from_be_bytes(*eight)));
        let written = rfc3339::write(time).expect("a calendar holds it");
        assert_eq!(rfc3339::read(&written), Some(time));
    }
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    let later = one.duration_since(other);
    later.unwrap_or_else(|earlier| earlier.duration())
}

fn seeds() -> Vec<Seed> {
    let times = [
        "2026-09-30T12:34:56.789Z",
        "2026-09-30t12:34:56.123456789+14:00",
        "1969-12-31T23:59:59.9999-00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999-23:59",
        "2016-12-31T23:59:60Z",
        " 2026-09-30T12:34:56Z ",
        "2026-02-29T00:00:00Z",
    ];
    let mut seeds: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(number, time)| Seed::new(&format!("time-{number}"), *time))
        .collect();
    seeds.push(Seed::new(
        "digits",
        format!("2026-09-30T12:34:56.{}Z", "9".repeat(100_000)),
    ));
    seeds.push(Seed::new("seconds", 253_402_300_799_u64.to_be_bytes()));
    seeds.push(Seed::new("too-many-seconds", u64::MAX.to_be_bytes()));
    seeds
}
