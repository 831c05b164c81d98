//! [`Publication`]: the producer's side of a topic.

use std::fmt;
use std::marker::PhantomData;

use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::message::{
    Bag, BagValue, EventAttributes, MessageHeader, MessageType, NameError, RoutingKey,
};

/// A publication: where requests of type `R` are published, and with which headers. Every
/// [`Postable`] request has one by its derive; give the builder another to change it, or to have `build()` check
/// that this process can post `R` at all.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Serialize, Deserialize, Message)]
/// # #[message(topic = "Task.Reminder")]
/// # struct TaskReminder;
/// let publication = Publication::<TaskReminder>::new()
///     .topic("Staging.Task.Reminder")
///     .source("https://tasks.example/reminders")
///     .default_header("tenant", "north");
/// ```
pub struct Publication<R> {
    settings: PublicationSettings,
    request: PhantomData<fn() -> R>,
}

/// The settings of a [`Publication`], whatever its request is.
#[derive(Debug, Clone)]
pub(crate) struct PublicationSettings {
    topic: RoutingKey,
    event: EventAttributes,
    reply_to: Option<RoutingKey>,
    default_headers: Bag,
    in_order: bool,
}

impl<R: Postable> Publication<R> {
    /// A publication on the request's own topic.
    #[must_use]
    pub fn new() -> Self {
        Self {
            settings: PublicationSettings::of::<R>(),
            request: PhantomData,
        }
    }

    /// Sets the topic. The kind of event stays [that of the request](Postable::EVENT_TYPE).
    #[must_use]
    pub fn topic(mut self, topic: impl Into<RoutingKey>) -> Self {
        let event = &mut self.settings.event;
        event.event_type.get_or_insert_with(|| R::EVENT_TYPE.into());
        self.settings.topic = topic.into();
        self
    }

    /// Sets CloudEvents' `source`: a URI that names the part of the business that publishes. The default is [`DEFAULT_SOURCE`](brighter_core::message::DEFAULT_SOURCE).
    #[must_use]
    pub fn source(mut self, source: impl AsRef<str>) -> Self {
        self.settings.event = self.settings.event.with_source(source);
        self
    }

    /// Sets CloudEvents' `type`, in place of [the request's](Postable::EVENT_TYPE).
    #[must_use]
    pub fn event_type(mut self, event_type: impl AsRef<str>) -> Self {
        self.settings.event = self.settings.event.with_type(event_type);
        self
    }

    /// Sets CloudEvents' `subject`: what the events are about.
    #[must_use]
    pub fn subject(mut self, subject: impl AsRef<str>) -> Self {
        self.settings.event = self.settings.event.with_subject(subject);
        self
    }

    /// Sets CloudEvents' `dataschema`: the URI of the schema of the bodies.
    #[must_use]
    pub fn data_schema(mut self, data_schema: impl AsRef<str>) -> Self {
        self.settings.event = self.settings.event.with_data_schema(data_schema);
        self
    }

    /// Sets the topic to which answers to the requests are published.
    #[must_use]
    pub fn reply_to(mut self, topic: impl Into<RoutingKey>) -> Self {
        self.settings.reply_to = Some(topic.into());
        self
    }

    /// Adds a header to the bag of every message, unless its mapper sets a header of that name.
    #[must_use]
    pub fn default_header(mut self, name: impl Into<String>, value: impl Into<BagValue>) -> Self {
        self.settings.default_headers.insert(name, value);
        self
    }

    /// Publishes the messages strictly in the order of their deposits. Each is published when the broker has confirmed
    /// the one before it, also over failures and outages, and from whichever process. The order holds for the topic,
    /// and so for everything that is posted to it.
    ///
    /// The order is paid for in speed: a topic goes as fast as the broker confirms one message after another. While
    /// one cannot be sent, all after it wait. One that is [dead](crate::processor::ProcessorOutbox::dead) holds up the others no
    /// longer: they go on without it, and if it is revived it comes after those that went on. Of two transactions
    /// that overlap either may be the first.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.settings.in_order = true;
        self
    }

    pub(crate) fn into_settings(self) -> PublicationSettings {
        self.settings
    }
}

impl PublicationSettings {
    /// Returns the settings of the request itself.
    pub(crate) fn of<R: Postable>() -> Self {
        let mut event = EventAttributes::default();
        if R::EVENT_TYPE != R::TOPIC {
            event = event.with_type(R::EVENT_TYPE);
        }
        Self {
            topic: RoutingKey::from_static(R::TOPIC),
            event,
            reply_to: None,
            default_headers: Bag::default(),
            in_order: false,
        }
    }

    pub(crate) fn topic(&self) -> &RoutingKey {
        &self.topic
    }

    /// The topic, if its order is to be kept.
    pub(crate) fn topic_in_order(&self) -> Option<&RoutingKey> {
        self.in_order.then_some(&self.topic)
    }

    /// The header of a message under this id.
    pub(crate) fn header(&self, id: MessageId, message_type: MessageType) -> MessageHeader {
        let mut header = MessageHeader::new(id, &self.topic, message_type);
        header.event = self.event.clone();
        header.reply_to.clone_from(&self.reply_to);
        header.bag = self.default_headers.clone();
        header
    }

    /// Whether a broker can take what is said here.
    pub(crate) fn validate(&self) -> Result<(), NameError> {
        self.header(MessageId::new(), MessageType::Event).validate()
    }
}

impl<R: Postable> Default for Publication<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Publication<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication")
            .field("request", &std::any::type_name::<R>())
            .field("settings", &self.settings)
            .finish()
    }
}
