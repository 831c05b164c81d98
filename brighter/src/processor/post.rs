//! Out of the process: `post`, `deposit_post`, `clear_outbox`, `repost`.

use std::any::{Any, TypeId};
use std::sync::Arc;

use super::relay::Relay;
use super::{Archiver, CommandProcessor, NotSent, PostError};
use crate::policy::CircuitState;
use crate::publication::PublicationSettings;
use crate::telemetry::spans;
use brighter_core::__private::Op;
use brighter_core::channel::PublishError;
use brighter_core::context::Context;
use brighter_core::id::MessageId;
use brighter_core::inbox::InboxKey;
use brighter_core::mapper::{MessageMapper, Postable};
use brighter_core::message::{Message, MessageHeader, RoutingKey};
use brighter_core::outbox::{
    Arrival, Claimed, DeadMessage, MessageState, Outbox, OutboxStatus, OutboxTransaction, Selection,
};

/// What [`CommandProcessor::clear_outbox`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Cleared {
    /// How many messages the broker took.
    pub sent: usize,
    /// Those that it did not take, each with the reason. The outbox keeps them, and the sweeper tries them
    /// again.
    pub kept: Vec<(MessageId, PublishError)>,
}

impl CommandProcessor {
    /// Posts a request to whoever subscribes to it, in this process or another: stores it in the outbox, then
    /// sends it.
    ///
    /// A request that was posted before, with the same id and content, is not sent again: see
    /// [`repost`](Self::repost).
    ///
    /// Once it is in the outbox it is not lost. If the broker is away that is no error: the sweeper sends the
    /// message when the broker is back.
    ///
    /// # Errors
    /// `{error}` says what happened, [`report`](PostError::report) also why. It was not stored, or the broker would not take it, for instance because no channel wants its topic
    /// ([`PostError::NotSent`]; then the outbox keeps it).
    pub async fn post<R: Postable>(&self, request: R) -> Result<MessageId, PostError> {
        self.post_caused(&request, None).await
    }

