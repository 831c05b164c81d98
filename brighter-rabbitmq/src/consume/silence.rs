//! [`Silence`]: a consumer that hears nothing asks whether it should.
//!
//! A node that is cut off from the leader of a queue keeps the connection up, answers heartbeats, and delivers nothing.
//! So a consumer that waits, has nothing in hand and got nothing for a while asks the broker for its queue. It ends if
//! the queue has messages, or knows of no consumer, or cannot be asked for, each time it is asked; then it is consumed
//! again, by another connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use lapin::protocol::AMQPSoftError;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::depth::ask;
use super::live_consumers::LiveConsumers;
use crate::backoff::random;
use crate::error::{of_channel, reply_text};
use crate::topology::{ANSWER, DeclareError};
use brighter_core::channel::MakeChannel;

/// How long a consumer hears nothing before it asks, with a random half added.
const SILENT: Duration = Duration::from_secs(15);
/// How soon it asks again if the answer gives cause to.
const AGAIN: Duration = Duration::from_secs(5);
/// An answer that gives cause to doubt weighs 1, and none weighs 2. So much ends the consumer.
const ENOUGH: u32 = 3;

/// What the stream of a consumer and the task that asks tell each other.
#[derive(Default)]
pub(super) struct Silence {
    /// Something came since the last look.
    heard: AtomicBool,
    /// The stream was asked for more, and had nothing.
    waits: AtomicBool,
    /// Why the consumer must end.
    verdict: Mutex<Option<String>>,
    waker: AtomicWaker,
    /// The stream is gone.
    over: Notify,
}

impl Silence {
    /// Notes that something came.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Notes that the stream has nothing, and returns why it must end, if it must.
    pub(super) fn waits(&self, waker: &Waker) -> Option<String> {
        self.waker.register(waker);
        self.waits.store(true, Ordering::Relaxed);
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the task that asks.
    pub(super) fn over(&self) {
        self.over.notify_one();
    }

    /// Asks the stream to end, which it does unless something has come by then.
    fn end(&self, reason: String) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.waker.wake();
    }

    /// Whether nothing came since the last look, although it was waited for.
    fn is_silent(&self) -> bool {
        let heard = self.heard.swap(false, Ordering::Relaxed);
        !heard && self.waits.load(Ordering::Relaxed)
    }
}

/// Asks for the queue of this consumer whenever it has heard nothing for long, until it is over.
pub(super) async fn watch(silence: Arc<Silence>, consumer: Weak<ConsumerChannel>, live: Arc<LiveConsumers>) {
    let mut doubt = 0;
    loop {
        let pause = match doubt {
            0 => SILENT + SILENT.mul_f64(random()),
            _ => AGAIN,
        };
        if timeout(pause, silence.over.notified()).await.is_ok() {
            return;
        }
        let Some(consumer) = consumer.upgrade().filter(|consumer| consumer.is_consuming()) else {
            return;
        };
        if !silence.is_silent() || consumer.has_unsettled() {
            doubt = 0;
            continue;
        }
        match question(&consumer).await {
            Answer::Well => doubt = 0,
            Answer::Doubtful(weight, what) => {
                doubt += weight;
                if doubt >= ENOUGH && !silence.heard.load(Ordering::Relaxed) {
                    end(&silence, &consumer, &live, &what);
                    return;
                }
            }
        }
    }
}

enum Answer {
    Well,
    /// How much doubt it casts on the consumer, and why.
    Doubtful(u32, String),
}

async fn question(consumer: &ConsumerChannel) -> Answer {
    let name = &consumer.channel.name;
    let open = &consumer.open;
    if !open.is_alive() || open.is_retired() {
        // The stream ends by itself, or goes on by another connection.
        return Answer::Well;
    }
    let handle = consumer.isolated.as_deref();
    let handle = handle.unwrap_or(&consumer.connections.consuming);
    match ask(handle, open, name).await {
        Ok(queue) if queue.consumer_count() == 0 => {
            Answer::Doubtful(1, format!("the queue `{name}` knows of no consumer"))
        }
        Ok(queue) if queue.message_count() > 0 && gets_all(consumer) => {
            let waiting = queue.message_count();
            Answer::Doubtful(1, format!("{waiting} messages wait in the queue `{name}`"))
        }
        Ok(_) => Answer::Well,
        Err(DeclareError::Unanswered { request }) => Answer::Doubtful(
            2,
            format!("`{request}` for the queue `{name}` was not answered within {ANSWER:?}"),
        ),
        Err(DeclareError::Broker { error, .. })
            if matches!(of_channel(&error), Some(AMQPSoftError::NOTFOUND)) =>
        {
            Answer::Doubtful(1, reply_text(&error))
        }
        // The connection is lost, which the stream learns by itself, or the question cannot be asked.
        Err(_) => Answer::Well,
    }
}

/// Whether a message that waits would come to this consumer. One of several that wait for the active one to end gets
/// none; what a channel is that was not declared, nobody knows.
fn gets_all(consumer: &ConsumerChannel) -> bool {
    let channel = &consumer.channel;
    !channel.limits.single_active_consumer && channel.make != MakeChannel::Assume
}

fn end(silence: &Silence, consumer: &ConsumerChannel, live: &LiveConsumers, what: &str) {
    let address = consumer.open.address();
    let reason = format!("connected to {address}, but nothing comes: {what}");
    consumer.ended();
    match live.on(&consumer.open) {
        // It harms nobody.
        0 => consumer.open.give_up(reason.clone()),
        _ => consumer.suspect(&reason),
    }
    silence.end(reason);
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    #[test]
    fn only_a_stream_that_waits_and_gets_nothing_is_silent() {
        let silence = Silence::default();
        assert!(!silence.is_silent(), "nobody waits");
        let context = Context::from_waker(Waker::noop());
        assert_eq!(silence.waits(context.waker()), None);
        silence.heard();
        assert!(!silence.is_silent(), "something came");
        assert!(silence.is_silent());
        silence.end("why".into());
        assert_eq!(silence.waits(context.waker()).as_deref(), Some("why"));
    }
}
