//! An AMQP channel that brings messages, and what is settled on it.

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

/// Cancelling a consumer takes this long at most.
const CANCELLING: Duration = Duration::from_secs(5);
/// The same by a connection whose node has been found not to answer.
const CANCELLING_LEFT: Duration = Duration::from_secs(2);
/// How long what is done waits for others, to be written with them.
const SOON: Duration = Duration::from_millis(1);
/// If nothing was written for so long, and what was written then had been alone, messages come so slowly that hardly
/// another would be done soon: to wait for it would cost a timer and a task to wake, and save nothing.
const QUIET: Duration = Duration::from_micros(500);

/// An AMQP channel, shared by a consumer and its deliveries: an acknowledgement means something only on the
/// channel that brought the message. Closed with the last of them.
pub(super) struct ConsumerChannel {
    pub(super) channel: Channel,
    pub(super) topology: Topology,
    pub(super) connections: Arc<Connections>,
    /// Which connection it is of: it does not outlive it, and neither do its unsettled deliveries.
    pub(super) generation: u64,
    /// That connection, which lasts until the last delivery is settled.
    pub(super) open: Arc<OpenConnection>,
    /// Keeps the connection, if it is the channel's own.
    pub(super) isolated: Option<Arc<ConnectionHandle>>,
    /// How the broker keeps the queue, if that is known.
    pub(super) queue_type: Option<QueueType>,
    /// Whether its consumer is there still, and not only what that brought.
    consuming: AtomicBool,
    /// How many of its deliveries are being replaced by copies.
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
    /// The channel of a consumer that has just begun.
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

    /// What it is asked by.
    pub(super) fn amqp(&self) -> &OwnedChannel {
        &self.acks.amqp
    }

    /// What knows whether messages that this process publishes are confirmed.
    pub(super) fn confirms(&self) -> Arc<ConfirmWatch> {
        Arc::clone(self.connections.publishing.confirms())
    }

    pub(super) fn is_on(&self, open: &Arc<OpenConnection>) -> bool {
        Arc::ptr_eq(&self.open, open)
    }

    /// Whether the broker still waits for what becomes of its deliveries.
    pub(super) fn is_live(&self) -> bool {
        self.acks.amqp.status().connected()
    }

    /// Whether its consumer is there still, and gets messages or would if there were any.
    pub(super) fn is_consuming(&self) -> bool {
        self.consuming.load(Ordering::Relaxed) && self.is_live()
    }

    /// Writes what waits, before the connection goes.
    pub(super) fn write_all(&self) {
        self.acks.write_all();
        self.acks.write_given_back();
    }

    /// Whether a delivery is in hand.
    pub(super) fn has_unsettled(&self) -> bool {
        self.acks.unwritten().window.has_unsettled()
    }

    /// Notes that the connection has ended, or does not serve, over this channel or one beside it.
    pub(super) fn suspect(&self, reason: &str) {
        let (name, isolated) = (&self.channel.name, &self.connections.isolated);
        match self.isolated {
            Some(_) => isolated.blame(name, reason),
            None => isolated.suspect(name, reason),
        }
    }

    /// The consumer is gone.
    pub(super) fn ended(&self) {
        self.consuming.store(false, Ordering::Relaxed);
    }

    /// From now on nothing is given back until the consumer is cancelled: it would come to the same consumer again, be
    /// given back once more, and be counted twice.
    pub(super) fn begin_cancel(&self) {
        self.ended();
        self.acks.unwritten().holds_back = true;
    }

    /// Cancels the consumer, and then gives back what was dropped meanwhile. Unless the broker answers, it all goes back
    /// with the channel, when its last delivery is settled. Says whether the broker has answered.
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

    /// A delivery has come.
    pub(super) fn track(&self, tag: u64) {
        self.acks.unwritten().window.track(tag);
    }

    /// A delivery is done. Written in a moment, together with others, if there are any.
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

    /// Whether messages may be replaced by copies, which count how often they were delivered: somebody goes by that,
    /// and they may lose their places.
    pub(super) fn makes_copies(&self) -> bool {
        self.channel.suspect_after.is_some() && !self.channel.limits.single_active_consumer
    }