    /// The same, from a handler, with its context: the message notes which message caused it
    /// ([`causation_id`](brighter_core::message::MessageHeader::causation_id)), to which conversation it belongs
    /// ([`correlation_id`](brighter_core::message::MessageHeader::correlation_id)), and to which [trace](Context::trace).
    ///
    /// What is posted like this is sent again when `#[use_inbox(on_duplicate = replay)]` replays its cause.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn post_with<R: Postable>(&self, request: R, cx: &Context) -> Result<MessageId, PostError> {
        self.post_caused(&request, Some(cx)).await
    }

    async fn post_caused<R: Postable>(
        &self,
        request: &R,
        cx: Option<&Context>,
    ) -> Result<MessageId, PostError> {
        let relay = self.relay()?;
        if !relay.has_broker() {
            return Err(PostError::NoBroker);
        }
        let op = self.creates::<R>("post", cx);
        let posted = op.run(self.post_within(&op, relay, request, cx)).await;
        posted.inspect_err(|error| op.failed(error.kind()))
    }

    async fn post_within<R: Postable>(
        &self,
        op: &Op,
        relay: &Relay,
        request: &R,
        cx: Option<&Context>,
    ) -> Result<MessageId, PostError> {
        let message = self.message_within(op, request, cx)?;
        let id = message.header.id.clone();
        if relay.in_order().contains(&message.header.topic) {
            brighter_core::__private::fault_point!(
                "outbox.deposit",
                brighter_core::outbox::OutboxError::Unavailable
            );
            let sent = relay.deposit_in_order(&message).await?;
            let refused = sent.into_iter().flat_map(|sent| sent.refused);
            return match refused.into_iter().find(|(refused, _)| *refused == id) {
                Some((id, error)) => Err(NotSent { id, error }.into()),
                None => Ok(id),
            };
        }
        let messages = [message];
        brighter_core::__private::fault_point!(
            "outbox.deposit",
            brighter_core::outbox::OutboxError::Unavailable
        );
        if relay.deposit_claimed(&messages).await?.contains(&id) {
            // Posted before. It was sent, or the sweeper will see to it.
            return Ok(id);
        }
        brighter_core::__private::fault_point!("outbox.deposited");
        let [message] = messages;
        match relay.send_one(&Claimed::new(message, 0)).await {
            Some(error) => Err(NotSent { id, error }.into()),
            None => Ok(id),
        }
    }

    /// Stores a request in the outbox as part of the caller's own transaction: it is posted if that commits,
    /// and was never there if it does not. The sweeper sends it; [`clear_outbox`](Self::clear_outbox) after the
    /// commit sends it at once.
    ///
    /// # Errors
    /// It was not stored. Nothing is sent before the commit, so the broker has no part in it.
    pub async fn deposit_post<T, R, O>(&self, transaction: &mut T, request: R) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_caused(transaction, &request, None).await
    }

    /// Stores many requests in one go, as [`deposit_post`](Self::deposit_post) does one: all of them or, after
    /// an error, none once the transaction is rolled back. Gives their ids in the same order.
    ///
    /// # Errors
    /// As [`deposit_post`](Self::deposit_post).
    pub async fn deposit_posts<T, R, O>(
        &self,
        transaction: &mut T,
        requests: impl IntoIterator<Item = R>,
    ) -> Result<Vec<MessageId>, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        let outbox = self.outbox_of::<O>()?;
        let ops = requests.into_iter().map(|request| {
            let op = self.creates::<R>("deposit", None);
            let message = self.message_within(&op, &request, None);
            message
                .inspect_err(|error| op.failed(error.kind()))
                .map(|message| (op, message))
        });
        // They are over when all are in the outbox.
        let (ops, messages): (Vec<_>, Vec<_>) = ops.collect::<Result<_, _>>()?;
        brighter_core::__private::fault_point!(
            "outbox.deposit",
            brighter_core::outbox::OutboxError::Unavailable
        );
        let deposited = transaction.deposit(outbox, &messages).await;
        if deposited.is_err() {
            ops.iter().for_each(|op| op.failed("outbox"));
        }
        deposited?;
        brighter_core::__private::fault_point!("outbox.deposited");
        Ok(messages.into_iter().map(|message| message.header.id).collect())
    }

    /// The same, from a handler, with its context: see [`post_with`](Self::post_with).
    ///
    /// # Errors
    /// As [`deposit_post`](Self::deposit_post).
    pub async fn deposit_post_with<T, R, O>(
        &self,
        transaction: &mut T,
        request: R,
        cx: &Context,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        self.deposit_caused(transaction, &request, Some(cx)).await
    }

    async fn deposit_caused<T, R, O>(
        &self,
        transaction: &mut T,
        request: &R,
        cx: Option<&Context>,
    ) -> Result<MessageId, PostError>
    where
        T: OutboxTransaction<O>,
        O: Outbox,
        R: Postable,
    {
        let outbox = self.outbox_of::<O>()?;
        let op = self.creates::<R>("deposit", cx);
        let deposited = op.run(async {
            let message = self.message_within(&op, request, cx)?;
            let id = message.header.id.clone();
            brighter_core::__private::fault_point!(
                "outbox.deposit",
                brighter_core::outbox::OutboxError::Unavailable
            );
            transaction.deposit(outbox, &[message]).await?;
            brighter_core::__private::fault_point!("outbox.deposited");
            Ok(id)
        });
        deposited
            .await
            .inspect_err(|error: &PostError| op.failed(error.kind()))
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

    /// Sends a message again that the outbox holds, whether it was sent before or not.
    ///
    /// # Errors
    /// The outbox does not hold it, or the broker would not take it.
    pub async fn repost(&self, id: &MessageId) -> Result<(), PostError> {
        let relay = self.relay()?;
        let broker = self.broker().ok_or(PostError::NoBroker)?;
        let messages = relay.inspection()?.get(std::slice::from_ref(id)).await?;
        let Some(message) = messages.first() else {
            return Err(PostError::NotFound { id: id.clone() });
        };
        spans::published(&**broker, message)
            .await
            .map_err(|source| PostError::NotReposted {
                id: id.clone(),
                source,
            })
    }

    /// Has those messages sent again that are selected, with the same ids and the same bytes: they are outstanding
    /// again, and the sweeper sends them, oldest first, as if for the first time. Says how many.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn repost_all(&self, which: &Selection) -> Result<u64, PostError> {
        let relay = self.relay()?;
        let again = relay.resending()?.send_again(which).await?;
        relay.bell.ring(Arrival::Here);
        Ok(again)
    }

    /// Archives now what is old enough, as an archiver in the background would. Says how many messages that were.
    ///
    /// # Errors
    /// The outbox cannot be written. What was archived before that is.
    pub async fn archive(&self, archiver: &Archiver) -> Result<u64, PostError> {
        let outbox = self.relay()?.archiving()?;
        Ok(archiver.archive(outbox, &self.0.ended).await?)
    }

    /// How full the outbox is.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn outbox_status(&self) -> Result<OutboxStatus, PostError> {
        Ok(self.relay()?.outbox().status().await?)
    }

    /// The topics that the sweeper of this process leaves alone, because the broker took nothing for them, and
    /// those that it tries again: see [`Sweeper::pause_topic_after`](crate::Sweeper::pause_topic_after).
    #[must_use]
    pub fn paused_topics(&self) -> Vec<(RoutingKey, CircuitState)> {
        let relay = self.0.relay.as_ref();
        relay.map(|relay| relay.circuits.paused()).unwrap_or_default()
    }

    /// Says how far a message that was posted has come: whether the broker has it, and if not, why not the last
    /// time. `None`, if the outbox does not hold it.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn message_state(&self, id: &MessageId) -> Result<Option<MessageState>, PostError> {
        Ok(self.relay()?.inspection()?.state(id).await?)
    }

    /// The messages that are not sent again because the broker refused them too often
    /// ([`Sweeper::attempts`](crate::Sweeper::attempts)), or because they cannot be read: the oldest first, at
    /// most `limit`.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn dead_messages(&self, limit: usize) -> Result<Vec<DeadMessage>, PostError> {
        Ok(self.relay()?.dead_messages()?.dead(limit).await?)
    }

    /// Makes dead messages outstanding again, as if they had never failed; the sweeper sends them. Says how many
    /// were dead.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn revive(&self, ids: &[MessageId]) -> Result<u64, PostError> {
        let relay = self.relay()?;
        let revived = relay.dead_messages()?.revive(ids).await?;
        relay.bell.ring(Arrival::Here);
        Ok(revived)
    }

    /// The outbox, if it is one for such transactions.
    pub(super) fn outbox_of<O: Outbox>(&self) -> Result<&O, PostError> {
        let outbox: &dyn Any = &**self.relay()?.outbox();
        outbox.downcast_ref::<O>().ok_or(PostError::WrongTransaction {
            wanted: std::any::type_name::<O>(),
        })
    }

    pub(super) fn relay(&self) -> Result<&Arc<Relay>, PostError> {
        self.0.relay.as_ref().ok_or(PostError::NoOutbox)
    }

    /// Begins to make a message of a request.
    pub(super) fn creates<R: Postable>(&self, operation: &'static str, cx: Option<&Context>) -> Op {
        let publication = self.0.publications.get(&TypeId::of::<R>());
        let topic = publication.map_or(R::TOPIC, |publication| publication.topic().as_str());
        let system = self.broker().map(|broker| broker.system());
        spans::create(operation, system, topic, cx)
    }

    /// The message of a request, with the header that its publication says and, if there is a context, its cause. It is
    /// for those who deposit it by means of their own: see `store::DepositStatement`.
    ///
    /// # Errors
    /// The mapper cannot make a message of the request, or no broker would take it.
    pub fn to_message<R: Postable>(&self, request: &R, cx: Option<&Context>) -> Result<Message, PostError> {
        let op = self.creates::<R>("deposit", cx);
        let message = self.message_within(&op, request, cx);
        message.inspect_err(|error| op.failed(error.kind()))
    }

    pub(super) fn message_within<R: Postable>(
        &self,
        op: &Op,
        request: &R,
        cx: Option<&Context>,
    ) -> Result<Message, PostError> {
        self.message_for(op, request, cx, |_| {})
    }

    /// The same, with a header that is changed before the mapper sees it.
    pub(super) fn message_for<R: Postable>(
        &self,
        op: &Op,
        request: &R,
        cx: Option<&Context>,
        change: impl FnOnce(&mut MessageHeader),
    ) -> Result<Message, PostError> {
        let name = std::any::type_name::<R>();
        let id = request.id().cloned().unwrap_or_else(MessageId::new);
        let kind = R::KIND.into();
        let mut header = match self.0.publications.get(&TypeId::of::<R>()) {
            Some(publication) => publication.header(id, kind),
            None => PublicationSettings::of::<R>().header(id, kind),
        };
        if let Some(cx) = cx {
            // In process the inbox, where there is one, knows which request is being handled.
            let key = cx.get::<InboxKey>();
            let causation = cx.message_id().or(key.as_ref().map(|key| &key.id));
            header.causation_id = causation.cloned();
            header.correlation_id = cx.correlation_id().or(causation).cloned();
            header.trace = cx.trace().clone();
        }
        if let Some(trace) = op.trace() {
            header.trace = trace.with_baggage_of(&header.trace);
        }
        change(&mut header);
        let message = R::Mapper::default()
            .to_message(request, header)
            .map_err(|source| PostError::Map {
                request: name,
                source,
            })?;
        // Before it is stored: what no broker takes would stay in the outbox for ever.
        message.header.validate().map_err(|source| PostError::Name {
            request: name,
            source,
        })?;
        spans::made(op, &message, self.0.bodies_in_spans);
        Ok(message)
    }
}
