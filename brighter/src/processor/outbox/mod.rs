//! [`ProcessorOutbox`]: the administration of a processor's outbox.

mod change;

pub use change::{Cancel, Reschedule, Rescheduled, Within};

use super::{Archiver, CommandProcessor, PostError};
use crate::policy::CircuitState;
use brighter_core::id::MessageId;
use brighter_core::message::RoutingKey;
use brighter_core::outbox::{Arrival, DeadMessage, MessageState, OutboxStatus, ScheduledMessage, Selection};

/// The administration of the outbox of a processor: see [`CommandProcessor::outbox`].
///
/// ```
/// # use brighter::prelude::*;
/// # async fn example(processor: CommandProcessor) -> Result<(), BoxError> {
/// for dead in processor.outbox().dead(100).await? {
///     println!("{} was given up: {}", dead.id, dead.last_error);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ProcessorOutbox<'a> {
    processor: &'a CommandProcessor,
}

impl CommandProcessor {
    /// Returns the administration of the outbox: what it holds, what is dead, what waits for its time. Without an
    /// outbox each of its methods is [`PostError::NoOutbox`].
    #[must_use]
    pub fn outbox(&self) -> ProcessorOutbox<'_> {
        ProcessorOutbox { processor: self }
    }
}

impl<'a> ProcessorOutbox<'a> {
    /// Returns how full the outbox is.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn status(&self) -> Result<OutboxStatus, PostError> {
        Ok(self.processor.relay()?.outbox().status().await?)
    }

    /// Returns how far a message that was posted has come: whether the broker has it, and if not, why not the last
    /// time. `None`, if the outbox does not hold it.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn state(&self, id: &MessageId) -> Result<Option<MessageState>, PostError> {
        Ok(self.processor.relay()?.inspection()?.state(id).await?)
    }

    /// Returns the topics that the sweeper of this process leaves alone, because the broker took nothing for them, and
    /// those that it tries again: see [`Sweeper::pause_topic_after`](crate::Sweeper::pause_topic_after).
    #[must_use]
    pub fn paused_topics(&self) -> Vec<(RoutingKey, CircuitState)> {
        let relay = self.processor.relay();
        relay.map(|relay| relay.circuits.paused()).unwrap_or_default()
    }

    /// Returns the messages that are not sent again because the broker refused them too often
    /// ([`Sweeper::attempts`](crate::Sweeper::attempts)), or because they cannot be read: the oldest first, at
    /// most `limit`.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, PostError> {
        Ok(self.processor.relay()?.dead_messages()?.dead(limit).await?)
    }

    /// Makes dead messages outstanding again, as if they had never failed; the sweeper sends them. Returns how many
    /// were dead.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn revive(&self, ids: &[MessageId]) -> Result<u64, PostError> {
        let relay = self.processor.relay()?;
        let revived = relay.dead_messages()?.revive(ids).await?;
        relay.bell.ring(Arrival::Here);
        Ok(revived)
    }

    /// Sends a message again that the outbox holds, whether it was sent before or not.
    ///
    /// # Errors
    /// The outbox does not hold it, or the broker would not take it.
    pub async fn repost(&self, id: &MessageId) -> Result<(), PostError> {
        let relay = self.processor.relay()?;
        let broker = self.processor.broker().ok_or(PostError::NoBroker)?;
        let messages = relay.inspection()?.get(std::slice::from_ref(id)).await?;
        let Some(message) = messages.first() else {
            return Err(PostError::NotFound { id: id.clone() });
        };
        broker
            .publish(message)
            .await
            .map_err(|source| PostError::NotReposted {
                id: id.clone(),
                source,
            })
    }

    /// Marks the selected messages as outstanding, so that the sweeper sends them again, oldest first, with the same ids
    /// and the same bytes. Returns how many.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn repost_all(&self, which: &Selection) -> Result<u64, PostError> {
        let relay = self.processor.relay()?;
        let again = relay.resending()?.send_again(which).await?;
        relay.bell.ring(Arrival::Here);
        Ok(again)
    }

    /// Archives now what is old enough, as an archiver in the background does. Returns how many messages that were.
    ///
    /// # Errors
    /// The outbox cannot be written. What was archived before that is.
    pub async fn archive(&self, archiver: &Archiver) -> Result<u64, PostError> {
        let outbox = self.processor.relay()?.archiving()?;
        Ok(archiver.archive(outbox, &self.processor.0.ended).await?)
    }

    /// Returns the messages that wait for their time: the first to be due first, at most `limit`.
    ///
    /// # Errors
    /// The outbox cannot be read, or cannot list them.
    pub async fn scheduled(&self, limit: usize) -> Result<Vec<ScheduledMessage>, PostError> {
        Ok(self.processor.relay()?.scheduling()?.scheduled(limit).await?)
    }

    /// Takes back a message that waits for its time, when this is awaited. Returns `false` if its time has come, so that
    /// it was or will be sent, or if the outbox does not know it.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # async fn example(processor: CommandProcessor, outbox: InMemoryOutbox, reminder: MessageId) -> Result<(), BoxError> {
    /// let mut tx = outbox.begin();
    /// // … the order is paid for, in the same transaction
    /// processor.outbox().cancel(&reminder).within(&mut tx).await?;
    /// tx.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub fn cancel(&self, id: &'a MessageId) -> Cancel<'a> {
        Cancel::new(self.processor, id)
    }

    /// Changes when a scheduled message is sent: await `reschedule(&id).after(delay)` or `.at(time)`. Returns `false` if
    /// the message is already due, or if the outbox does not know it.
    ///
    /// # Errors
    /// The time is not in the future or too far away, or the outbox cannot be written.
    pub fn reschedule(&self, id: &'a MessageId) -> Reschedule<'a> {
        Reschedule::new(self.processor, id)
    }
}
