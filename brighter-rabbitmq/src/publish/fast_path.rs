//! The way past the publish task: while little is in flight, the caller that publishes a message hands it to lapin.
//! That saves waking the thread of the task before anything is sent.
//!
//! The publish task finds out what became of it, as of every other message: it takes over what was begun.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::in_flight::{InFlightPublish, PublishChannel};
use super::request::PublishRequest;
use crate::wire;

/// Open while no message waits to be published and the publish task holds none: a message on it overtakes none.
pub(super) struct FastPath {
    channel: PublishChannel,
    /// How many more messages it takes.
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

    /// Hands the message to lapin; gives it back, untouched, if it is for the publish task.
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
        // The first look hands it over. From then on lapin wakes the publish task.
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

    /// Lets no message through any more.
    pub(super) fn shut(&mut self) {
        self.room = 0;
    }

    /// The messages that it took since the last time.
    pub(super) fn begun(&mut self) -> impl Iterator<Item = InFlightPublish> {
        self.begun.drain(..)
    }
}

/// Tells the publish task that something happened to a message that it has not taken over.
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
