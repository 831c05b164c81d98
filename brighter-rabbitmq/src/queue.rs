//! Who waits to publish, in the order in which they came.
//!
//! A bounded channel of tokio would not do: it gives out its places in order, and lets those who got one go
//! in any. Here a place is taken at once. There are never more than there are callers that wait: one that
//! gives up takes what it brought away again.
//!
//! While nobody waits, who serves may leave a gate, through which those who come go by themselves.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(super) struct Queue<T, G> {
    line: Mutex<Line<T, G>>,
    changed: Notify,
}

struct Line<T, G> {
    /// The number of the first place.
    first: u64,
    /// None where somebody has left.
    waiting: VecDeque<Option<T>>,
    closed: bool,
    gate: Option<G>,
}

impl<T, G> Line<T, G> {
    /// Nobody waits at the front who has left.
    fn trim(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
    }

    fn leave(&mut self, number: u64) -> Option<T> {
        let place = number.checked_sub(self.first)?;
        let item = self.waiting.get_mut(usize::try_from(place).ok()?)?.take();
        self.trim();
        item
    }
}

/// Places in the queue, given up when dropped.
pub(super) struct Places<'a, T, G> {
    queue: &'a Queue<T, G>,
    numbers: Range<u64>,
}

impl<T, G> Places<'_, T, G> {
    /// Gives up what is still in the queue of them, and tells how many of the last that are.
    pub(super) fn give_up(&mut self) -> usize {
        let mut left = Vec::new();
        let mut line = self.queue.line();
        for number in self.numbers.by_ref() {
            left.extend(line.leave(number));
        }
        drop(line);
        // They are dropped out of the lock.
        left.len()
    }
}

impl<T, G> Drop for Places<'_, T, G> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T, G> Queue<T, G> {
    pub(super) fn new() -> Self {
        Self {
            line: Mutex::new(Line {
                first: 0,
                waiting: VecDeque::new(),
                closed: false,
                gate: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes places at the end, next to each other; none once closed.
    pub(super) fn enter(&self, items: impl IntoIterator<Item = T>) -> Option<Places<'_, T, G>> {
        let line = self.line();
        (!line.closed).then(|| self.join(line, items))
    }

    /// Goes through the gate, if one is open and nobody waits before it; else takes a place at the end. Nobody is let
    /// in once closed.
    pub(super) fn pass(
        &self,
        item: T,
        through: impl FnOnce(&mut G, T) -> Option<T>,
    ) -> Option<Places<'_, T, G>> {
        let mut line = self.line();
        let Line {
            waiting,
            closed,
            gate,
            ..
        } = &mut *line;
        if *closed {
            return None;
        }
        let left = match gate {
            Some(gate) if waiting.is_empty() => through(gate, item),
            _ => Some(item),
        };
        Some(match left {
            Some(item) => self.join(line, [item]),
            None => Places {
                queue: self,
                numbers: 0..0,
            },
        })
    }

    fn join(
        &self,
        mut line: MutexGuard<'_, Line<T, G>>,
        items: impl IntoIterator<Item = T>,
    ) -> Places<'_, T, G> {
        let start = line.first + line.waiting.len() as u64;
        line.waiting.extend(items.into_iter().map(Some));
        let end = line.first + line.waiting.len() as u64;
        drop(line);
        self.changed.notify_one();
        Places {
            queue: self,
            numbers: start..end,
        }
    }

    /// Looks at the gate, and may open or close it. Tells whether nobody waits.
    pub(super) fn at_the_gate<R>(&self, look: impl FnOnce(&mut Option<G>, bool) -> R) -> R {
        let mut line = self.line();
        let nobody_waits = line.waiting.is_empty();
        look(&mut line.gate, nobody_waits)
    }

    /// Waits until there is one; says no when closed and empty. For one caller at a time.
    pub(super) async fn ready(&self) -> bool {
        loop {
            {
                let line = self.line();
                if !line.waiting.is_empty() {
                    return true;
                }
                if line.closed {
                    return false;
                }
            }
            // One notice is kept for who is not waiting yet.
            self.changed.notified().await;
        }
    }

    /// Takes so many from the front, at most.
    pub(super) fn take(&self, most: usize, into: &mut VecDeque<T>) {
        let mut line = self.line();
        let before = into.len();
        while into.len() - before < most
            && let Some(place) = line.waiting.pop_front()
        {
            line.first += 1;
            into.extend(place);
        }
        line.trim();
    }

    /// Lets nobody in any more. Those who wait are still served.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.changed.notify_one();
    }

    fn line(&self) -> MutexGuard<'_, Line<T, G>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take(queue: &Queue<char, String>, most: usize) -> String {
        let mut taken = VecDeque::new();
        queue.take(most, &mut taken);
        taken.into_iter().collect()
    }

    #[test]
    fn who_came_first_goes_first_and_who_leaves_is_not_waited_for() {
        let queue = Queue::new();
        assert_eq!(queue.ready().now_or_never(), None);
        let _a = queue.enter(['a']);
        let b = queue.enter(['b', 'c']);
        let mut d = queue.enter(['d', 'e', 'f']).unwrap();
        drop(b);
        assert_eq!(queue.ready().now_or_never(), Some(true));
        assert_eq!(take(&queue, 2), "ad");
        // It had three places, and one is served.
        assert_eq!(d.give_up(), 2);
        let _g = queue.enter(['g']);
        queue.close();
        assert!(queue.enter(['h']).is_none());
        assert_eq!(take(&queue, 9), "g");
        assert_eq!(queue.ready().now_or_never(), Some(false));
    }

    #[test]
    fn nobody_goes_through_the_gate_before_one_who_waits() {
        let queue = Queue::new();
        let through = |gate: &mut String, item| {
            if gate.len() == 2 {
                return Some(item);
            }
            gate.push(item);
            None
        };
        let _a = queue.pass('a', through);
        assert!(!queue.at_the_gate(|gate, nobody_waits| {
            *gate = Some(String::new());
            nobody_waits
        }));
        let _b = queue.pass('b', through);
        assert_eq!(take(&queue, 9), "ab");
        // What goes through is nothing to wake up for, and nothing to take away.
        for item in ['c', 'd'] {
            assert_eq!(queue.pass(item, through).unwrap().give_up(), 0);
        }
        assert_eq!(queue.ready().now_or_never(), None);
        let _e = queue.pass('e', through);
        assert_eq!(take(&queue, 9), "e");
        assert_eq!(queue.at_the_gate(|gate, _| gate.take()).as_deref(), Some("cd"));
        queue.close();
        assert!(queue.pass('f', through).is_none());
    }

    #[test]
    fn nothing_is_kept_for_those_who_left() {
        let queue = Queue::<_, ()>::new();
        for _ in 0..1000 {
            let first = queue.enter(['a']);
            let second = queue.enter(['b']);
            drop(second);
            drop(first);
        }
        assert!(queue.line().waiting.is_empty());
    }
}
