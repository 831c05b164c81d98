//! [`ConsumerChannel`]: an AMQP channel with a consumer, its deliveries, and their settlements.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::ShortString;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use super::ack_window::{Ack, AckDue, AckWindow};
use super::started_consumer::StartedConsumer;
use crate::connection::{ConfirmWatch, ConnectionHandle, OpenConnection, OwnedChannel};
use crate::connections::Connections;
use crate::topology::Topology;
use brighter_core::channel::{Channel, QueueType, SettleError};

/// The deadline for cancelling a consumer.
const CANCELLING: Duration = Duration::from_secs(5);
/// How long cancelling may take on a connection whose node does not answer.
const CANCELLING_LEFT: Duration = Duration::from_secs(2);
/// How long an acknowledgement waits for others to be written with it.
const SOON: Duration = Duration::from_millis(1);
/// After this long without a write, and if the last write was of a single message, messages are too rare to wait for
/// another. Waiting would cost a timer and a wake-up, and save nothing.
const QUIET: Duration = Duration::from_micros(500);

/// An AMQP channel, shared by a consumer and its deliveries: an acknowledgement is valid only on the channel of its
/// delivery. It is closed when the last of them is dropped.
pub(super) struct ConsumerChannel {
    pub(super) channel: Channel,
    pub(super) topology: Topology,
    pub(super) connections: Arc<Connections>,
    /// The generation of its connection. The channel and its unsettled deliveries end with that connection.
    pub(super) generation: u64,
    /// The connection, which stays open until the last delivery is settled.
    pub(super) open: Arc<OpenConnection>,
    /// Keeps the connection alive, if it is the channel's own.
    pub(super) isolated: Option<Arc<ConnectionHandle>>,
    /// The type of the queue, if it is known.
    pub(super) queue_type: Option<QueueType>,
    /// Whether its consumer still exists, and not only its deliveries.
    consuming: AtomicBool,
    /// The number of deliveries that are being replaced by copies.
    copies: watch::Sender<usize>,
    acks: Arc<Acks>,
}

/// A delivery that is being replaced by a copy.
pub(super) struct CopyGuard(Arc<ConsumerChannel>);

impl Drop for CopyGuard {
    fn drop(&mut self) {
        self.0.copies.send_modify(|copies| *copies -= 1);
    }
}

impl ConsumerChannel {
    /// Returns the channel of a consumer that has just started.
    pub(super) fn begin(
        started: StartedConsumer,
        channel: Channel,
        topology: Topology,
        connections: Arc<Connections>,
    ) -> (Arc<Self>, lapin::Consumer) {
        let StartedConsumer {
            amqp,
            incoming,
            open,
            isolated,
        } = started;
        let acks = Arc::new(Acks {
            unwritten: Mutex::new(Unwritten::new(channel.buffer.get())),
            amqp,
            some: Notify::new(),
            over: AtomicBool::new(false),
        });
        connections.io.spawn(Arc::clone(&acks).write_in_time());
        let consumer = Arc::new(Self {
            queue_type: topology.messages().queue_type(),
            channel,
            topology,
            generation: open.generation,
            open,
            isolated,
            consuming: AtomicBool::new(true),
            copies: watch::Sender::new(0),
            acks,
            connections,
        });
        (consumer, incoming)
    }

    /// Returns the AMQP channel.
    pub(super) fn amqp(&self) -> &OwnedChannel {
        &self.acks.amqp
    }

    /// Returns the watch of the confirms of messages that this process publishes.
    pub(super) fn confirms(&self) -> Arc<ConfirmWatch> {
        Arc::clone(self.connections.publishing.confirms())
    }

    pub(super) fn is_on(&self, open: &Arc<OpenConnection>) -> bool {
        Arc::ptr_eq(&self.open, open)
    }

    /// Returns whether the broker still waits for the settlement of its deliveries.
    pub(super) fn is_live(&self) -> bool {
        self.acks.amqp.status().connected()
    }

    /// Returns whether its consumer still exists, and receives messages or would if there were any.
    pub(super) fn is_consuming(&self) -> bool {
        self.consuming.load(Ordering::Relaxed) && self.is_live()
    }

    /// Writes the waiting acknowledgements, before the connection closes.
    pub(super) fn write_all(&self) {
        self.acks.write_all();
        self.acks.write_given_back();
    }

    /// Returns whether a delivery is unsettled.
    pub(super) fn has_unsettled(&self) -> bool {
        self.acks.unwritten().window.has_unsettled()
    }

    /// Records that the connection ended, or does not work, because of this channel or one beside it.
    pub(super) fn suspect(&self, reason: &str) {
        let (name, isolated) = (&self.channel.name, &self.connections.isolated);
        match self.isolated {
            Some(_) => isolated.blame(name, reason),
            None => isolated.suspect(name, reason),
        }
    }

    /// Records that the consumer has ended.
    pub(super) fn ended(&self) {
        self.consuming.store(false, Ordering::Relaxed);
    }

