//! [`Publication`]: the producer's side of a topic.

use std::fmt;
use std::marker::PhantomData;

use crate::mapper::Postable;
use crate::message::RoutingKey;

/// Says where requests of type `R` are published. Every [`Postable`] request has one by its derive; give the
/// builder another to change it, or to have `build()` check that this process can post `R` at all.
///
/// ```
/// # use brighter::prelude::*;
/// # #[derive(Serialize, Deserialize, Message)]
/// # #[message(topic = "Task.Reminder")]
/// # struct TaskReminder;
/// let publication = Publication::<TaskReminder>::new().topic("Staging.Task.Reminder");
/// ```
pub struct Publication<R> {
    topic: RoutingKey,
    request: PhantomData<fn() -> R>,
}

impl<R: Postable> Publication<R> {
    /// A publication on the request's own topic.
    #[must_use]
    pub fn new() -> Self {
        Self {
            topic: RoutingKey::from(R::TOPIC),
            request: PhantomData,
        }
    }

    /// The same publication on another topic.
    #[must_use]
    pub fn topic(mut self, topic: impl Into<RoutingKey>) -> Self {
        self.topic = topic.into();
        self
    }

    pub(crate) fn into_topic(self) -> RoutingKey {
        self.topic
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
            .field("topic", &self.topic)
            .finish()
    }
}
