//! Who waits to publish, in the order in which they came.
//!
//! A bounded channel of tokio would not do: it gives out its places in order, and lets those who got one go
//! in any. Here a place is taken at once. There are never more than there are callers that wait: one that
//! gives up takes what it brought away again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(super) struct Queue<T> {
    line: Mutex<Line<T>>,
    changed: Notify,
}

struct Line<T> {
    next: u64,
    waiting: BTreeMap<u64, T>,
    closed: bool,
}

/// A place in the queue, given up when dropped.
pub(super) struct Place<'a, T> {
    queue: &'a Queue<T>,
    number: u64,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        // Taken out of the lock before it is dropped.
        let _item = self.queue.line().waiting.remove(&self.number);
    }
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self {
            line: Mutex::new(Line {
                next: 0,
                waiting: BTreeMap::new(),
                closed: false,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes a place at the end; none once closed.
    pub(super) fn enter(&self, item: T) -> Option<Place<'_, T>> {
        let mut line = self.line();
        if line.closed {
            return None;
        }
        let number = line.next;
        line.next += 1;
        line.waiting.insert(number, item);
        drop(line);
        self.changed.notify_one();
        Some(Place { queue: self, number })
    }

    /// The first in line, once there is one; none when closed and empty. For one caller at a time.
    pub(super) async fn first(&self) -> Option<T> {
        loop {
            // One notice is kept for who is not waiting yet.
            if let Some(item) = self.first_now() {
                return Some(item);
            }
            if self.line().closed {
                return None;
            }
            self.changed.notified().await;
        }
    }

    pub(super) fn first_now(&self) -> Option<T> {
        self.line().waiting.pop_first().map(|(_, item)| item)
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

    #[test]
    fn who_came_first_goes_first_and_who_leaves_is_not_waited_for() {
        let queue = Queue::new();
        let _a = queue.enter('a');
        let b = queue.enter('b');
        let _c = queue.enter('c');
        drop(b);
        assert_eq!(queue.first().now_or_never(), Some(Some('a')));
        queue.close();
        assert!(queue.enter('d').is_none());
        assert_eq!(queue.first().now_or_never(), Some(Some('c')));
        assert_eq!(queue.first().now_or_never(), Some(None));
    }
}
