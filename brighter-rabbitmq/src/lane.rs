//! An AMQP channel that brings messages, and what is settled on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::ack_window::{Ack, AckWindow, Due};
use super::topology::Topology;
use brighter_core::channel::{Channel, QueueType, SettleError};
use brighter_core::message::ChannelName;

/// Closing a channel takes this long at most.
const CLOSING: Duration = Duration::from_secs(5);
/// Writing what is done takes this long at most, when somebody waits for it.
const FLUSHING: Duration = Duration::from_secs(10);
/// How long what is done waits for others, to be written with them.
const SOON: Duration = Duration::from_millis(1);
/// If nothing was written for so long, and what was written then had been alone, messages come so slowly that hardly
/// another would be done soon: to wait for it would cost a timer and a task to wake, and save nothing.
const QUIET: Duration = Duration::from_micros(500);

/// An AMQP channel, shared by a consumer and its deliveries: an acknowledgement means something only on the
/// channel that brought the message. Closed with the last of them.
pub(super) struct Lane {
    pub(super) channel: Channel,
    pub(super) topology: Topology,
    pub(super) shared: Arc<Shared>,
    /// Which connection it is of: it does not outlive it, and neither does what is on loan.
    pub(super) generation: u64,
    /// Whether the queue counts how often it delivers a message.
    pub(super) counts: bool,
    /// Whether its consumer is there still, and not only what that brought.
    consuming: AtomicBool,
    acks: Arc<Acks>,
}

impl Lane {
    /// A lane on which a consumer has just begun.
    pub(super) fn begin(
        amqp: lapin::Channel,
        generation: u64,
        channel: Channel,
        topology: Topology,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let acks = Arc::new(Acks {
            unwritten: Mutex::new(Unwritten::new(channel.buffer.get())),
            amqp,
            some: Notify::new(),
            over: AtomicBool::new(false),
        });
        shared.runtime.spawn(Arc::clone(&acks).write_in_time());
        let lane = Arc::new(Self {
            counts: topology.messages().queue_type() == Some(QueueType::Quorum),
            channel,
            topology,
            generation,
            consuming: AtomicBool::new(true),
            acks,
            shared,
        });
        lane.shared.lanes.add(&lane);
        lane
    }

    pub(super) fn amqp(&self) -> &lapin::Channel {
        &self.acks.amqp
    }

    /// Whether the broker still waits for what becomes of its deliveries.
    pub(super) fn is_live(&self) -> bool {
        self.acks.amqp.status().connected()
    }

    /// The consumer is gone.
    pub(super) fn ended(&self) {
        self.consuming.store(false, Ordering::Relaxed);
    }

    /// A delivery has come.
    pub(super) fn lent(&self, tag: u64) {
        self.acks.unwritten().window.lent(tag);
    }

    /// A delivery is done. Written in a moment, together with others, if there are any.
    pub(super) fn done(&self, tag: u64) -> Result<(), SettleError> {
        if !self.is_live() {
            return Err(self.stale(tag));
        }
        let mut unwritten = self.acks.unwritten();
        match unwritten.done(tag) {
            Due::Now => {
                unwritten.write(|ack| self.acks.write(ack));
            }
            Due::Soon => self.acks.some.notify_one(),
            Due::WithOthers => {}
        }
        Ok(())
    }

    /// Writes all that is done, and returns when the broker has read it.
    pub(super) async fn flush(&self) -> Result<(), SettleError> {
        let waited = self.acks.unwritten().window.waiting() > 0;
        self.acks.write_all();
        if !self.is_live() {
            return if waited { Err(SettleError::Stale) } else { Ok(()) };
        }
        // The broker answers in the order of the frames. The buffer is what it was: this changes nothing.
        let buffer = self.channel.buffer.get();
        let answered = self.acks.amqp.basic_qos(buffer, BasicQosOptions::default());
        answered.await.map_err(|error| SettleError::Other(error.into()))
    }

    /// A delivery goes back to its queue. When the channel is gone, the broker has it back already.
    pub(super) fn give_back(&self, tag: u64) {
        // Written while no acknowledgement can be: one of those after it would settle it.
        let mut unwritten = self.acks.unwritten();
        unwritten.window.given_back(tag);
        let options = BasicNackOptions {
            requeue: true,
            multiple: false,
        };
        let _ = self.acks.amqp.basic_nack(tag, options).now_or_never();
    }

