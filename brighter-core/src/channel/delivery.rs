//! [`Delivery`]: a message that its channel has delivered and that is not yet settled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use super::{Rejection, Rounds, SettleError, rejection_headers};
use crate::clock::NEVER;
use crate::escape::escaped;
use crate::message::{BagValue, ChannelName, Message};

/// Settles one delivery at its broker. Each method consumes the delivery. If a method fails, the message stays with the
/// broker, which delivers it again.
///
/// A later version adds only methods with a default: they return [`SettleError::Unsupported`], and the message returns
/// to its channel.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot settle a delivery",
    label = "does not implement `Settle`",
    note = "implement `brighter::channel::Settle` for `{Self}`: `ack`, `requeue`, `reject` and `release`"
)]
pub trait Settle: Send + Sync {
    /// Acknowledges the message. The acknowledgement may be written a little later, together with others.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>>;

    /// Delivers the message again to the same channel, and to no other, after the delay, with the given header. The
    /// original is removed only once the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>>;

    /// Moves the message unchanged to the dead-letter or the invalid-message channel. The original is removed only once
    /// the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>>;

    /// Moves the message, with the given header, at once to another channel of the broker, and to no other. The
    /// original is removed only once the copy is safe.
    ///
    /// A transport that cannot do this returns the message to its channel, and returns an error.
    ///
    /// # Errors
    /// See [`SettleError`]. It contains [`Unroutable`](super::PublishError::Unroutable) if the channel does not exist.
    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        drop((channel, message));
        self.release();
        future::ready(Err(SettleError::Unsupported(
            "moving a message to another channel",
        )))
        .boxed()
    }

    /// Delivers the message again to the same channel after the delay, unchanged. It is for a malformed message, which
    /// a transport cannot write with another header.
    ///
    /// A transport that cannot do this returns the message to its channel, and returns an error.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn postpone(self: Box<Self>, delay: Duration) -> BoxFuture<'static, Result<(), SettleError>> {
        let _ = delay;
        self.release();
        future::ready(Err(SettleError::Unsupported(
            "delaying a message whose headers made no sense",
        )))
        .boxed()
    }

    /// Returns the message unchanged to its channel, at once, for any consumer.
    fn release(self: Box<Self>);

    /// Waits until the broker has taken the message back: it is delivered again, and can no longer be settled. A transport
    /// that does not learn of this waits forever.
    fn lost(&self) -> BoxFuture<'static, ()> {
        future::pending().boxed()
    }
}

/// A delivery cannot be read as a message.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {reason}; reject it as invalid")]
#[non_exhaustive]
pub struct MalformedMessage {
    /// The reason why the delivery cannot be read.
    pub reason: String,
    /// The header that counts how often the message was rejected, if that one can be read.
    rounds: Option<Box<Rounds>>,
}

crate::__readable_debug!(MalformedMessage);

/// A message that its channel has delivered and that is not yet settled. Settle it with [`ack`](Self::ack),
/// [`requeue`](Self::requeue) or [`reject`](Self::reject). A delivery that is dropped returns to the channel.
#[must_use = "a delivery that is dropped goes back to its channel"]
pub struct Delivery {
    /// The message, or the reason why the transport could not read it. A broker that keeps the message until it is
    /// settled shares it.
    message: Result<Arc<Message>, MalformedMessage>,
    redeliveries: u32,
    settle: Option<Box<dyn Settle>>,
}

impl Delivery {
    /// Returns a delivery of this message.
    pub fn new(message: impl Into<Arc<Message>>, settle: Box<dyn Settle>) -> Self {
        Self {
            message: Ok(message.into()),
            redeliveries: 0,
            settle: Some(settle),
        }
    }

    /// Returns a delivery whose headers cannot be read, for this reason.
    pub fn malformed(reason: impl Into<String>, settle: Box<dyn Settle>) -> Self {
        Self {
            message: Err(MalformedMessage {
                reason: escaped(&reason.into()).into_owned(),
                rounds: None,
            }),
            redeliveries: 0,
            settle: Some(settle),
        }
    }

