//! Durations that are practically endless.

use std::time::Duration;

use tokio::time::Instant;

/// A hundred years: longer than any wait, and short enough for the clock to represent.
pub const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Returns the end of a duration that may be too long for the clock to represent.
#[inline]
pub fn after(now: Instant, time: Duration) -> Instant {
    now + time.min(NEVER)
}
