//! Whether a subscription has enough messages in hand, and enough time, for the batches of a handler.

use std::time::Duration;

use super::SubscriptionSettings;
use crate::pipeline::BatchLimits;

/// Why a handler would not get the batches that it is written for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The performers have fewer messages in flight than a batch has, so each batch would wait for all of its time.
    #[error(
        "a batch has up to {max} messages, and this subscription has {in_hand} in flight ({performers} × `concurrency` {concurrency}, buffer {buffer}): write `.concurrency({})`, with a buffer as large or larger, or `max = {in_hand}`",
        max.div_ceil(*performers)
    )]
    TooFewInHand {
        /// How many messages a batch has at most.
        max: usize,
        /// How many performers there are at least.
        performers: usize,
        /// How many messages each of them handles at once.
        concurrency: usize,
        /// How many messages each of them takes in advance.
        buffer: u16,
        /// How many messages all of them handle at once.
        in_hand: usize,
    },
    /// A message would time out while it waits for others.
    #[error(
        "the first message of a batch waits for others for {within:?}, and this subscription gives a message {timeout:?} in all: write a shorter `within`, or a longer `.timeout(…)`"
    )]
    WaitsTooLong {
        /// How long the first message waits.
        within: Duration,
        /// How long one handling of a message may take.
        timeout: Duration,
    },
}

/// Returns why a handler with these limits would not get its batches.
pub(crate) fn batch_problem(settings: &SubscriptionSettings, limits: &BatchLimits) -> Option<BatchError> {
    let BatchLimits { max, within, .. } = *limits;
    let (concurrency, timeout) = (settings.concurrency, settings.time_limit());
    // What is zero is refused by its own name.
    let performers = settings.performers.max(1);
    let in_hand = performers.saturating_mul(concurrency);
    if in_hand < max {
        return Some(BatchError::TooFewInHand {
            max,
            performers,
            concurrency,
            buffer: settings.channel.buffer.get(),
            in_hand,
        });
    }
    (max > 1 && within >= timeout).then_some(BatchError::WaitsTooLong { within, timeout })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::channel::Channel;

    fn settings() -> SubscriptionSettings {
        SubscriptionSettings::new("test".into(), Channel::new("test", "test"))
    }

    fn limits(max: usize, within: Duration) -> BatchLimits {
        BatchLimits {
            max,
            within,
            timeout: None,
        }
    }

    #[test]
    fn a_batch_needs_as_many_messages_in_hand() {
        let limits = limits(100, Duration::from_millis(50));
        let mut settings = settings();
        let error = batch_problem(&settings, &limits).unwrap().to_string();
        assert!(
            error.contains("`.concurrency(100)`") && error.contains("`max = 1`"),
            "{error}"
        );
        (settings.performers, settings.concurrency) = (3, 33);
        let error = batch_problem(&settings, &limits).unwrap().to_string();
        assert!(
            error.contains("`.concurrency(34)`") && error.contains("`max = 99`"),
            "{error}"
        );
        settings.concurrency = 34;
        assert_eq!(batch_problem(&settings, &limits), None);
    }

    #[test]
    fn a_batch_must_begin_before_its_messages_time_out() {
        let second = Duration::from_secs(1);
        let mut settings = settings();
        settings.concurrency = 2;
        settings.timeout = Some(second);
        let (within, timeout) = (second, second);
        let expected = BatchError::WaitsTooLong { within, timeout };
        assert_eq!(batch_problem(&settings, &limits(2, second)), Some(expected));
        assert_eq!(batch_problem(&settings, &limits(2, second / 2)), None);
    }
}
