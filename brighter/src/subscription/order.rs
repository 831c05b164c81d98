//! [`Subscription::ordered_by`]: keeps the messages of one key in order.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::num::NonZeroU16;

use super::Subscription;
use super::keys::LaneOf;
use brighter_core::mapper::Postable;

/// Every lane holds messages in memory behind one that fails, so there should be room for more than a few.
const ROOM_FOR_LANES: u16 = 100;

impl<R: Postable> Subscription<R> {
    /// Handles requests of one key in the order in which they came, one after the other; those of other keys go
    /// on beside them, as far as [`concurrency`](Self::concurrency) allows.
    ///
    /// One that fails is kept in hand for its delay and then handled again, for all its attempts, while those of
    /// its key wait behind it. After the last attempt it is in the dead-letter channel, and the others of its key
    /// go on. Who must not go on without it has to say so in the data: brighter cannot know.
    ///
    /// What waits behind a failure takes room in the [`buffer`](Self::buffer), which is therefore 100 unless a
    /// larger one was said, or any is said after this. Attempts in hand are forgotten when the process dies.
    ///
    /// The channel gets one active consumer at a time, across all processes, where the broker can see to it; and
    /// there is one performer.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(topic = "Account.Changed", kind = "event")]
    /// struct AccountChanged { account: u64 }
    ///
    /// let subscription = Subscription::<AccountChanged>::new("ledger")
    ///     .ordered_by(|changed: &AccountChanged| changed.account)
    ///     .concurrency(16);
    /// ```
    #[must_use]
    pub fn ordered_by<K: Hash>(mut self, key: impl Fn(&R) -> K + Send + Sync + 'static) -> Self {
        self.keep_order(key);
        self
    }
}

impl<S> Subscription<S> {
    pub(super) fn keep_order<R: Postable, K: Hash>(&mut self, key: impl Fn(&R) -> K + Send + Sync + 'static) {
        // Two keys that share a number share a lane, which costs time and never the order.
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let lane_of: LaneOf<R> = Box::new(move |request| hasher.hash_one(key(request)));
        self.keys.insert(lane_of);
        self.settings.ordered = true;
        let channel = &mut self.settings.channel;
        channel.limits.single_active_consumer = true;
        channel.buffer = channel
            .buffer
            .max(NonZeroU16::MIN.saturating_add(ROOM_FOR_LANES - 1));
    }
}
