//! The messages that wait to be published, in the order of their arrival.
//!
//! A bounded channel of tokio would not preserve that order: it hands out permits in order, but their holders may send
//! in any order. Here a caller takes its place at once. The queue is never longer than the number of waiting callers: a
//! caller that gives up removes its messages.
//!
//! While the queue is empty, the task that serves it may open a fast path for new messages.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The messages that wait to be published, and the fast path around them.
pub(super) struct PublishQueue<T, P> {
    line: Mutex<WaitingLine<T, P>>,
    changed: Notify,
}

struct WaitingLine<T, P> {
    /// The number of the first place.
    first: u64,
    /// `None` where the caller has given up.
    waiting: VecDeque<Option<T>>,
    closed: bool,
    fast_path: Option<P>,
}

impl<T, P> WaitingLine<T, P> {
    /// Removes the places at the front whose callers have given up.
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
pub(super) struct Tickets<'a, T, P> {
    queue: &'a PublishQueue<T, P>,
    numbers: Range<u64>,
}

impl<T, P> Tickets<'_, T, P> {
    /// Removes the places that are still in the queue, and returns their number. They are the last ones.
    pub(super) fn give_up(&mut self) -> usize {
        let mut left = Vec::new();
        let mut line = self.queue.line();
        for number in self.numbers.by_ref() {
            left.extend(line.leave(number));
        }
        drop(line);
        // They are dropped outside of the lock.
        left.len()
    }
}

impl<T, P> Drop for Tickets<'_, T, P> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T, P> PublishQueue<T, P> {
    pub(super) fn new() -> Self {
        Self {
            line: Mutex::new(WaitingLine {
                first: 0,
                waiting: VecDeque::new(),
                closed: false,
                fast_path: None,
            }),
            changed: Notify::new(),
        }
    }

    /// Takes consecutive places at the end; `None` once the queue is closed.
    pub(super) fn enter(&self, items: impl IntoIterator<Item = T>) -> Option<Tickets<'_, T, P>> {
        let line = self.line();
        (!line.closed).then(|| self.join(line, items))
    }

    /// Takes the fast path if it is open and the queue is empty, or else a place at the end. Returns `None` once the
    /// queue is closed.
    pub(super) fn pass(
        &self,
        item: T,
        through: impl FnOnce(&mut P, T) -> Option<T>,
    ) -> Option<Tickets<'_, T, P>> {
        let mut line = self.line();
        let WaitingLine {
            waiting,
            closed,
            fast_path,
            ..
        } = &mut *line;
        if *closed {
            return None;
        }
        let left = match fast_path {
            Some(fast_path) if waiting.is_empty() => through(fast_path, item),
            _ => Some(item),
        };
        Some(match left {
            Some(item) => self.join(line, [item]),
            None => Tickets {
                queue: self,
                numbers: 0..0,
            },
        })
    }

    fn join(
        &self,
        mut line: MutexGuard<'_, WaitingLine<T, P>>,
        items: impl IntoIterator<Item = T>,
    ) -> Tickets<'_, T, P> {
        let start = line.first + line.waiting.len() as u64;
        line.waiting.extend(items.into_iter().map(Some));
        let end = line.first + line.waiting.len() as u64;
        drop(line);
        self.changed.notify_one();
        Tickets {
            queue: self,
            numbers: start..end,
        }
    }

    /// Calls `look` with the fast path, which it may open or close, and with whether the queue is empty.
    pub(super) fn with_fast_path<R>(&self, look: impl FnOnce(&mut Option<P>, bool) -> R) -> R {
        let mut line = self.line();
        let nobody_waits = line.waiting.is_empty();
        look(&mut line.fast_path, nobody_waits)
    }

    /// Waits until the queue has a message. Returns `false` when it is closed and empty. For one caller at a time.
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
            // One notification is kept for a task that is not waiting yet.
            self.changed.notified().await;
        }
    }

    /// Takes up to `most` messages from the front.
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

    /// Accepts no more messages. Those in the queue are still served.
    pub(super) fn close(&self) {
        self.line().closed = true;
        self.changed.notify_one();
    }

    fn line(&self) -> MutexGuard<'_, WaitingLine<T, P>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take(queue: &PublishQueue<char, String>, most: usize) -> String {
        let mut taken = VecDeque::new();
        queue.take(most, &mut taken);
        taken.into_iter().collect()
    }

    #[test]
    fn tickets_are_served_in_order_and_abandoned_ones_skipped() {
        let queue = PublishQueue::new();
        assert_eq!(queue.ready().now_or_never(), None);
        let _a = queue.enter(['a']);
        let b = queue.enter(['b', 'c']);
        let mut d = queue.enter(['d', 'e', 'f']).unwrap();
        drop(b);
        assert_eq!(queue.ready().now_or_never(), Some(true));
        assert_eq!(take(&queue, 2), "ad");
        // The caller had three places, and one is served.
        assert_eq!(d.give_up(), 2);
        let _g = queue.enter(['g']);
        queue.close();
        assert!(queue.enter(['h']).is_none());
        assert_eq!(take(&queue, 9), "g");
        assert_eq!(queue.ready().now_or_never(), Some(false));
    }

    #[test]
    fn nobody_goes_through_the_gate_before_one_who_waits() {
        let queue = PublishQueue::new();
        let through = |fast_path: &mut String, item| {
            if fast_path.len() == 2 {
                return Some(item);
            }
            fast_path.push(item);
            None
        };
        let _a = queue.pass('a', through);
        assert!(!queue.with_fast_path(|fast_path, nobody_waits| {
            *fast_path = Some(String::new());
            nobody_waits
        }));
        let _b = queue.pass('b', through);
        assert_eq!(take(&queue, 9), "ab");
        // A message on the fast path needs no wake-up, and has no place to give up.
        for item in ['c', 'd'] {
            assert_eq!(queue.pass(item, through).unwrap().give_up(), 0);
        }
        assert_eq!(queue.ready().now_or_never(), None);
        let _e = queue.pass('e', through);
        assert_eq!(take(&queue, 9), "e");
        assert_eq!(
            queue.with_fast_path(|fast_path, _| fast_path.take()).as_deref(),
            Some("cd")
        );
        queue.close();
        assert!(queue.pass('f', through).is_none());
    }

    #[test]
    fn nothing_is_kept_for_those_who_left() {
        let queue = PublishQueue::<_, ()>::new();
        for _ in 0..1000 {
            let first = queue.enter(['a']);
            let second = queue.enter(['b']);
            drop(second);
            drop(first);
        }
        assert!(queue.line().waiting.is_empty());
    }
}
