//! [`KeyedQueues`]: what must be handled in its order, one after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

/// The queues of waiting items, by lane. In each lane one item is at its turn, which is somewhere else: being handled, or
/// waiting here for its time to come again. The others stand behind it.
#[derive(Debug)]
pub(super) struct KeyedQueues<T> {
    /// The lanes in which one is at its turn.
    taken: HashMap<u64, VecDeque<T>>,
    /// The items that are at their turn, and wait for their time; with a number, for several may have one time.
    resting: BTreeMap<(Instant, u64), T>,
    next: u64,
}

impl<T> Default for KeyedQueues<T> {
    fn default() -> Self {
        Self {
            taken: HashMap::new(),
            resting: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<T> KeyedQueues<T> {
    /// Gives it back if it is at its turn at once, which [`leave`](Self::leave) ends; keeps it otherwise.
    pub(super) fn enter(&mut self, lane: u64, item: T) -> Option<T> {
        if let Some(behind) = self.taken.get_mut(&lane) {
            behind.push_back(item);
            return None;
        }
        self.taken.insert(lane, VecDeque::new());
        Some(item)
    }

    /// Ends a turn: gives the next of the lane, whose turn it is then.
    pub(super) fn leave(&mut self, lane: u64) -> Option<T> {
        let next = self.taken.get_mut(&lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            self.taken.remove(&lane);
        }
        next
    }

    /// Keeps one that is at its turn until then.
    pub(super) fn rest(&mut self, until: Instant, item: T) {
        self.next += 1;
        self.resting.insert((until, self.next), item);
    }

    /// When the next of those that rest may go on.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.resting.keys().next().map(|(until, _)| *until)
    }

    /// One whose time has come.
    pub(super) fn wake(&mut self, now: Instant) -> Option<T> {
        let first = self.resting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes out all that rest.
    pub(super) fn rested(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::take(&mut self.resting).into_values()
    }

    /// Frees a lane whose turn is given up, and drops those behind it, from the front to the back.
    pub(super) fn abandon(&mut self, lane: u64) {
        self.taken.remove(&lane).into_iter().flatten().for_each(drop);
    }

    /// Drops those that are behind others, each lane from the front to the back.
    pub(super) fn clear_behind(&mut self) {
        self.taken.values_mut().for_each(VecDeque::clear);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn messages_of_one_key_take_turns_in_order() {
        let mut queues = KeyedQueues::default();
        assert_eq!(queues.enter(1, "a"), Some("a"));
        assert_eq!(queues.enter(1, "b"), None);
        assert_eq!(queues.enter(1, "c"), None);
        assert_eq!(queues.enter(2, "x"), Some("x"), "another lane goes on");
        assert_eq!(queues.leave(1), Some("b"));
        assert_eq!(queues.enter(1, "d"), None);
        assert_eq!(queues.leave(1), Some("c"));
        assert_eq!(queues.leave(1), Some("d"));
        assert_eq!(queues.leave(1), None);
        assert_eq!(queues.enter(1, "e"), Some("e"), "the lane is free again");
    }

    #[test]
    fn a_waiting_message_keeps_its_key_until_due() {
        let mut queues = KeyedQueues::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(queues.enter(1, "a"), Some("a"));
        queues.rest(later, "a");
        assert_eq!(queues.enter(1, "b"), None);
        assert_eq!(queues.wakes_at(), Some(later));
        assert_eq!(queues.wake(now), None);
        assert_eq!(queues.wake(later), Some("a"));
        assert_eq!(queues.wake(later), None);
        assert_eq!(queues.leave(1), Some("b"));
    }

    #[test]
    fn only_an_abandoned_key_is_free() {
        let mut queues = KeyedQueues::default();
        for (lane, item) in [(1, "running"), (2, "resting")] {
            assert_eq!(queues.enter(lane, item), Some(item));
            assert_eq!(queues.enter(lane, "behind"), None);
        }
        queues.rest(Instant::now(), "resting");
        assert_eq!(queues.rested().collect::<Vec<_>>(), ["resting"]);
        queues.abandon(2);
        queues.clear_behind();
        assert_eq!(queues.wakes_at(), None);
        assert_eq!(queues.enter(2, "new"), Some("new"), "its lane is free");
        assert_eq!(queues.enter(1, "new"), None, "behind the one that runs");
        assert_eq!(queues.leave(1), Some("new"));
    }
}