    /// Sets how often the broker has delivered the message before without its being settled.
    #[inline]
    pub fn with_redeliveries(mut self, times: u32) -> Self {
        self.redeliveries = times;
        self
    }

    /// Sets how often a malformed message was rejected, if that can be read.
    #[doc(hidden)]
    pub fn with_rounds(mut self, rounds: Rounds) -> Self {
        if let Err(malformed) = &mut self.message {
            malformed.rounds = Some(Box::new(rounds));
        }
        self
    }

    /// Returns how often each channel has rejected the message, by its header.
    #[doc(hidden)]
    pub fn rounds(&self) -> Rounds {
        match &self.message {
            Ok(message) => {
                let rounds = message.header.bag.get(rejection_headers::REJECTED_BY);
                rounds
                    .and_then(BagValue::as_str)
                    .map(Rounds::read)
                    .unwrap_or_default()
            }
            Err(malformed) => malformed.rounds.as_deref().cloned().unwrap_or_default(),
        }
    }

    /// Returns how often this message was delivered before without being settled: it was returned, or its consumer
    /// died. It is 0 if nobody counts. The broker counts, and no sender can set this number. A transport may count for
    /// a broker that does not, and then trusts the message's own header, which affects nothing but that message.
    #[must_use]
    #[inline]
    pub fn redeliveries(&self) -> u32 {
        self.redeliveries
    }

    /// Returns the message.
    ///
    /// # Errors
    /// Returns an error if the transport could not read the delivery: [`reject`](Self::reject) it as invalid.
    #[inline]
    pub fn message(&self) -> Result<&Message, MalformedMessage> {
        self.message.as_deref().map_err(Clone::clone)
    }

    /// Returns the message, shared with a broker that keeps it until it is settled; `None` for a malformed one.
    #[doc(hidden)]
    #[inline]
    pub fn shared(&self) -> Option<&Arc<Message>> {
        self.message.as_ref().ok()
    }

