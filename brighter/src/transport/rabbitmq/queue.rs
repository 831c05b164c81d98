//! Who waits to publish, in the order in which they came.
//!
//! A bounded channel of tokio would not do: it gives out its places in order, and lets those who got one go
//! in any. Here a place is taken at once. There are never more than there are callers that wait: one that
//! gives up takes what it brought away again.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(super) struct Queue<T> {
    line: Mutex<Line<T>>,
    changed: Notify,
}

struct Line<T> {
    /// The number of the first place.
    first: u64,
    /// None where somebody has left.
    waiting: VecDeque<Option<T>>,
    closed: bool,
}

impl<T> Line<T> {
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
pub(super) struct Places<'a, T> {
    queue: &'a Queue<T>,
    numbers: Range<u64>,
}

impl<T> Places<'_, T> {
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

impl<T> Drop for Places<'_, T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            line: Mutex::new(Line {
                first: 0,
                waiting: VecDeque::new(),
                closed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes places at the end, next to each other; none once closed.
    pub(super) fn enter(&self, items: impl IntoIterator<Item = T>) -> Option<Places<'_, T>> {
        let mut line = self.line();
        if line.closed {
            return None;
        }
        let start = line.first + line.waiting.len() as u64;
        line.waiting.extend(items.into_iter().map(Some));
        let end = line.first + line.waiting.len() as u64;
        drop(line);
        self.changed.notify_one();
        Some(Places {
            queue: self,
            numbers: start..end,
        })
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

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take(queue: &Queue<char>, most: usize) -> String {
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
    fn nothing_is_kept_for_those_who_left() {
        let queue = Queue::new();
        for _ in 0..1000 {
            let first = queue.enter(['a']);
            let second = queue.enter(['b']);
            drop(second);
            drop(first);
        }
        assert!(queue.line().waiting.is_empty());
    }
}
