//! Out of the process: [`Post`], and `clear_outbox`.

use std::future::IntoFuture;

use futures_util::future::BoxFuture;

use super::error::NoProcessor;
use super::options::{PostOptions, option_methods};
use super::relay::{Relay, Sent};
use super::{CommandProcessor, NotSent, PostError};
use brighter_core::__private::{Op, fault_point};
use brighter_core::channel::PublishError;
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::outbox::Claimed;

/// A request that is posted when this is awaited: see [`CommandProcessor::post`].
#[derive(Debug)]
#[must_use = "nothing is posted until this is awaited"]
pub struct Post<'a, R> {
    pub(super) processor: Result<CommandProcessor, NoProcessor>,
    pub(super) request: R,
    pub(super) options: PostOptions<'a>,
}

impl<'a, R: Postable> Post<'a, R> {
    pub(super) fn new(
        processor: Result<CommandProcessor, NoProcessor>,
        request: R,
        options: PostOptions<'a>,
    ) -> Self {
        Self {
            processor,
            request,
            options,
        }
    }

    option_methods!();
}

impl<'a, R: Postable> IntoFuture for Post<'a, R> {
    type Output = Result<MessageId, PostError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.processor?.post_with(&self.request, &self.options).await })
    }
}

/// The result of [`CommandProcessor::clear_outbox`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Cleared {
    /// How many messages the broker took.
    pub sent: usize,
    /// The messages that the broker did not take, each with the reason. The outbox keeps them, and the sweeper tries
    /// them again.
    pub kept: Vec<(MessageId, PublishError)>,
}

impl CommandProcessor {
    /// Posts a request to all that subscribe to it, in this process or another: stores it in the outbox, then
    /// sends it. Returns the id of its message.
    ///
    /// What is returned is awaited, and takes options before: when, to which topic, with which headers.
    ///
    /// ```
    /// use std::time::Duration;
    /// use brighter::prelude::*;
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(topic = "Task.Reminder")]
    /// struct TaskReminder { task: String }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let broker = InMemoryBroker::new();
    /// # use brighter::channel::{Broker, Channel};
    /// # broker.declare(&Channel::new("reminders", "Task.Reminder")).await?;
    /// # broker.declare(&Channel::new("urgent", "Task.Urgent")).await?;
    /// let processor = CommandProcessor::builder()
    ///     .broker(broker)
    ///     .outbox(InMemoryOutbox::new())
    ///     .build()?;
    /// processor.post(TaskReminder { task: "milk".into() }).await?;
    /// processor.post(TaskReminder { task: "fire".into() }).topic("Task.Urgent").priority(9).await?;
    ///
    /// let tomorrow = Duration::from_secs(24 * 60 * 60);
    /// let id = processor.post(TaskReminder { task: "bread".into() }).after(tomorrow).await?;
    /// assert!(processor.outbox().cancel(&id).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A request that was posted before, with the same id and content, is not sent again: see
    /// [`repost`](super::ProcessorOutbox::repost). One that waits for its time can be
    /// [cancelled](super::ProcessorOutbox::cancel) or [rescheduled](super::ProcessorOutbox::reschedule) until then.
    ///
    /// A message that is in the outbox is not lost. If the broker is away that is no error: the sweeper sends the
    /// message when the broker is back. What happens to a message that waits for its time is told by
    /// [`state`](super::ProcessorOutbox::state).
    ///
    /// # Errors
    /// Returns an error if the message cannot be made or stored, or if the broker refuses it, for instance because no
    /// channel wants its topic ([`PostError::NotSent`]; then the outbox keeps it). `{error}` says what failed,
    /// [`report`](PostError::report) also why.
    pub fn post<'a, R: Postable>(&self, request: R) -> Post<'a, R> {
        Post::new(Ok(self.clone()), request, PostOptions::default())
    }

    /// Sends these messages now, if they are in the outbox and nobody else is sending them.
    ///
    /// # Errors
    /// The outbox cannot be read. What the broker would not take is no error here: see [`Cleared::kept`].
    pub async fn clear_outbox(&self, ids: &[MessageId]) -> Result<Cleared, PostError> {
        let relay = self.relay()?;
        if !relay.has_broker() {
            return Err(PostError::NoBroker);
        }
        let sent = relay.clear(ids).await?;
        let kept = sent.outages.into_iter().chain(sent.refused).collect();
        Ok(Cleared {
            sent: sent.done.len(),
            kept,
        })
    }

    async fn post_with<R: Postable>(
        &self,
        request: &R,
        options: &PostOptions<'_>,
    ) -> Result<MessageId, PostError> {
        let (relay, delay) = (self.relay()?, options.delay()?);
        if delay.is_none() && !relay.has_broker() {
            return Err(PostError::NoBroker);
        }
        let operation = if delay.is_none() { "post" } else { "schedule" };
        let op = self.creates::<R>(operation, options);
        let posted = op.run(async {
            let Some(delay) = delay else {
                return self.send_now(&op, relay, request, options).await;
            };
            let message = self.message_within(&op, request, options)?;
            fault_point!("outbox.deposit", brighter_core::outbox::OutboxError::Unavailable);
            relay.scheduling()?.schedule(&message, delay).await?;
            fault_point!("outbox.deposited");
            Ok(message.header.id)
        });
        posted
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
    }

    async fn send_now<R: Postable>(
        &self,
        op: &Op,
        relay: &Relay,
        request: &R,
        options: &PostOptions<'_>,
    ) -> Result<MessageId, PostError> {
        let message = self.message_within(op, request, options)?;
        let id = message.header.id.clone();
        if relay.in_order().contains(&message.header.topic) {
            fault_point!("outbox.deposit", brighter_core::outbox::OutboxError::Unavailable);
            let Some(sent) = relay.deposit_in_order(&message).await? else {
                return self.posted_before(relay, id).await;
            };
            return taken(sent, id);
        }
        let messages = [message];
        fault_point!("outbox.deposit", brighter_core::outbox::OutboxError::Unavailable);
        if relay.deposit_claimed(&messages).await?.contains(&id) {
            return self.posted_before(relay, id).await;
        }
        fault_point!("outbox.deposited");
        let [message] = messages;
        match relay.send_one(&Claimed::new(message, 0)).await {
            Some(error) => Err(NotSent { id, error }.into()),
            None => Ok(id),
        }
    }

    /// The outbox holds the message already: it was sent, or the sweeper will see to it. Without one here it is sent
    /// now, unless somebody else is at it.
    pub(super) async fn posted_before(&self, relay: &Relay, id: MessageId) -> Result<MessageId, PostError> {
        if self.0.health.sweeps() {
            return Ok(id);
        }
        let sent = relay.clear(std::slice::from_ref(&id)).await?;
        taken(sent, id)
    }
}

/// Returns the broker's answer about this message, if it was sent.
pub(super) fn taken(sent: Sent, id: MessageId) -> Result<MessageId, PostError> {
    match sent.refused.into_iter().find(|(refused, _)| *refused == id) {
        Some((id, error)) => Err(NotSent { id, error }.into()),
        None => Ok(id),
    }
}
