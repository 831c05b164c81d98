//! The [`DelayQueue`] of an in-memory broker: one task that runs at its time whatever is scheduled for later.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::atomic::{self, AtomicBool};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{self, Handle};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// Runs at its time whatever is scheduled for later. There is a task only once something was.
#[derive(Debug)]
pub(super) struct DelayQueue<T> {
    state: Mutex<State<T>>,
    /// Whether anything is scheduled, for those who only want to know that nothing is.
    pending: AtomicBool,
    /// Apart from the queue, which the task must not keep alive.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State<T> {
    entries: BinaryHeap<Reverse<DelayEntry<T>>>,
    next: u64,
    /// The task, with the runtime that it runs on.
    timer: Option<(runtime::Id, AbortHandle)>,
}

#[derive(Debug)]
struct DelayEntry<T> {
    due: Instant,
    /// Of two that are due at once, the first comes first.
    number: u64,
    what: T,
}

/// An action that a [`DelayQueue`] runs at its time.
pub(super) trait TimedAction: Send + 'static {
    /// Runs it.
    fn run(self);
}

impl<T> Default for DelayQueue<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                entries: BinaryHeap::new(),
                next: 0,
                timer: None,
            }),
            pending: AtomicBool::new(false),
            changed: Arc::default(),
        }
    }
}

impl<T: TimedAction> DelayQueue<T> {
    /// Runs this at that time.
    pub(super) fn schedule(self: &Arc<Self>, due: Instant, what: T) {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let first = state.entries.peek().is_none_or(|Reverse(entry)| due < entry.due);
        state.entries.push(Reverse(DelayEntry { due, number, what }));
        self.pending.store(true, atomic::Ordering::Relaxed);
        self.keep_going(&mut state);
        drop(state);
        if first {
            self.changed.notify_one();
        }
    }

    /// Called by a consumer that waits for what is scheduled: the runtime that it was set on may be gone, or stand
    /// still, as those of tests do.
    pub(super) fn look(self: &Arc<Self>) {
        if self.pending.load(atomic::Ordering::Relaxed) {
            self.keep_going(&mut self.lock());
        }
    }

    /// Sees to it that the task runs on the runtime of the caller. Outside of one nothing can be done; the next
    /// who waits will.
    fn keep_going(self: &Arc<Self>, state: &mut State<T>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let here = runtime.id();
        if let Some((id, task)) = &state.timer {
            if *id == here && !task.is_finished() {
                return;
            }
            task.abort();
        }
        let timer = run(Arc::downgrade(self), Arc::clone(&self.changed));
        state.timer = Some((here, runtime.spawn(timer).abort_handle()));
    }

    /// Does what is due; gives the time of what is next.
    fn tick(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut due = Vec::new();
        let next = {
            let mut state = self.lock();
            while state
                .entries
                .peek()
                .is_some_and(|Reverse(entry)| entry.due <= now)
            {
                due.extend(state.entries.pop());
            }
            let next = state.entries.peek().map(|Reverse(entry)| entry.due);
            self.pending.store(next.is_some(), atomic::Ordering::Relaxed);
            next
        };
        // What happens may schedule something that is earlier than what was next; that is noted in `changed`.
        due.into_iter().for_each(|Reverse(entry)| entry.what.run());
        next
    }
}

impl<T> DelayQueue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run<T: TimedAction>(queue: Weak<DelayQueue<T>>, changed: Arc<Notify>) {
    while let Some(next) = queue.upgrade().map(|queue| queue.tick()) {
        match next {
            Some(due) => {
                tokio::select! {
                    () = sleep_until(due) => {}
                    () = changed.notified() => {}
                }
            }
            None => changed.notified().await,
        }
    }
}

impl<T> Drop for DelayQueue<T> {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.lock().timer {
            task.abort();
        }
    }
}

impl<T> Ord for DelayEntry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

impl<T> PartialOrd for DelayEntry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for DelayEntry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for DelayEntry<T> {}
