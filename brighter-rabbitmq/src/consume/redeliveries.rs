//! [`Redeliveries`]: how often a message was delivered before without being settled, and who counts.
//!
//! | queue | who counts an unsettled delivery | who counts a returned message |
//! |---|---|---|
//! | quorum, before 4.3 | the broker, in `x-delivery-count` | the broker, in the same header |
//! | quorum, from 4.3 on | the broker, in `x-delivery-count` | nobody: only `x-acquired-count` increases |
//! | classic | brighter: the broker reports a redelivery, and not how many | brighter |
//!
//! Besides, a message has a header of brighter's that records how often earlier copies of it were delivered. A copy is
//! published and confirmed before its original is acknowledged:
//!
//! * for a redelivery of a classic queue, because only a copy can record the count;
//! * for a suspected message that is returned, if returning it would count as a delivery: see
//!   [`Channel::suspect_after`](brighter_core::channel::Channel::suspect_after).
//!
//! A copy goes to the end of its queue. So no copies are made if messages must not lose their positions.

use lapin::types::AMQPValue;

use super::consumer_channel::ConsumerChannel;
use crate::wire::{self, Original};
use brighter_core::channel::QueueType;

/// How often a message was delivered before without being settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redeliveries {
    pub(super) times: u32,
    /// Whether neither the broker nor a header records the count, so that the next delivery would not know it.
    pub(super) is_unwritten: bool,
    /// Whether returning the message counts as another delivery.
    pub(super) counts_releases: bool,
}

impl Redeliveries {
    /// Reads the counts of the broker and of the headers. The header of brighter is trusted only in a message that was
    /// published directly to its queue, as copies are; otherwise its sender is unknown.
    pub(super) fn of(
        consumer: &ConsumerChannel,
        exchange: &str,
        redelivered: bool,
        original: &Original,
    ) -> Self {
        let is_straight = exchange.is_empty() && consumer.channel.name == *original.routing_key.as_str();
        let earlier = if is_straight {
            wire::redeliveries(original)
        } else {
            0
        };
        let broker = redelivered.then(|| BrokersCount::of(original));
        Self::new(earlier, broker, consumer.queue_type, consumer.makes_copies())
    }

    /// Combines the counts. `earlier` is the count of brighter's header. `broker` is the broker's count for a
    /// redelivery, and `None` for a first delivery.
    fn new(
        earlier: u32,
        broker: Option<BrokersCount>,
        queue_type: Option<QueueType>,
        makes_copies: bool,
    ) -> Self {
        let counts = |count: BrokersCount| match queue_type {
            Some(QueueType::Classic) => None,
            Some(QueueType::Quorum) => Some(count.times.unwrap_or_default()),
            // The headers show whether the queue counts.
            _ => count.times.or(count.is_of_4_3.then_some(0)),
        };
        let (times, is_unwritten, counts_releases) = match broker {
            None => (earlier, false, true),
            Some(count) => match counts(count) {
                Some(times) => (earlier.saturating_add(times), false, !count.is_of_4_3),
                None if makes_copies => (earlier.saturating_add(1), true, true),
                None => (earlier, false, true),
            },
        };
        Self {
            times,
            is_unwritten,
            counts_releases,
        }
    }
}

/// The counts of a quorum queue for a redelivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BrokersCount {
    /// The number of earlier deliveries and, from 4.3 on, without returned ones.
    times: Option<u32>,
    /// Whether the message also has the count of acquisitions: then returning it does not count as a delivery.
    is_of_4_3: bool,
}

impl BrokersCount {
    fn of(original: &Original) -> Self {
        let headers = original.properties.headers().as_ref();
        let count = |name| match headers?.inner().get(name)? {
            AMQPValue::LongLongInt(count) => Some(u32::try_from(*count).unwrap_or_default()),
            _ => None,
        };
        Self::new(count("x-delivery-count"), count("x-acquired-count"))
    }

    /// From 4.3 on, the first count is missing, or is a sender's, until a consumer has died. It is never more than the
    /// second, which the broker sets at every redelivery.
    fn new(delivered: Option<u32>, acquired: Option<u32>) -> Self {
        let most = acquired.unwrap_or(u32::MAX);
        Self {
            times: delivered.map(|delivered| delivered.min(most)),
            is_of_4_3: acquired.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: Option<QueueType> = Some(QueueType::Classic);
    const QUORUM: Option<QueueType> = Some(QueueType::Quorum);

    fn again(delivered: Option<u32>, acquired: Option<u32>) -> Option<BrokersCount> {
        Some(BrokersCount::new(delivered, acquired))
    }

    #[test]
    fn new_deliveries_have_the_count_of_earlier_copies() {
        for queue_type in [CLASSIC, QUORUM, None] {
            let count = Redeliveries::new(3, None, queue_type, true);
            assert_eq!(
                (count.times, count.is_unwritten, count.counts_releases),
                (3, false, true)
            );
        }
    }

    #[test]
    fn quorum_counts_add_to_those_of_earlier_copies() {
        for queue_type in [QUORUM, None] {
            let before_4_3 = Redeliveries::new(3, again(Some(4), None), queue_type, true);
            assert_eq!((before_4_3.times, before_4_3.counts_releases), (7, true));
            // The message was returned twice, and its consumer died four times.
            let since_4_3 = Redeliveries::new(3, again(Some(4), Some(6)), queue_type, true);
            assert_eq!((since_4_3.times, since_4_3.counts_releases), (7, false));
            let given_back = Redeliveries::new(0, again(None, Some(6)), queue_type, true);
            assert_eq!((given_back.times, given_back.is_unwritten), (0, false));
        }
    }

    #[test]
    fn a_foreign_count_is_capped_by_the_broker() {
        let forged = Redeliveries::new(0, again(Some(1_000), Some(1)), QUORUM, true);
        assert_eq!(forged.times, 1);
        let forged = Redeliveries::new(0, again(Some(1_000), Some(1_000)), CLASSIC, true);
        assert_eq!((forged.times, forged.is_unwritten), (1, true));
    }

    #[test]
    fn classic_redeliveries_count_where_a_copy_can_record_them() {
        for queue_type in [CLASSIC, None] {
            let counted = Redeliveries::new(3, again(None, None), queue_type, true);
            assert_eq!((counted.times, counted.is_unwritten), (4, true));
            let uncounted = Redeliveries::new(0, again(None, None), queue_type, false);
            assert_eq!((uncounted.times, uncounted.is_unwritten), (0, false));
        }
    }
}