    /// Stops returning deliveries until the consumer is cancelled: the same consumer would receive them again, return
    /// them once more, and have them counted twice.
    pub(super) fn begin_cancel(&self) {
        self.ended();
        self.acks.unwritten().holds_back = true;
    }

    /// Cancels the consumer, and then returns the deliveries that were dropped meanwhile. Returns whether the broker
    /// answered. If not, the deliveries return with the channel, when its last delivery is settled.
    pub(super) async fn cancel(&self, tag: ShortString) -> bool {
        let cancelled = self.acks.amqp.basic_cancel(tag, BasicCancelOptions::default());
        let limit = match self.open.is_left() {
            true => CANCELLING_LEFT,
            false => CANCELLING,
        };
        let cancelled = self.acks.amqp.while_up(timeout(limit, cancelled));
        if !matches!(cancelled.await, Some(Ok(_))) {
            return false;
        }
        let mut unwritten = self.acks.unwritten();
        unwritten.holds_back = false;
        unwritten.write_given_back(|tag| self.acks.give_back(tag));
        true
    }

    /// Records a new delivery.
    pub(super) fn track(&self, tag: u64) {
        self.acks.unwritten().window.track(tag);
    }

    /// Marks a delivery as done. Its acknowledgement is written soon, together with others, if there are any.
    pub(super) fn done(&self, tag: u64) -> Result<(), SettleError> {
        if !self.is_live() {
            return Err(self.stale(tag));
        }
        let mut unwritten = self.acks.unwritten();
        match unwritten.done(tag) {
            AckDue::Now => {
                unwritten.write(|ack| self.acks.write(ack));
            }
            AckDue::Soon => self.acks.some.notify_one(),
            AckDue::WithOthers => {}
        }
        Ok(())
    }

    /// Returns whether messages may be replaced by copies that count their deliveries: the count is used, and the
    /// messages may lose their positions.
    pub(super) fn makes_copies(&self) -> bool {
        self.channel.suspect_after.is_some() && !self.channel.limits.single_active_consumer
    }

    /// Counts a delivery as being replaced by a copy, until the guard is dropped.
    pub(super) fn copies(self: &Arc<Self>) -> CopyGuard {
        self.copies.send_modify(|copies| *copies += 1);
        CopyGuard(Arc::clone(self))
    }

    /// Waits until no delivery is being replaced.
    pub(super) async fn copied(&self) {
        // The sender is in `self`, so this cannot fail.
        let _ = self.copies.subscribe().wait_for(|copies| *copies == 0).await;
    }

    /// Waits for copies, writes all acknowledgements, and returns when the broker has read them.
    pub(super) async fn flush(&self) -> Result<(), SettleError> {
        self.copied().await;
        self.write_through().await
    }

    /// Writes all acknowledgements so far, and returns when the broker has read them.
    pub(super) async fn write_through(&self) -> Result<(), SettleError> {
        let waited = self.acks.unwritten().window.waiting() > 0;
        self.acks.write_all();
        self.acks.write_given_back();
        if !self.is_live() {
            return if waited { Err(SettleError::Stale) } else { Ok(()) };
        }
        // The broker answers in the order of the frames. The buffer is unchanged, so this request has no other effect.
        let buffer = self.channel.buffer.get();
        let answered = self.acks.amqp.basic_qos(buffer, BasicQosOptions::default());
        match self.acks.amqp.while_up(answered).await {
            Some(answer) => answer.map_err(|error| SettleError::Other(error.into())),
            None if waited => Err(SettleError::Stale),
            None => Ok(()),
        }
    }

    /// Returns a delivery to its queue soon; if the consumer is being cancelled, after that. If the channel is closed,
    /// the broker has the message back already.
    pub(super) fn give_back(&self, tag: u64) {
        self.acks.unwritten().given_back.push(tag);
        self.acks.some.notify_one();
    }

    /// Returns the error for a delivery whose connection is gone.
    pub(super) fn stale(&self, tag: u64) -> SettleError {
        let (channel, generation) = (&self.channel.name, self.generation);
        tracing::debug!(%channel, generation, tag, "settled on a lost connection; the broker delivers the message again");
        SettleError::Stale
    }
}

impl Drop for ConsumerChannel {
    fn drop(&mut self) {
        self.acks.write_all();
        self.acks.write_given_back();
        // The task ends, and the channel is closed with it.
        self.acks.over.store(true, Ordering::Release);
        self.acks.some.notify_one();
    }
}

/// The settlements on a channel that are to be written.
struct Acks {
    /// Closed when its last user is dropped.
    amqp: OwnedChannel,
    unwritten: Mutex<Unwritten>,
    /// Notified when acknowledgements wait, or at the end.
    some: Notify,
    over: AtomicBool,
}

impl Acks {
    /// Writes acknowledgements after a short wait. Sleeps while there are none.
    async fn write_in_time(self: Arc<Self>) {
        while !self.over.load(Ordering::Acquire) {
            self.some.notified().await;
            let mut waiting = true;
            while waiting {
                sleep(SOON).await;
                self.write_given_back();
                waiting = self.unwritten().write(|ack| self.write(ack)) > 0;
            }
        }
    }

