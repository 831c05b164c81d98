//! A [`Delivery`]: a message on loan from its channel until it is settled.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use super::{Rejection, Rounds, SettleError, rejection_headers};
use crate::clock::NEVER;
use crate::escape::escaped;
use crate::message::{BagValue, ChannelName, Message};

/// How a transport settles one delivery. Each method ends the loan; what fails leaves the message with the
/// broker, which delivers it again.
///
/// A later version adds methods with a default only: what a transport cannot do is [`SettleError::Unsupported`], and
/// the message goes back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot settle a delivery",
    label = "does not implement `Settle`",
    note = "implement `brighter::channel::Settle` for `{Self}`: `ack`, `requeue`, `reject` and `release`"
)]
pub trait Settle: Send + Sync {
    /// The message is done with. May be written a little later, together with others.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>>;

    /// The message comes again to the same channel, and to no other, after the delay, with the header that is
    /// given here. The original goes only once the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>>;

    /// The message, as it came, goes to the dead-letter or the invalid-message channel. The original goes only
    /// once the copy is safe.
    ///
    /// # Errors
    /// See [`SettleError`].
    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>>;

    /// This message, with the header that is given here, goes straight to another channel of the broker, and to no
    /// other, at once. The original goes only once the copy is safe.
    ///
    /// A transport that cannot do this gives the message back, and says so.
    ///
    /// # Errors
    /// See [`SettleError`]: [`Unroutable`](super::PublishError::Unroutable) within, if there is no such channel.
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

    /// The message, as it came, comes again to the same channel after the delay. For what made no sense, which a
    /// transport cannot write with another header.
    ///
    /// A transport that cannot do this gives the message back, and says so.
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

    /// The message goes back to its channel as it is, at once, for any consumer.
    fn release(self: Box<Self>);
}

/// What a channel delivered cannot be read as a message.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("the delivery is no message: {reason}; reject it as invalid")]
#[non_exhaustive]
pub struct MalformedMessage {
    /// What is wrong with it.
    pub reason: String,
    /// What it says nevertheless of how often it was set aside.
    rounds: Option<Box<Rounds>>,
}

crate::__readable_debug!(MalformedMessage);

/// A message on loan from its channel. Settle it with [`ack`](Self::ack), [`requeue`](Self::requeue) or
/// [`reject`](Self::reject); dropped, it goes back to the channel.
#[must_use = "a delivery that is dropped goes back to its channel"]
pub struct Delivery {
    /// The message, or why the transport could not make sense of what came. It is shared with a broker that keeps
    /// it until it is settled.
    message: Result<Arc<Message>, MalformedMessage>,
    redeliveries: u32,
    settle: Option<Box<dyn Settle>>,
}

impl Delivery {
    /// A delivery of this message.
    pub fn new(message: impl Into<Arc<Message>>, settle: Box<dyn Settle>) -> Self {
        Self {
            message: Ok(message.into()),
            redeliveries: 0,
            settle: Some(settle),
        }
    }

    /// A delivery of something whose headers made no sense, for this reason.
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

    /// The same delivery, of a message that the broker has delivered this often before without its being
    /// settled.
    #[inline]
    pub fn with_redeliveries(mut self, times: u32) -> Self {
        self.redeliveries = times;
        self
    }

    /// The same delivery, of something that made no sense but for how often it was set aside.
    #[doc(hidden)]
    pub fn with_rounds(mut self, rounds: Rounds) -> Self {
        if let Err(malformed) = &mut self.message {
            malformed.rounds = Some(Box::new(rounds));
        }
        self
    }

    /// How often it says that each channel has set it aside.
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

    /// How often this message was delivered before without being settled: it was given back, or its consumer died. 0
    /// where nobody counts. The broker counts, and what no sender can set; a transport may count for a broker that does
    /// not, and then believes what the message says of itself, which decides nothing but what becomes of it.
    #[must_use]
    #[inline]
    pub fn redeliveries(&self) -> u32 {
        self.redeliveries
    }

    /// Returns the message.
    ///
    /// # Errors
    /// The transport could not read what arrived: [`reject`](Self::reject) it as invalid.
    #[inline]
    pub fn message(&self) -> Result<&Message, MalformedMessage> {
        self.message.as_deref().map_err(Clone::clone)
    }

    /// The message, shared with whoever keeps it until it is settled; `None` of what made no sense.
    #[doc(hidden)]
    #[inline]
    pub fn shared(&self) -> Option<&Arc<Message>> {
        self.message.as_ref().ok()
    }

    /// The message, how often it was delivered before, and what settles it, for a broker in front of another.
    /// `None` of what made no sense.
    #[doc(hidden)]
    pub fn into_parts(mut self) -> Option<(Arc<Message>, u32, Box<dyn Settle>)> {
        let message = Arc::clone(self.message.as_ref().ok()?);
        Some((message, self.redeliveries, self.settle.take()?))
    }

    /// Done with.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn ack(mut self) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.ack().await,
            None => Ok(()),
        }
    }

    /// Again after `delay`, with the handled count one higher if `counted`.
    ///
    /// # Errors
    /// See [`SettleError`]: [`TooFar`](SettleError::TooFar) for more than a hundred years.
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
            // What made no sense cannot be written again with another header.
            Err(_) => settle.postpone(delay).await,
        }
    }

    /// Set aside.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn reject(mut self, rejection: Rejection) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.reject(rejection).await,
            None => Ok(()),
        }
    }

    /// To another channel of the same broker, and to no other, as this message: who sends a dead letter back to the
    /// channel that it came from wants it without the note of why it died. See `Replay` in `brighter`.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub async fn move_to(mut self, channel: &ChannelName, message: Message) -> Result<(), SettleError> {
        match self.settle.take() {
            Some(settle) => settle.move_to(channel.clone(), message).await,
            None => Ok(()),
        }
    }

    /// Back to the channel at once, as it is: what dropping it does, said aloud.
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

    /// Notes what it is told.
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
    async fn a_delay_of_more_than_a_hundred_years_is_refused_and_the_message_given_back() {
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
    async fn what_made_no_sense_is_given_back_by_a_transport_that_cannot_delay_it() {
        let notes = Notes::default();
        let delivery = Delivery::malformed("nonsense", Box::new(notes.clone()));
        assert_eq!(delivery.rounds(), Rounds::default());
        let error = delivery.requeue(Duration::ZERO, false).await.unwrap_err();
        assert!(matches!(error, SettleError::Unsupported(_)), "{error}");
        assert_eq!(notes.taken(), ["release"]);
    }

    #[test]
    fn how_often_it_was_set_aside_is_told_of_a_message_and_of_what_made_no_sense() {
        let rounds = Rounds::default().counted(&"a".into()).counted(&"a".into());
        let mut rejection = Rejection::new(RejectionKind::DeadLetter, "no");
        rejection.rounds = Some(rounds.clone());
        let mut noted = message();
        rejection.annotate(&mut noted.header);
        // A broker that sets it aside by itself leaves that as it is.
        Rejection::new(RejectionKind::DeadLetter, "expired").annotate(&mut noted.header);
        let delivery = Delivery::new(noted, Box::new(Notes::default()));
        assert_eq!(delivery.rounds(), rounds);
        let nonsense = Delivery::malformed("nonsense", Box::new(Notes::default()));
        assert_eq!(nonsense.with_rounds(rounds.clone()).rounds(), rounds);
    }
}
