//! Times that are as good as never.

use std::time::Duration;

use tokio::time::Instant;

/// So far ahead that nobody will wait for it, and near enough for the clock to say it: a hundred years.
pub const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The end of a time that may be too long for the clock to say.
#[inline]
pub fn after(now: Instant, time: Duration) -> Instant {
    now + time.min(NEVER)
}
