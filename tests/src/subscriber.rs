//! [`subscribe`]: a subscriber of `tracing` for one test among many of a process.

use std::sync::OnceLock;

use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber, Subscriber, set_default};

/// While a process has one subscriber, `tracing` asks only the thread that first passes an event whether anyone listens.
/// If that is the thread of another test, the answer is "never", also for the test that has the subscriber. A second
/// subscriber has `tracing` ask all of them.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

/// Makes a subscriber that of this thread until the guard is dropped. It hears every event, whatever tests of other
/// threads do.
pub fn subscribe(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    SECOND.get_or_init(|| Dispatch::new(NoSubscriber::default()));
    set_default(subscriber)
}
