//! How a request becomes a message.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::options::PostOptions;
use super::relay::Relay;
use super::{CommandProcessor, PostError};
use crate::publication::PublicationSettings;
use crate::telemetry::spans;
use brighter_core::__private::Op;
use brighter_core::context::Context;
use brighter_core::id::MessageId;
use brighter_core::inbox::InboxKey;
use brighter_core::mapper::{MessageMapper, Postable};
use brighter_core::message::{Message, MessageHeader};
use brighter_core::outbox::Outbox;

/// Returns the message whose handling makes requests in this context.
pub(super) fn cause_of(cx: &Context) -> Option<MessageId> {
    // In process the inbox, where there is one, knows which request is being handled.
    let key = || cx.get::<InboxKey>().map(|key| key.id.clone());
    let message = cx.message_id().cloned();
    message.or_else(key).or_else(|| cx.cause().cloned())
}

impl CommandProcessor {
    /// Returns the message of a request, with the header that its publication says and, if there is a context, its
    /// cause. It is for those who deposit it by means of their own: see `store::DepositStatement`.
    ///
    /// # Errors
    /// The mapper cannot make a message of the request, or no broker would take it.
    pub fn to_message<R: Postable>(&self, request: &R, cx: Option<&Context>) -> Result<Message, PostError> {
        let options = PostOptions::caused_by(cx);
        let op = self.creates::<R>("deposit", &options);
        let message = self.message_within(&op, request, &options);
        message.inspect_err(|error| op.failed(error.kind()))
    }

    /// Begins to make a message of a request.
    pub(super) fn creates<R: Postable>(&self, operation: &'static str, options: &PostOptions<'_>) -> Op {
        let publication = self.0.publications.get(&TypeId::of::<R>());
        let topic = match &options.topic {
            Some(topic) => topic.as_str(),
            None => publication.map_or(R::TOPIC, |publication| publication.topic().as_str()),
        };
        let system = self.broker().map(|broker| broker.system());
        spans::create(operation, system, topic, options.cx)
    }

    pub(super) fn message_within<R: Postable>(
        &self,
        op: &Op,
        request: &R,
        options: &PostOptions<'_>,
    ) -> Result<Message, PostError> {
        self.message_for(op, request, options, |_| {})
    }

    /// Returns the message of a request, whose header is changed before the mapper sees it.
    pub(super) fn message_for<R: Postable>(
        &self,
        op: &Op,
        request: &R,
        options: &PostOptions<'_>,
        change: impl FnOnce(&mut MessageHeader),
    ) -> Result<Message, PostError> {
        let request_name = type_name::<R>();
        let id = request.id().cloned().unwrap_or_else(MessageId::new);
        let kind = R::KIND.into();
        let mut header = match self.0.publications.get(&TypeId::of::<R>()) {
            Some(publication) => publication.header(id, kind),
            None => PublicationSettings::of::<R>().header(id, kind),
        };
        options.apply(&mut header, R::EVENT_TYPE);
        if let Some(cx) = options.cx {
            let causation = cause_of(cx);
            header.correlation_id = cx.correlation_id().or(causation.as_ref()).cloned();
            header.causation_id = causation;
            header.trace = cx.trace().clone();
        }
        if let Some(trace) = op.trace() {
            header.trace = trace.with_baggage_of(&header.trace);
        }
        change(&mut header);
        let message = R::Mapper::default()
            .to_message(request, header)
            .map_err(|source| PostError::Map {
                request: request_name,
                source,
            })?;
        // Before it is stored: a message that no broker takes would stay in the outbox forever.
        message.header.validate().map_err(|source| PostError::Name {
            request: request_name,
            source,
        })?;
        for (name, value) in message.header.bag.iter() {
            if let Some(number) = value.as_f64().filter(|number| !number.is_finite()) {
                return Err(PostError::NotFinite {
                    request: request_name,
                    name: name.to_owned(),
                    number,
                });
            }
        }
        if let Some(priority) = message.header.priority {
            self.check_priority(priority)?;
        }
        spans::made(op, &message, self.0.span_body_limit);
        Ok(message)
    }

    /// Without a broker it is not known yet who sends it.
    fn check_priority(&self, priority: u8) -> Result<(), PostError> {
        let Some(broker) = self.broker() else {
            return Ok(());
        };
        let highest = broker.highest_priority();
        if highest.is_some_and(|highest| priority <= highest) {
            return Ok(());
        }
        Err(PostError::Priority {
            priority,
            highest,
            system: broker.system(),
        })
    }

    /// The outbox, if it is one for such transactions.
    pub(super) fn outbox_of<O: Outbox>(&self) -> Result<&O, PostError> {
        let outbox: &dyn Any = &**self.relay()?.outbox();
        outbox.downcast_ref::<O>().ok_or(PostError::WrongTransaction {
            wanted: type_name::<O>(),
        })
    }

    /// The outbox itself, if there is one.
    #[cfg(feature = "testing")]
    pub(crate) fn stored_in(&self) -> Option<&Arc<dyn Outbox>> {
        self.0.relay.as_ref().map(|relay| relay.outbox())
    }

    pub(super) fn relay(&self) -> Result<&Arc<Relay>, PostError> {
        // What the caller does may need them: a post for later is sent by the sweeper alone.
        for task in &self.0.background {
            task.keep_going();
        }
        self.0.relay.as_ref().ok_or(PostError::NoOutbox)
    }
}
