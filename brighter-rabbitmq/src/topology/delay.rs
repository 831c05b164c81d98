//! Delays without a plugin: queues without a consumer, whose messages expire back to the original queue.
//!
//! Each delay has a queue of its own, so that no message waits behind one with a longer delay. Delays are rounded up to
//! two digits, which limits the number of queues to ninety for each power of ten. The queues never expire, because the
//! broker would drop their messages. An unused delay queue is empty, and costs the broker next to nothing.

use std::time::Duration;

use brighter_core::message::{ChannelName, MAX_NAME_BYTES, NameError};

/// The longest delay of one queue, a little under 49 days: the broker counts milliseconds in 32 bits. A longer delay
/// uses several queues in turn.
const LONGEST: u32 = 4_200_000_000;
pub(crate) const LONGEST_DELAY: Duration = Duration::from_millis(LONGEST as u64);

/// Returns the delay of one queue in milliseconds, rounded up to two digits, and at most the longest; 0 for no delay.
pub(crate) fn milliseconds(delay: Duration) -> u32 {
    let exact = delay.as_nanos().div_ceil(1_000_000);
    let exact = u64::try_from(exact).unwrap_or(u64::MAX).min(LONGEST.into());
    let mut unit = 1;
    while exact.div_ceil(unit) >= 100 {
        unit *= 10;
    }
    u32::try_from(exact.div_ceil(unit) * unit).unwrap_or(LONGEST)
}

/// Returns the name of the queue for a delay.
pub(super) fn name_of(queue: &str, milliseconds: u32) -> String {
    format!("{queue}.delay.{milliseconds}")
}

/// Checks that the name of a channel leaves room for the names of its delay queues.
pub(super) fn check(queue: &ChannelName) -> Result<(), NameError> {
    let longest = name_of(queue.as_str(), LONGEST);
    if longest.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong {
            what: "channel name with `.delay.` and milliseconds after it",
            bytes: longest.len(),
            begins: longest.chars().take(24).collect(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn delays_are_rounded_up_to_two_digits() {
        for (delay, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(99), 99),
            (Duration::from_millis(100), 100),
            (Duration::from_millis(101), 110),
            (Duration::from_millis(1234), 1300),
            (Duration::from_millis(9901), 10_000),
            (Duration::from_secs(60), 60_000),
            (Duration::from_secs(90_061), 91_000_000),
            (Duration::MAX, LONGEST),
        ] {
            assert_eq!(milliseconds(delay), expected, "{delay:?}");
        }
    }

    #[test]
    fn there_are_ninety_queues_for_each_power_of_ten() {
        let lengths: HashSet<u32> = (1000..10_000)
            .map(|ms| milliseconds(Duration::from_millis(ms)))
            .collect();
        assert_eq!(lengths.len(), 91); // 1000 to 9900, and 10000.
    }

    #[test]
    fn a_name_must_leave_room() {
        assert!(check(&"q".repeat(238).into()).is_ok());
        assert!(check(&"q".repeat(239).into()).is_err());
    }
}