    /// A delivery whose connection is gone: its settling goes to nobody.
    pub(super) fn stale(&self, tag: u64) -> SettleError {
        let (channel, generation) = (&self.channel.name, self.generation);
        tracing::debug!(%channel, generation, tag, "settled after its connection was gone; the broker delivers it again");
        SettleError::Stale
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.acks.write_all();
        self.acks.over.store(true, Ordering::Release);
        self.acks.some.notify_one();
        if self.is_live() {
            let amqp = self.acks.amqp.clone();
            // Left to lapin, a close that crosses one of the broker's would take down the connection.
            self.shared.runtime.spawn(async move {
                let _ = timeout(CLOSING, amqp.close(200, "done".into())).await;
            });
        }
    }
}

/// What was settled on a lane, on its way to the broker.
struct Acks {
    amqp: lapin::Channel,
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
                waiting = self.unwritten().write(|ack| self.write(ack)) > 0;
            }
        }
    }

    fn write_all(&self) {
        self.unwritten().window.write_all(|ack| self.write(ack));
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

/// What is on loan or done, and when was last written of it.
struct Unwritten {
    window: AckWindow,
    written: Option<Instant>,
    /// Whether at most one was done when that was written.
    was_alone: bool,
}

impl Unwritten {
    fn new(buffer: u16) -> Self {
        Self {
            window: AckWindow::new(buffer),
            written: None,
            was_alone: true,
        }
    }

    fn done(&mut self, tag: u64) -> Due {
        let (written, was_alone) = (self.written, self.was_alone);
        let quiet = || was_alone && written.is_none_or(|at| at.elapsed() >= QUIET);
        self.window.done(tag, quiet)
    }

    /// Writes what is due, and tells how many are left for the next time.
    fn write(&mut self, write: impl FnMut(Ack)) -> usize {
        self.was_alone = self.window.waiting() <= 1;
        self.window.write(write);
        self.written = Some(Instant::now());
        self.window.waiting()
    }
}

/// A consumer that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveConsumer {
    /// What it consumes.
    pub channel: ChannelName,
    /// The how-manieth connection it is on.
    pub connection: u64,
}

/// All lanes there are.
#[derive(Default)]
pub(super) struct Lanes(Mutex<Vec<Weak<Lane>>>);

impl Lanes {
    fn add(&self, lane: &Arc<Lane>) {
        let mut lanes = self.lock();
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.push(Arc::downgrade(lane));
    }

    /// The consumers that get messages, or would if there were any.
    pub(super) fn consumers(&self) -> Vec<LiveConsumer> {
        let alive = |lane: &Arc<Lane>| lane.consuming.load(Ordering::Relaxed) && lane.is_live();
        let consumers = self.all().into_iter().filter(alive).map(|lane| LiveConsumer {
            channel: lane.channel.name.clone(),
            connection: lane.generation,
        });
        consumers.collect()
    }

    /// Writes what waits, and returns when the broker has read it.
    pub(super) async fn flush(&self) -> Result<(), SettleError> {
        let lanes = self.all();
        let flushing = lanes.iter().map(|lane| lane.flush());
        match timeout(FLUSHING, try_join_all(flushing)).await {
            Ok(flushed) => flushed.map(drop),
            Err(elapsed) => Err(SettleError::Other(elapsed.into())),
        }
    }

    /// Writes what waits, before the connection goes.
    pub(super) fn write_all(&self) {
        self.all().iter().for_each(|lane| lane.acks.write_all());
    }

    fn all(&self) -> Vec<Arc<Lane>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Lane>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes as many as it is to be done, and says when each must be written.
    fn due(unwritten: &mut Unwritten, tags: std::ops::RangeInclusive<u64>) -> Vec<Due> {
        let lent_and_done = tags.map(|tag| {
            unwritten.window.lent(tag);
            unwritten.done(tag)
        });
        lent_and_done.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_alone_is_written_at_once_unless_others_came_with_the_one_before() {
        let mut unwritten = Unwritten::new(200);
        assert_eq!(due(&mut unwritten, 1..=1), [Due::Now], "the first");
        unwritten.write(|_| {});
        assert_eq!(
            due(&mut unwritten, 2..=3),
            [Due::Soon, Due::WithOthers],
            "at its heels"
        );
        unwritten.write(|_| {});
        tokio::time::advance(QUIET).await;
        assert_eq!(due(&mut unwritten, 4..=4), [Due::Soon], "two were written last");
        unwritten.write(|_| {});
        tokio::time::advance(QUIET).await;
        assert_eq!(due(&mut unwritten, 5..=5), [Due::Now], "one was");
        unwritten.write(|_| {});
        tokio::time::advance(QUIET - Duration::from_micros(1)).await;
        assert_eq!(due(&mut unwritten, 6..=6), [Due::Soon], "that was just now");
    }
}