    /// Waits until the broker has taken the message back, because it was not settled in time or its connection is lost. The
    /// message is then delivered again. Waits forever if the transport does not learn of this.
    ///
    /// ```
    /// # async fn handle_for_long(_: &brighter::message::Message) {}
    /// # async fn example(delivery: brighter::channel::Delivery) -> Result<(), brighter::BoxError> {
    /// let lost = delivery.lost();
    /// let Some(message) = delivery.shared().cloned() else { return Ok(()) };
    /// tokio::select! {
    ///     () = handle_for_long(&message) => delivery.ack().await?,
    ///     () = lost => {} // somebody else handles it
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lost(&self) -> BoxFuture<'static, ()> {
        match &self.settle {
            Some(settle) => settle.lost(),
            None => future::pending().boxed(),
        }
    }

    /// Returns the message, its redeliveries and the object that settles it, for a broker in front of another. Returns
    /// `None` for a malformed message.
    #[doc(hidden)]
    pub fn into_parts(mut self) -> Option<(Arc<Message>, u32, Box<dyn Settle>)> {
        let message = Arc::clone(self.message.as_ref().ok()?);
        Some((message, self.redeliveries, self.settle.take()?))
    }

    /// Acknowledges the message: it was handled.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn ack(mut self) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.ack().await,
            None => Ok(()),
        }
    }

    /// Delivers the message again after `delay`, with a handled count that is one higher if `counted`.
    ///
    /// # Errors
    /// See [`SettleError`]. It is [`TooFar`](SettleError::TooFar) for a delay of more than a hundred years.
    pub async fn requeue(mut self, delay: Duration, counted: bool) -> Result<(), SettleError> {
        let Some(settle) = self.settle.take() else {
            return Ok(());
        };
        if delay > NEVER {
            settle.release();
            return Err(SettleError::TooFar {
                delay,
                longest: NEVER,
            });
        }
        match self.message().cloned() {
            Ok(mut message) => {
                let count = &mut message.header.handled_count;
                *count = count.saturating_add(u32::from(counted));
                settle.requeue(message, delay).await
            }
            // A malformed message cannot be written again with another header.
            Err(_) => settle.postpone(delay).await,
        }
    }

    /// Rejects the message: moves it to the dead-letter or the invalid-message channel.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn reject(mut self, rejection: Rejection) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.reject(rejection).await,
            None => Ok(()),
        }
    }

    /// Moves the delivery to another channel of the same broker, and to no other, as the given message. A dead letter
    /// is sent back this way to the channel that it came from, without the headers that tell why it was rejected. See
    /// `Replay` in `brighter`.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn move_to(mut self, channel: &ChannelName, message: Message) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.move_to(channel.clone(), message).await,
            None => Ok(()),
        }
    }

    /// Returns the message unchanged to the channel at once. Dropping the delivery does the same.
    pub fn release(self) {}
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(settle) = self.settle.take() {
            settle.release();
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::channel::RejectionKind;
    use crate::id::MessageId;
    use crate::message::{MessageHeader, MessageType};

    /// Records the calls.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<&'static str>>>);

    impl Notes {
        fn note(&self, what: &'static str) -> BoxFuture<'static, Result<(), SettleError>> {
            self.0.lock().unwrap().push(what);
            future::ready(Ok(())).boxed()
        }

        fn taken(&self) -> Vec<&'static str> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Settle for Notes {
        fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
            self.note("ack")
        }

        fn requeue(self: Box<Self>, _: Message, _: Duration) -> BoxFuture<'static, Result<(), SettleError>> {
            self.note("requeue")
        }

        fn reject(self: Box<Self>, _: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
            self.note("reject")
        }

        fn release(self: Box<Self>) {
            drop(self.note("release"));
        }
    }

    fn message() -> Message {
        let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        Message::new(header, crate::message::MessageBody::default())
    }

    #[tokio::test]
    async fn a_delay_over_a_hundred_years_is_refused_and_requeued() {
        let notes = Notes::default();
        let delivery = || Delivery::new(message(), Box::new(notes.clone()));
        delivery().requeue(NEVER, true).await.unwrap();
        assert_eq!(notes.taken(), ["requeue"]);
        for delay in [NEVER + Duration::from_nanos(1), Duration::MAX] {
            let error = delivery().requeue(delay, true).await.unwrap_err();
            assert!(
                matches!(error, SettleError::TooFar { longest: NEVER, .. }),
                "{error}"
            );
            assert_eq!(notes.taken(), ["release"]);
        }
    }

    #[tokio::test]
    async fn malformed_messages_are_released_by_transports_without_delays() {
        let notes = Notes::default();
        let delivery = Delivery::malformed("nonsense", Box::new(notes.clone()));
        assert_eq!(delivery.rounds(), Rounds::default());
        let error = delivery.requeue(Duration::ZERO, false).await.unwrap_err();
        assert!(matches!(error, SettleError::Unsupported(_)), "{error}");
        assert_eq!(notes.taken(), ["release"]);
    }

    #[test]
    fn rejections_are_counted_for_malformed_messages_too() {
        let rounds = Rounds::default().counted(&"a".into()).counted(&"a".into());
        let mut rejection = Rejection::new(RejectionKind::DeadLetter, "no");
        rejection.rounds = Some(rounds.clone());
        let mut noted = message();
        rejection.annotate(&mut noted.header);
        // A rejection by the broker itself leaves the count as it is.
        Rejection::new(RejectionKind::DeadLetter, "expired").annotate(&mut noted.header);
        let delivery = Delivery::new(noted, Box::new(Notes::default()));
        assert_eq!(delivery.rounds(), rounds);
        let nonsense = Delivery::malformed("nonsense", Box::new(Notes::default()));
        assert_eq!(nonsense.with_rounds(rounds.clone()).rounds(), rounds);
    }
}