    /// Notes that a delivery is being replaced by a copy, until the guard is dropped.
    pub(super) fn copies(self: &Arc<Self>) -> CopyGuard {
        self.copies.send_modify(|copies| *copies += 1);
        CopyGuard(Arc::clone(self))
    }

    /// Waits until none of its deliveries is being replaced.
    pub(super) async fn copied(&self) {
        // The sender is here, so this is no error.
        let _ = self.copies.subscribe().wait_for(|copies| *copies == 0).await;
    }

    /// Writes all that is done, and returns when the broker has read it.
    pub(super) async fn flush(&self) -> Result<(), SettleError> {
        self.copied().await;
        self.write_through().await
    }

    /// Writes all that is done by now, and returns when the broker has read it.
    pub(super) async fn write_through(&self) -> Result<(), SettleError> {
        let waited = self.acks.unwritten().window.waiting() > 0;
        self.acks.write_all();
        self.acks.write_given_back();
        if !self.is_live() {
            return if waited { Err(SettleError::Stale) } else { Ok(()) };
        }
        // The broker answers in the order of the frames. The buffer is what it was: this changes nothing.
        let buffer = self.channel.buffer.get();
        let answered = self.acks.amqp.basic_qos(buffer, BasicQosOptions::default());
        match self.acks.amqp.while_up(answered).await {
            Some(answer) => answer.map_err(|error| SettleError::Other(error.into())),
            None if waited => Err(SettleError::Stale),
            None => Ok(()),
        }
    }

    /// A delivery goes back to its queue, in a moment: if the consumer is stopped meanwhile, then after it is cancelled.
    /// When the channel is gone, the broker has it back already.
    pub(super) fn give_back(&self, tag: u64) {
        self.acks.unwritten().given_back.push(tag);
        self.acks.some.notify_one();
    }

    /// A delivery whose connection is gone: its settling goes to nobody.
    pub(super) fn stale(&self, tag: u64) -> SettleError {
        let (channel, generation) = (&self.channel.name, self.generation);
        tracing::debug!(%channel, generation, tag, "settled after its connection was gone; the broker delivers it again");
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

/// What was settled on a channel, on its way to the broker.
struct Acks {
    /// Closed when the last user is gone.
    amqp: OwnedChannel,
    unwritten: Mutex<Unwritten>,
    /// That some are waiting, or that it is over.
    some: Notify,
    over: AtomicBool,
}

impl Acks {
    /// Sees to it that nothing waits for long. Asleep while nothing does.
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

    /// Gives back what was dropped, unless its consumer is being cancelled.
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

    /// Queues it, in the order of the calls. When the channel is gone, the broker delivers again what this would
    /// have settled.
    fn write(&self, ack: Ack) {
        let Ack { tag, multiple } = ack;
        let acked = self.amqp.basic_ack(tag, BasicAckOptions { multiple });
        if let Some(Err(_)) = acked.now_or_never() {
            tracing::debug!(
                tag,
                multiple,
                "not acknowledged, as the connection is gone; the broker delivers it again"
            );
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deliveries that are unsettled or done, and when was last written of them.
struct Unwritten {
    window: AckWindow,
    /// Dropped without being settled, and to be given back; no more than the buffer holds.
    given_back: Vec<u64>,
    /// The consumer is being cancelled.
    holds_back: bool,
    written: Option<Instant>,
    /// Whether at most one was done when that was written.
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

    /// Gives back what was dropped, unless that has to wait. Under the lock, as no acknowledgement may come between: one
    /// of those after it would settle it.
    fn write_given_back(&mut self, mut give_back: impl FnMut(u64)) {
        if self.holds_back {
            return;
        }
        for tag in self.given_back.drain(..) {
            self.window.given_back(tag);
            give_back(tag);
        }
    }

    /// Writes what is due, and tells how many are left for the next time.
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

    /// Takes as many as it is to be done, and says when each must be written.
    fn due(unwritten: &mut Unwritten, tags: std::ops::RangeInclusive<u64>) -> Vec<AckDue> {
        let lent_and_done = tags.map(|tag| {
            unwritten.window.track(tag);
            unwritten.done(tag)
        });
        lent_and_done.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_alone_is_written_at_once_unless_others_came_with_the_one_before() {
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
    async fn what_is_dropped_while_its_consumer_is_cancelled_waits_and_no_ack_passes_it() {
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
