//! The fast path around the publish task: while little is in flight, the publishing caller hands its message to lapin.
//! That avoids waking the thread of the task first.
//!
//! The publish task then takes over these messages, and handles their confirms like all others.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::in_flight::{InFlightPublish, PublishChannel};
use super::request::PublishRequest;
use crate::wire;

/// Open only while the queue and the backlog of the publish task are empty, so the fast path cannot reorder messages.
pub(super) struct FastPath {
    channel: PublishChannel,
    /// The number of further messages that it accepts.
    room: usize,
    begun: Vec<InFlightPublish>,
    /// Wakes the publish task.
    waker: Waker,
}

impl FastPath {
    pub(super) fn new(channel: PublishChannel, room: usize, waker: Waker) -> Self {
        Self {
            channel,
            room,
            begun: Vec::new(),
            waker,
        }
    }

    /// Hands the message to lapin, or returns it unchanged if it must go through the publish task.
    pub(super) fn pass(&mut self, request: PublishRequest) -> Option<PublishRequest> {
        let PublishChannel {
            amqp,
            most_header_bytes,
            ..
        } = &self.channel;
        if self.room == 0
            || request.isolated
            || !amqp.status().connected()
            || self.channel.shared.open.is_retired()
            || wire::header_bytes(&request.message.properties) > *most_header_bytes
        {
            return Some(request);
        }
        self.room -= 1;
        let mut publish = InFlightPublish::new(self.channel.clone(), request, None);
        // The first poll hands the message over. From then on lapin wakes the publish task.
        let looked = publish.poll_unpin(&mut Context::from_waker(&self.waker));
        self.begun.push(match looked {
            Poll::Pending => publish,
            Poll::Ready((outcome, _)) => {
                self.waker.wake_by_ref();
                InFlightPublish::over(outcome)
            }
        });
        None
    }

    /// Accepts no more messages.
    pub(super) fn shut(&mut self) {
        self.room = 0;
    }

    /// Returns the messages that were handed over since the last call.
    pub(super) fn begun(&mut self) -> impl Iterator<Item = InFlightPublish> {
        self.begun.drain(..)
    }
}

/// Tells the publish task that a message on the fast path has made progress.
#[derive(Default)]
pub(super) struct WakeSignal(Notify);

impl WakeSignal {
    pub(super) async fn notified(&self) {
        self.0.notified().await;
    }
}

impl Wake for WakeSignal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}
