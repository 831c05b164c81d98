//! A [`DeliveryBuffer`]: the messages of one consumer, from the engine that fills it to the stream that empties it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use sqlx::sqlite::SqliteRow;

/// The messages that the engine holds for one consumer.
#[derive(Debug, Default)]
pub(super) struct DeliveryBuffer {
    state: Mutex<BufferState>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct BufferState {
    rows: VecDeque<HeldRow>,
    is_left: bool,
}

impl std::fmt::Debug for BufferState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferState")
            .field("rows", &self.rows.len())
            .field("is_left", &self.is_left)
            .finish()
    }
}

/// A message that is held for a consumer, as it was read: the consumer makes sense of it in its own time.
pub(super) struct HeldRow {
    pub(super) seq: i64,
    pub(super) session: i64,
    pub(super) channel: i64,
    pub(super) redeliveries: u32,
    pub(super) row: SqliteRow,
}

/// The column at which the header of a [`HeldRow`] stands.
pub(super) const HEADER: usize = 2;

impl DeliveryBuffer {
    fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the consumer these; those that it is not there to take come back.
    pub(super) fn serve(&self, rows: Vec<HeldRow>) -> Vec<HeldRow> {
        let mut state = self.lock();
        if state.is_left {
            return rows;
        }
        state.rows.extend(rows);
        drop(state);
        self.waker.wake();
        Vec::new()
    }

    /// Nothing comes any more; what nobody has seen comes back.
    pub(super) fn clear(&self) -> VecDeque<HeldRow> {
        let mut state = self.lock();
        state.is_left = true;
        let rows = std::mem::take(&mut state.rows);
        drop(state);
        self.waker.wake();
        rows
    }

    /// The next message; none once nothing comes any more.
    pub(super) fn poll_next(&self, task: &mut Context<'_>) -> Poll<Option<HeldRow>> {
        let mut state = self.lock();
        if state.rows.is_empty() && !state.is_left {
            // Under the lock, so that what is served after this look wakes the task.
            self.waker.register(task.waker());
        }
        let (row, is_left) = (state.rows.pop_front(), state.is_left);
        drop(state);
        match row {
            Some(row) => Poll::Ready(Some(row)),
            None if is_left => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Takes back what nobody has seen; more may come.
    pub(super) fn recall(&self) -> VecDeque<HeldRow> {
        std::mem::take(&mut self.lock().rows)
    }
}
