//! Later: `post_at`, `post_after`, and what may be done until then.

use std::time::{Duration, SystemTime};

use super::{CommandProcessor, PostError};
use brighter_core::__private::clock::NEVER;
use brighter_core::context::Context;
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::outbox::{Outbox, OutboxTransaction};

impl CommandProcessor {
    /// Posts a request at a time: stores it in the outbox now, from which the sweeper sends it when its time has come,
    /// in this process or whichever sweeps the outbox then. It is as safe there as any other message; restarts and
    /// outages at most make it late. It is sent within the sweeper's
    /// [interval](crate::Sweeper::interval) of its time, by the clock of the outbox, and never before.
    ///
    /// The id is for [`cancel_post`](Self::cancel_post) and [`reschedule_post`](Self::reschedule_post). A request that
    /// the outbox holds already, in whatever state, is left as it is.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use brighter::prelude::*;
    /// use brighter::{InMemoryBroker, InMemoryOutbox};
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(topic = "Task.Reminder")]
    /// struct TaskReminder { task: String }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder()
    ///     .broker(InMemoryBroker::new())
    ///     .outbox(InMemoryOutbox::new())
    ///     .build()?;
    /// let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    /// let id = processor.post_at(TaskReminder { task: "milk".into() }, tomorrow).await?;
    /// assert!(processor.cancel_post(&id).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The time is not in the future ([`PostError::NotInFuture`]) or more than a hundred years away
    /// ([`PostError::TooFar`]), or the message could not be stored. Whether the broker takes it turns out when it is
    /// sent: see [`message_state`](Self::message_state).
    pub async fn post_at<R: Postable>(&self, request: R, at: SystemTime) -> Result<MessageId, PostError> {
        self.post_later(&request, until(at)?, None).await
    }

    /// The same, from a handler, with its context, as [`post_with`](Self::post_with): what caused it, its
    /// conversation and its trace are kept until it is sent.
    ///
    /// # Errors
    /// As [`post_at`](Self::post_at).
    pub async fn post_at_with<R: Postable>(
        &self,
        request: R,
        at: SystemTime,
        cx: &Context,
    ) -> Result<MessageId, PostError> {
        self.post_later(&request, until(at)?, Some(cx)).await
    }

    /// Posts a request when this much time has passed: see [`post_at`](Self::post_at). With no time at all it is due
    /// at once, and sent by the sweeper.
    ///
    /// # Errors
    /// As [`post_at`](Self::post_at).
    pub async fn post_after<R: Postable>(&self, request: R, delay: Duration) -> Result<MessageId, PostError> {
        self.post_later(&request, checked(delay)?, None).await
    }

    /// The same, from a handler, with its context: see [`post_at_with`](Self::post_at_with).
    ///
    /// # Errors
    /// As [`post_at`](Self::post_at).
    pub async fn post_after_with<R: Postable>(
        &self,
        request: R,
        delay: Duration,
        cx: &Context,
    ) -> Result<MessageId, PostError> {
        self.post_later(&request, checked(delay)?, Some(cx)).await
    }

    /// Posts a request at a time, as part of the caller's own transaction, as [`deposit_post`](Self::deposit_post)
    /// does: it is sent then if the transaction commits, and was never there if it does not.
    ///
    /// # Errors
    /// As [`post_at`](Self::post_at), or the transaction is not one of the processor's outbox.
    pub async fn deposit_post_at<T, R, O>(
        &self,
        transaction: &mut T,
        request: R,
        at: SystemTime,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_later(transaction, &request, until(at)?, None).await
    }

    /// The same, from a handler, with its context: see [`post_at_with`](Self::post_at_with).
    ///
    /// # Errors
    /// As [`deposit_post_at`](Self::deposit_post_at).
    pub async fn deposit_post_at_with<T, R, O>(
        &self,
        transaction: &mut T,
        request: R,
        at: SystemTime,
        cx: &Context,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_later(transaction, &request, until(at)?, Some(cx))
            .await
    }

    /// Posts a request when this much time has passed since this call, as part of the caller's own transaction: see
    /// [`deposit_post_at`](Self::deposit_post_at).
    ///
    /// # Errors
    /// As [`deposit_post_at`](Self::deposit_post_at).
    pub async fn deposit_post_after<T, R, O>(
        &self,
        transaction: &mut T,
        request: R,
        delay: Duration,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_later(transaction, &request, checked(delay)?, None)
            .await
    }

    /// The same, from a handler, with its context: see [`post_at_with`](Self::post_at_with).
    ///
    /// # Errors
    /// As [`deposit_post_at`](Self::deposit_post_at).
    pub async fn deposit_post_after_with<T, R, O>(
        &self,
        transaction: &mut T,
        request: R,
        delay: Duration,
        cx: &Context,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_later(transaction, &request, checked(delay)?, Some(cx))
            .await
    }

    /// Takes a scheduled post back. Says whether that was in time: `false`, if its time has come, so that it was or
    /// will be sent, or if the outbox does not know it.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn cancel_post(&self, id: &MessageId) -> Result<bool, PostError> {
        Ok(self.relay()?.scheduling()?.cancel(id).await?)
    }

    /// Has a scheduled post sent at another time. Says whether that was in time, as
    /// [`cancel_post`](Self::cancel_post) does.
    ///
    /// # Errors
    /// The time is not in the future or too far away, or the outbox cannot be written.
    pub async fn reschedule_post(&self, id: &MessageId, at: SystemTime) -> Result<bool, PostError> {
        Ok(self.relay()?.scheduling()?.reschedule(id, until(at)?).await?)
    }

    /// The same, when this much time has passed from now.
    ///
    /// # Errors
    /// As [`reschedule_post`](Self::reschedule_post).
    pub async fn reschedule_post_after(&self, id: &MessageId, delay: Duration) -> Result<bool, PostError> {
        Ok(self
            .relay()?
            .scheduling()?
            .reschedule(id, checked(delay)?)
            .await?)
    }

    async fn post_later<R: Postable>(
        &self,
        request: &R,
        delay: Duration,
        cx: Option<&Context>,
    ) -> Result<MessageId, PostError> {
        let outbox = self.relay()?.scheduling()?;
        let op = self.creates::<R>("schedule", cx);
        let stored = op.run(async {
            let message = self.message_within(&op, request, cx)?;
            brighter_core::__private::fault_point!(
                "outbox.deposit",
                brighter_core::outbox::OutboxError::Unavailable
            );
            outbox.schedule(&message, delay).await?;
            brighter_core::__private::fault_point!("outbox.deposited");
            Ok(message.header.id)
        });
        stored
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
    }

    async fn deposit_later<T, R, O>(
        &self,
        transaction: &mut T,
        request: &R,
        delay: Duration,
        cx: Option<&Context>,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        let outbox = self.outbox_of::<O>()?;
        let op = self.creates::<R>("schedule", cx);
        let stored = op.run(async {
            let message = self.message_within(&op, request, cx)?;
            brighter_core::__private::fault_point!(
                "outbox.deposit",
                brighter_core::outbox::OutboxError::Unavailable
            );
            transaction.schedule(outbox, &message, delay).await?;
            brighter_core::__private::fault_point!("outbox.deposited");
            Ok(message.header.id)
        });
        stored
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
    }
}

/// How long it is until then.
fn until(at: SystemTime) -> Result<Duration, PostError> {
    match at.duration_since(SystemTime::now()) {
        Ok(delay) if !delay.is_zero() => checked(delay),
        _ => Err(PostError::NotInFuture { at }),
    }
}

fn checked(delay: Duration) -> Result<Duration, PostError> {
    // Further ahead no outbox can tell the time.
    if delay > NEVER {
        return Err(PostError::TooFar { delay });
    }
    Ok(delay)
}