    fn write_all(&self) {
        self.unwritten().window.write_all(|ack| self.write(ack));
    }

    /// Returns the dropped deliveries, unless the consumer is being cancelled.
    fn write_given_back(&self) {
        self.unwritten().write_given_back(|tag| self.give_back(tag));
    }

    fn give_back(&self, tag: u64) {
        let options = BasicNackOptions {
            requeue: true,
            multiple: false,
        };
        let _ = self.amqp.basic_nack(tag, options).now_or_never();
    }

    /// Queues an acknowledgement, in the order of the calls. If the channel is closed, the broker delivers the messages
    /// again.
    fn write(&self, ack: Ack) {
        let Ack { tag, multiple } = ack;
        let acked = self.amqp.basic_ack(tag, BasicAckOptions { multiple });
        if let Some(Err(_)) = acked.now_or_never() {
            tracing::debug!(
                tag,
                multiple,
                "not acknowledged because the connection is lost; the broker delivers the message again"
            );
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deliveries that are unsettled or done, and the time of the last write.
struct Unwritten {
    window: AckWindow,
    /// The deliveries that were dropped without being settled, and are to be returned; at most as many as the buffer.
    given_back: Vec<u64>,
    /// The consumer is being cancelled.
    holds_back: bool,
    written: Option<Instant>,
    /// Whether the last write was of at most one delivery.
    was_alone: bool,
}

impl Unwritten {
    fn new(buffer: u16) -> Self {
        Self {
            window: AckWindow::new(buffer),
            given_back: Vec::new(),
            holds_back: false,
            written: None,
            was_alone: true,
        }
    }

    fn done(&mut self, tag: u64) -> AckDue {
        let (written, was_alone) = (self.written, self.was_alone);
        let quiet = || was_alone && written.is_none_or(|at| at.elapsed() >= QUIET);
        self.window.done(tag, quiet)
    }

    /// Returns the dropped deliveries, unless that must wait. This happens under the lock, because an acknowledgement
    /// of a later delivery in between would settle them.
    fn write_given_back(&mut self, mut give_back: impl FnMut(u64)) {
        if self.holds_back {
            return;
        }
        for tag in self.given_back.drain(..) {
            self.window.given_back(tag);
            give_back(tag);
        }
    }

    /// Writes the acknowledgements that are due, and returns how many are left.
    fn write(&mut self, write: impl FnMut(Ack)) -> usize {
        self.was_alone = self.window.waiting() <= 1;
        self.window.write(write);
        self.written = Some(Instant::now());
        self.window.waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks deliveries as done, and returns when each acknowledgement must be written.
    fn due(unwritten: &mut Unwritten, tags: std::ops::RangeInclusive<u64>) -> Vec<AckDue> {
        let lent_and_done = tags.map(|tag| {
            unwritten.window.track(tag);
            unwritten.done(tag)
        });
        lent_and_done.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_ack_is_immediate_unless_batched_before() {
        let mut unwritten = Unwritten::new(200);
        assert_eq!(due(&mut unwritten, 1..=1), [AckDue::Now], "the first");
        unwritten.write(|_| {});
        assert_eq!(
            due(&mut unwritten, 2..=3),
            [AckDue::Soon, AckDue::WithOthers],
            "at its heels"
        );
        unwritten.write(|_| {});
        tokio::time::advance(QUIET).await;
        assert_eq!(
            due(&mut unwritten, 4..=4),
            [AckDue::Soon],
            "two were written last"
        );
        unwritten.write(|_| {});
        tokio::time::advance(QUIET).await;
        assert_eq!(due(&mut unwritten, 5..=5), [AckDue::Now], "one was");
        unwritten.write(|_| {});
        tokio::time::advance(QUIET - Duration::from_micros(1)).await;
        assert_eq!(due(&mut unwritten, 6..=6), [AckDue::Soon], "that was just now");
    }

    #[tokio::test]
    async fn drops_during_a_cancel_wait_and_block_acks() {
        let mut unwritten = Unwritten::new(200);
        (1..=3).for_each(|tag| unwritten.window.track(tag));
        let mut back = Vec::new();
        unwritten.holds_back = true;
        unwritten.given_back.push(2);
        unwritten.write_given_back(|tag| back.push(tag));
        assert!(back.is_empty(), "{back:?}");
        unwritten.done(1);
        unwritten.done(3);
        let mut acks = Vec::new();
        unwritten
            .window
            .write_all(|ack| acks.push((ack.tag, ack.multiple)));
        assert_eq!(acks, [(1, false), (3, false)]);
        unwritten.holds_back = false;
        unwritten.write_given_back(|tag| back.push(tag));
        unwritten.write_given_back(|tag| back.push(tag));
        assert_eq!(back, [2]);
    }
}
