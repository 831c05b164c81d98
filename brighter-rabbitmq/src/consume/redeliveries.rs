//! How often a message was delivered before without being settled, and what counts it.
//!
//! | queue | what counts a delivery that was not settled | what counts what is given back |
//! |---|---|---|
//! | quorum, before 4.3 | the broker, in `x-delivery-count` | the broker, the same |
//! | quorum, from 4.3 on | the broker, in `x-delivery-count` | nothing: only `x-acquired-count` grows |
//! | classic | we: the broker says that it delivers it again, and not how often | we |
//!
//! A message has one header of ours besides, which says how often earlier copies of it were delivered. A copy is made,
//! and confirmed, before its original is acked:
//!
//! * of what a classic queue delivers again, as a copy alone can say how often;
//! * of a suspect that is given back, in place of giving it back, where that would count as a delivery: see
//!   [`Channel::suspect_after`](brighter_core::channel::Channel::suspect_after).
//!
//! A copy goes to the end of its queue. So there is none where messages must not lose their places.

use std::time::Duration;

use lapin::types::AMQPValue;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::receipt::Receipt;
use crate::wire::{self, Original};
use brighter_core::__private::report;

/// A copy is confirmed within this time, or its original is used.
const COPIED_WITHIN: Duration = Duration::from_secs(5);

/// How often a message was delivered before without being settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redeliveries {
    pub(super) times: u32,
    /// Whether neither the broker nor a header says so: the next time it would be forgotten.
    pub(super) is_unwritten: bool,
    /// Whether giving it back counts as another delivery.
    pub(super) counts_releases: bool,
}

impl Redeliveries {
    /// What the broker and the headers say. Ours is believed of what was put straight into its queue, as copies are:
    /// for all else it is a stranger's.
    pub(super) fn of(consumer: &ConsumerChannel, exchange: &str, redelivered: bool, original: &Original) -> Self {
        let is_straight = exchange.is_empty() && consumer.channel.name == *original.routing_key.as_str();
        let earlier = if is_straight { wire::redeliveries(original) } else { 0 };
        let broker = redelivered.then(|| BrokersCount::of(original));
        Self::new(earlier, broker, consumer.counts, consumer.makes_copies())
    }

    /// `earlier` is what our header says; `broker` what the broker says of what it delivers again, and `None` where it
    /// has not delivered it before.
    fn new(earlier: u32, broker: Option<BrokersCount>, is_quorum: bool, makes_copies: bool) -> Self {
        let (times, is_unwritten, counts_releases) = match broker {
            None => (earlier, false, true),
            // A stranger may have written one of these in a message that a classic queue delivers again: it decides
            // about that alone.
            Some(BrokersCount { delivered, acquired }) if is_quorum || delivered.is_some() || acquired => {
                (earlier.saturating_add(delivered.unwrap_or_default()), false, !acquired)
            }
            Some(_) if makes_copies => (earlier.saturating_add(1), true, true),
            Some(_) => (earlier, false, true),
        };
        Self {
            times,
            is_unwritten,
            counts_releases,
        }
    }
}

/// What a quorum queue says of a message that it delivers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BrokersCount {
    /// How often it was delivered before, and, from 4.3 on, not given back.
    delivered: Option<u32>,
    /// Whether it counts beside that how often the message was taken, so that giving it back does not count.
    acquired: bool,
}

impl BrokersCount {
    fn of(original: &Original) -> Self {
        let headers = original.properties.headers().as_ref();
        let header = |name| headers.and_then(|headers| headers.inner().get(name));
        let delivered = match header("x-delivery-count") {
            Some(AMQPValue::LongLongInt(count)) => Some(u32::try_from(*count).unwrap_or_default()),
            _ => None,
        };
        Self {
            delivered,
            acquired: header("x-acquired-count").is_some(),
        }
    }
}

/// Puts a copy that says so into the queue in place of the delivery; gives the delivery again if that cannot be done.
pub(super) async fn replace(receipt: Receipt) -> Result<(), Receipt> {
    let copied = match timeout(COPIED_WITHIN, receipt.copy_counted()).await {
        Ok(copied) => copied.map_err(|error| report(&error)),
        Err(elapsed) => Err(elapsed.to_string()),
    };
    match copied {
        Ok(()) => {
            // An error says that the connection is gone: then there are two of it, as whenever a copy is made.
            let _ = receipt.done();
            Ok(())
        }
        Err(error) => {
            tracing::debug!(error, "no copy could be made to say how often the message was delivered");
            Err(receipt)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(delivered: Option<u32>, acquired: bool) -> Option<BrokersCount> {
        Some(BrokersCount { delivered, acquired })
    }

    #[test]
    fn what_is_new_has_only_the_count_of_its_earlier_copies() {
        for (is_quorum, makes_copies) in [(false, false), (false, true), (true, false), (true, true)] {
            let count = Redeliveries::new(3, None, is_quorum, makes_copies);
            assert_eq!((count.times, count.is_unwritten, count.counts_releases), (3, false, true));
        }
    }

    #[test]
    fn the_count_of_a_quorum_queue_is_added_to_that_of_the_earlier_copies() {
        let before_4_3 = Redeliveries::new(3, said(Some(4), false), true, true);
        assert_eq!((before_4_3.times, before_4_3.counts_releases), (7, true));
        // Given back twice and delivered to a consumer that died four times.
        let since_4_3 = Redeliveries::new(3, said(Some(4), true), true, true);
        assert_eq!((since_4_3.times, since_4_3.counts_releases), (7, false));
        // Given back only.
        let given_back = Redeliveries::new(0, said(None, true), true, true);
        assert_eq!((given_back.times, given_back.is_unwritten), (0, false));
    }

    #[test]
    fn a_queue_of_unknown_type_that_counts_is_believed() {
        let count = Redeliveries::new(0, said(Some(4), false), false, true);
        assert_eq!((count.times, count.is_unwritten), (4, false));
    }

    #[test]
    fn what_a_classic_queue_delivers_again_counts_once_more_where_a_copy_can_say_so() {
        let counted = Redeliveries::new(3, said(None, false), false, true);
        assert_eq!((counted.times, counted.is_unwritten), (4, true));
        let uncounted = Redeliveries::new(0, said(None, false), false, false);
        assert_eq!((uncounted.times, uncounted.is_unwritten), (0, false));
    }
}
