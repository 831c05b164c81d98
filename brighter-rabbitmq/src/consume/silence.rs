//! [`Silence`]: a consumer that receives nothing checks whether it should.
//!
//! A node that is cut off from the leader of a queue keeps the connection open, answers heartbeats, and delivers
//! nothing. So a consumer that has nothing unsettled and received nothing for a while asks the broker for its queue. It
//! ends if the answers repeatedly give cause for doubt: the queue has messages, has no consumer, or there is no answer.
//! Then the channel is consumed again, on another connection.

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

/// How long a consumer receives nothing before it asks; a random half is added.
const SILENT: Duration = Duration::from_secs(15);
/// The pause before it asks again after a doubtful answer.
const AGAIN: Duration = Duration::from_secs(5);
/// The doubt at which the consumer ends: a doubtful answer counts 1, and no answer counts 2.
const ENOUGH: u32 = 3;

/// The state that the stream of a consumer shares with the task that asks.
#[derive(Default)]
pub(super) struct Silence {
    /// A message arrived since the last check.
    heard: AtomicBool,
    /// The stream was polled, and had no message.
    waits: AtomicBool,
    /// The reason why the consumer must end.
    verdict: Mutex<Option<String>>,
    waker: AtomicWaker,
    /// Notified when the stream is dropped.
    over: Notify,
}

impl Silence {
    /// Records that a message arrived.
    pub(super) fn heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Records that the stream has no message, and returns the reason to end, if there is one.
    pub(super) fn waits(&self, waker: &Waker) -> Option<String> {
        self.waker.register(waker);
        self.waits.store(true, Ordering::Relaxed);
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends the task that asks.
    pub(super) fn over(&self) {
        self.over.notify_one();
    }

    /// Tells the stream to end, unless a message arrives first.
    fn end(&self, reason: String) {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        self.waker.wake();
    }

    /// Returns whether no message arrived since the last check, although the stream was polled.
    fn is_silent(&self) -> bool {
        let heard = self.heard.swap(false, Ordering::Relaxed);
        !heard && self.waits.load(Ordering::Relaxed)
    }
}

/// Asks for the queue of this consumer after each long silence, until the stream is dropped.
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
    /// The weight of the doubt, and its reason.
    Doubtful(u32, String),
}

async fn question(consumer: &ConsumerChannel) -> Answer {
    let name = &consumer.channel.name;
    let open = &consumer.open;
    if !open.is_alive() || open.is_retired() {
        // The stream ends by itself, or continues on another connection.
        return Answer::Well;
    }
    let handle = consumer.isolated.as_deref();
    let handle = handle.unwrap_or(&consumer.connections.consuming);
    match ask(handle, open, name).await {
        Ok(queue) if queue.consumer_count() == 0 => {
            Answer::Doubtful(1, format!("the queue `{name}` reports no consumer"))
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
        // The connection is lost, which the stream notices itself, or the question cannot be asked.
        Err(_) => Answer::Well,
    }
}

/// Returns whether a waiting message would go to this consumer. A standby of a single active consumer gets none, and
/// the settings of a channel that was not declared are unknown.
fn gets_all(consumer: &ConsumerChannel) -> bool {
    let channel = &consumer.channel;
    !channel.limits.single_active_consumer && channel.make != MakeChannel::Assume
}

fn end(silence: &Silence, consumer: &ConsumerChannel, live: &LiveConsumers, what: &str) {
    let address = consumer.open.address();
    let reason = format!("connected to {address}, but nothing is delivered: {what}");
    consumer.ended();
    match live.on(&consumer.open) {
        // No other consumer uses the connection.
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
