//! [`Silence`]: what the stream of a consumer and the task that asks for it tell each other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use lapin::message::Delivery;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;

/// The state that the stream of a consumer shares with the task that asks.
#[derive(Default)]
pub(super) struct Silence {
    /// A message arrived since the last check.
    heard: AtomicBool,
    /// The stream was polled, and had no message.
    waits: AtomicBool,
    /// The task rests, until something comes.
    rests: AtomicBool,
    came: Notify,
    /// Whether there is something for the stream below.
    some: AtomicBool,
    for_stream: Mutex<ForStream>,
    waker: AtomicWaker,
    /// Notified when the stream is dropped.
    over: CancellationToken,
}

/// The results of the task, for the stream.
#[derive(Default)]
struct ForStream {
    fetched: Option<Delivery>,
    verdict: Option<SilenceVerdict>,
}

/// Why a consumer must end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SilenceVerdict {
    /// The broker's answer, or that there was none.
    pub(super) what: String,
    /// Its node does not answer.
    pub(super) is_unanswered: bool,
}

impl Silence {
    /// Records that a message arrived.
    pub(super) fn heard(&self) {
        self.waits.store(false, Ordering::Relaxed);
        if self.heard.load(Ordering::Relaxed) {
            return;
        }
        // Written before `rests` is read, and the other way round, so that of two at once one sees the other.
        self.heard.store(true, Ordering::SeqCst);
        if self.rests.load(Ordering::SeqCst) {
            self.came.notify_one();
        }
        if self.some.load(Ordering::SeqCst) {
            self.lock().verdict = None;
        }
    }

    /// Returns a message that was fetched.
    pub(super) fn fetched(&self) -> Option<Delivery> {
        match self.some.load(Ordering::Relaxed) {
            true => self.lock().fetched.take(),
            false => None,
        }
    }

    /// Records that the stream has no message, and returns the reason to end, if there is one.
    pub(super) fn waits(&self, waker: &Waker) -> Option<SilenceVerdict> {
        self.waker.register(waker);
        self.waits.store(true, Ordering::Relaxed);
        if !self.some.load(Ordering::SeqCst) {
            return None;
        }
        let mut for_stream = self.lock();
        if for_stream.fetched.is_some() {
            // It came after the stream had looked.
            waker.wake_by_ref();
            return None;
        }
        self.some.store(false, Ordering::SeqCst);
        for_stream.verdict.take().filter(|_| !self.has_heard())
    }

    /// Ends the task that asks.
    pub(super) fn over(&self) {
        self.over.cancel();
    }

    /// Waits until the stream is gone.
    pub(super) async fn until_over(&self) {
        self.over.cancelled().await;
    }

    /// Notes whether the task rests, so that the next that comes wakes it.
    pub(super) fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::SeqCst);
    }

    /// Waits until something comes, while the task rests.
    pub(super) async fn until_heard(&self) {
        self.came.notified().await;
    }

    /// Hands a message that was fetched to the stream, or returns it if the stream is gone or has not taken the one before.
    pub(super) fn hand_over(&self, delivery: Delivery) -> Option<Delivery> {
        if self.over.is_cancelled() {
            return Some(delivery);
        }
        let mut delivery = Some(delivery);
        self.tell(|stream| {
            if stream.fetched.is_none() {
                stream.fetched = delivery.take();
            }
        });
        delivery
    }

    /// Asks the stream to end, which it does unless something has come by then.
    pub(super) fn end(&self, verdict: SilenceVerdict) {
        self.tell(|stream| stream.verdict = Some(verdict));
    }

    fn tell(&self, tell: impl FnOnce(&mut ForStream)) {
        {
            let mut for_stream = self.lock();
            tell(&mut for_stream);
            self.some.store(true, Ordering::SeqCst);
        }
        self.waker.wake();
    }

    /// Whether nothing came since the last look, although it was waited for.
    pub(super) fn is_silent(&self) -> bool {
        let heard = self.heard.swap(false, Ordering::SeqCst);
        // A stream that has not taken what was fetched for it is busy.
        let has_more = self.some.load(Ordering::SeqCst) && self.lock().fetched.is_some();
        !heard && !has_more && self.waits.load(Ordering::Relaxed)
    }

    /// Whether something came since the last look.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, ForStream> {
        self.for_stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SilenceVerdict {
    /// Sees to it that the consumer is consumed again where that is of use, and returns why it ends.
    pub(super) fn carry_out(self, consumer: &ConsumerChannel, live: &LiveConsumers) -> String {
        let Self { what, is_unanswered } = self;
        let open = &consumer.open;
        let reason = format!(
            "connected to {}, but nothing is delivered: {what}",
            open.address()
        );
        consumer.ended();
        if live.on(open) == 0 {
            // It harms nobody.
            open.give_up(reason.clone());
        } else if is_unanswered && consumer.connections.settings.address.are_several() {
            open.leave(&reason);
        } else {
            consumer.suspect(&reason);
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use super::*;

    fn verdict() -> SilenceVerdict {
        SilenceVerdict {
            what: "why".into(),
            is_unanswered: true,
        }
    }

    #[test]
    fn only_a_stream_that_waits_and_gets_nothing_is_silent() {
        let silence = Silence::default();
        assert!(!silence.is_silent(), "nobody waits");
        let context = Context::from_waker(Waker::noop());
        assert_eq!(silence.waits(context.waker()), None);
        assert!(silence.is_silent());
        silence.heard();
        assert!(!silence.is_silent(), "something came");
        assert!(!silence.is_silent(), "nobody has waited since");
        assert_eq!(silence.waits(context.waker()), None);
        assert!(silence.is_silent());
    }

    #[test]
    fn fetched_bytes_stay_until_the_stream_takes_them() {
        let silence = Silence::default();
        let message = |tag| Delivery::mock(tag, "".into(), "".into(), false, Vec::new());
        let tag = |delivery: Option<Delivery>| delivery.map(|delivery| delivery.delivery_tag);
        let context = Context::from_waker(Waker::noop());
        assert_eq!(silence.waits(context.waker()), None);
        assert_eq!(tag(silence.hand_over(message(1))), None);
        assert!(!silence.is_silent(), "the stream is about to take it");
        assert_eq!(tag(silence.hand_over(message(2))), Some(2), "it is given back");
        assert_eq!(tag(silence.fetched()), Some(1));
        assert!(silence.is_silent());
        silence.over();
        assert_eq!(tag(silence.hand_over(message(3))), Some(3));
    }

    #[test]
    fn a_verdict_is_void_once_something_has_come() {
        let silence = Silence::default();
        let context = Context::from_waker(Waker::noop());
        silence.end(verdict());
        assert_eq!(silence.waits(context.waker()), Some(verdict()));
        assert_eq!(silence.waits(context.waker()), None, "it is told once");
        silence.end(verdict());
        silence.heard();
        assert_eq!(silence.waits(context.waker()), None);
    }
}
