//! [`DeliveryBuffer`]: the messages of one consumer, between the engine and the consumer's stream.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use sqlx::sqlite::SqliteRow;

/// The messages that the engine has claimed for one consumer.
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

/// A claimed message as a row. The consumer decodes it later.
pub(super) struct HeldRow {
    pub(super) seq: i64,
    pub(super) session: i64,
    pub(super) channel: i64,
    pub(super) redeliveries: u32,
    pub(super) row: SqliteRow,
}

/// The column of the header in a [`HeldRow`].
pub(super) const HEADER: usize = 2;

impl DeliveryBuffer {
    fn lock(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds rows for the consumer. Returns them if the consumer has ended.
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

    /// Ends the buffer, and returns the rows that were not received.
    pub(super) fn clear(&self) -> VecDeque<HeldRow> {
        let mut state = self.lock();
        state.is_left = true;
        let rows = std::mem::take(&mut state.rows);
        drop(state);
        self.waker.wake();
        rows
    }

    /// Returns the next row; `None` once the buffer has ended and is empty.
    pub(super) fn poll_next(&self, task: &mut Context<'_>) -> Poll<Option<HeldRow>> {
        let mut state = self.lock();
        if state.rows.is_empty() && !state.is_left {
            // Registered under the lock, so that a row that is added after this check wakes the task.
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

    /// Returns the rows that were not received; the buffer stays open.
    pub(super) fn recall(&self) -> VecDeque<HeldRow> {
        std::mem::take(&mut self.lock().rows)
    }
}
