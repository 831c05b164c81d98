//! The way past the desk: while little is on its way, a message is handed to lapin by whoever publishes it, which saves
//! waking the desk's thread before anything is sent.
//!
//! What became of it is the desk's to find out, as of every other: it takes over what was begun.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_util::FutureExt;
use lapin::Confirmation;
use lapin::options::BasicPublishOptions;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio_util::sync::ReusableBoxFuture;

use super::publisher::{Job, Outgoing, Verdict};
use super::returns::{Route, Routes};
use super::wire;

/// The channel that messages go through.
#[derive(Clone)]
pub(super) struct Publishing {
    pub(super) amqp: Arc<lapin::Channel>,
    pub(super) number: u64,
    /// How many bytes all headers of a message may have: they share a frame.
    pub(super) most_header_bytes: usize,
    pub(super) routes: Arc<Routes>,
}

/// What became of one message: confirmed or not, and which message the broker gave back by the way.
pub(super) struct Done {
    pub(super) route: Route,
    /// Of the channel that it went through.
    pub(super) number: u64,
    pub(super) alone: bool,
    pub(super) taken: lapin::Result<bool>,
    pub(super) returned: Option<Route>,
    pub(super) reply: oneshot::Sender<Verdict>,
}

/// A message on its way. What lapin has to remember of it takes two kilobytes, so that its slot is used again for the next
/// one when this is done.
pub(super) struct Sending(Option<Slot>);

/// Where one message was on its way, and another can be.
pub(super) type Slot = ReusableBoxFuture<'static, Done>;

impl Sending {
    /// Hands it to lapin when it is polled first.
    pub(super) fn new(channel: Publishing, job: Job, slot: Option<Slot>) -> Self {
        let sending = publish(channel, job);
        Self(Some(match slot {
            Some(mut slot) => {
                slot.set(sending);
                slot
            }
            None => Slot::new(sending),
        }))
    }

    /// It has been on its way.
    pub(super) fn over(done: Done) -> Self {
        Self(Some(Slot::new(ready(done))))
    }
}

impl Future for Sending {
    type Output = (Done, Option<Slot>);

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Some(slot) => {
                let done = ready!(slot.poll(task));
                Poll::Ready((done, self.0.take()))
            }
            // It is over, and nobody asks any more.
            None => Poll::Pending,
        }
    }
}

/// Open while nobody waits to publish and the desk holds nothing: who goes through goes before nobody.
pub(super) struct Gate {
    channel: Publishing,
    /// How many more may go through.
    room: usize,
    begun: Vec<Sending>,
    /// Wakes the desk.
    waker: Waker,
}

impl Gate {
    pub(super) fn new(channel: Publishing, room: usize, waker: Waker) -> Self {
        Self {
            channel,
            room,
            begun: Vec::new(),
            waker,
        }
    }

    /// Hands the message to lapin; gives it back, untouched, if it is for the desk.
    pub(super) fn pass(&mut self, job: Job) -> Option<Job> {
        let Publishing {
            amqp,
            most_header_bytes,
            ..
        } = &self.channel;
        if self.room == 0
            || job.alone
            || !amqp.status().connected()
            || wire::header_bytes(&job.message.properties) > *most_header_bytes
        {
            return Some(job);
        }
        self.room -= 1;
        let mut sending = Sending::new(self.channel.clone(), job, None);
        // The first look hands it over. From then on lapin wakes the desk.
        let looked = sending.poll_unpin(&mut Context::from_waker(&self.waker));
        self.begun.push(match looked {
            Poll::Pending => sending,
            Poll::Ready((done, _)) => {
                self.waker.wake_by_ref();
                Sending::over(done)
            }
        });
        None
    }

    /// What went through since the last time.
    pub(super) fn begun(&mut self) -> impl Iterator<Item = Sending> {
        self.begun.drain(..)
    }
}

/// Tells the desk that something happened to a message that it has not taken over.
#[derive(Default)]
pub(super) struct Bell(Notify);

impl Bell {
    pub(super) async fn rung(&self) {
        self.0.notified().await;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// Publishes a message, and waits for its confirm. The first poll hands it to lapin.
fn publish(channel: Publishing, job: Job) -> impl Future<Output = Done> + Send {
    let Publishing {
        amqp, number, routes, ..
    } = channel;
    let Job {
        message,
        alone,
        reply,
    } = job;
    let Outgoing {
        exchange,
        routing_key,
        properties,
        body,
    } = message;
    let route = routes.of(&exchange, &routing_key, &properties);
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    async move {
        let sent = amqp.basic_publish(exchange, routing_key, options, &body, properties);
        let confirmation = match sent.await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        let (taken, returned) = match confirmation {
            Ok(Confirmation::Ack(returned)) => (Ok(true), returned),
            // Without confirms nothing is known, and what is not known was not taken. We always ask for them.
            Ok(Confirmation::Nack(returned)) => (Ok(false), returned),
            Ok(Confirmation::NotRequested) => (Ok(false), None),
            Err(error) => (Err(error), None),
        };
        let returned = returned.map(|back| routes.of(&back.exchange, &back.routing_key, &back.properties));
        Done {
            route,
            number,
            alone,
            taken,
            returned,
            reply,
        }
    }
}
