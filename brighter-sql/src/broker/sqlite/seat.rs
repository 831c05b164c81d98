//! A [`Seat`]: one consumer, as the engine sees it, and the stream of its deliveries, as the user does.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::task::AtomicWaker;
use sqlx::sqlite::SqliteRow;
use tokio::sync::oneshot;

use super::Handle;
use super::desk::{How, Request, Settled};
use super::row;
use super::settle::Receipt;
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

/// Where the engine lays the messages of one consumer.
#[derive(Debug, Default)]
pub(super) struct Seat {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    rows: VecDeque<Row>,
    is_left: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("rows", &self.rows.len())
            .field("is_left", &self.is_left)
            .finish()
    }
}

/// A message that is held for a consumer, as it was read: the consumer makes sense of it in its own time.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) session: i64,
    pub(super) redeliveries: u32,
    pub(super) row: SqliteRow,
}

/// The column at which the header of a [`Row`] stands.
pub(super) const HEADER: usize = 2;

/// What the engine answers to who wants to consume.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) seat: u64,
    pub(super) channel: i64,
    pub(super) lap: Arc<Seat>,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the consumer these; those that it is not there to take come back.
    pub(super) fn serve(&self, rows: Vec<Row>) -> Vec<Row> {
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
    pub(super) fn clear(&self) -> VecDeque<Row> {
        let mut state = self.lock();
        state.is_left = true;
        let rows = std::mem::take(&mut state.rows);
        drop(state);
        self.waker.wake();
        rows
    }

    /// Takes back what nobody has seen; more may come.
    pub(super) fn recall(&self) -> VecDeque<Row> {
        std::mem::take(&mut self.lock().rows)
    }
}

/// The deliveries of one consumer.
pub(super) struct Deliveries {
    handle: Arc<Handle>,
    opened: Opened,
    /// What its deliveries name.
    channel: Arc<Channel>,
    /// Goes to the engine with the consumer, and tells that it is gone.
    gone: Option<oneshot::Sender<()>>,
}

impl Deliveries {
    /// The consumer with these deliveries.
    pub(super) fn consumer(handle: Arc<Handle>, opened: Opened, channel: &Channel) -> Consumer {
        let (gone, ended) = oneshot::channel();
        let deliveries = Self {
            handle,
            opened,
            channel: Arc::new(channel.clone()),
            gone: Some(gone),
        };
        // An error says that the engine has ended, and everything with it.
        Consumer::new(deliveries).gone_when(async { drop(ended.await) })
    }

    fn delivery(&self, row: Row) -> Delivery {
        let message = row::message(&row.row, HEADER);
        let redeliveries = row.redeliveries;
        let receipt = |message| Receipt {
            handle: Arc::clone(&self.handle),
            channel: Arc::clone(&self.channel),
            channel_id: self.opened.channel,
            seat: self.opened.seat,
            seq: row.seq,
            session: row.session,
            message,
        };
        let delivery = match message {
            Ok(message) => {
                let message = Arc::new(message);
                Delivery::new(Arc::clone(&message), Box::new(receipt(message)))
            }
            Err(error) => {
                let salvaged = row::salvaged(&row.row, HEADER, self.channel.name.as_str());
                let reason = format!("the row cannot be read: {error}");
                Delivery::malformed(reason, Box::new(receipt(Arc::new(salvaged))))
            }
        };
        delivery.with_redeliveries(redeliveries)
    }
}

impl Stream for Deliveries {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let lap = &self.opened.lap;
        let mut state = lap.lock();
        if state.rows.is_empty() && !state.is_left {
            // Under the lock, so that what is served after this look wakes the task.
            lap.waker.register(task.waker());
        }
        let (row, is_left) = (state.rows.pop_front(), state.is_left);
        drop(state);
        match row {
            Some(row) => Poll::Ready(Some(Ok(self.delivery(row)))),
            None if is_left => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let Opened { seat, channel, lap } = &self.opened;
        let unseen = lap.clear();
        let (seat, channel) = (*seat, *channel);
        let gone = self.gone.take();
        self.handle.desk.lay(|batch| {
            let given_back = unseen.into_iter().map(|row| Settled {
                seq: row.seq,
                session: row.session,
                seat,
                channel,
                how: How::Release { counted: false },
                reply: None,
            });
            batch.settled.extend(given_back);
            batch.requests.extend(gone.map(|gone| Request::Leave(seat, gone)));
        });
    }
}
