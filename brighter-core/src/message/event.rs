//! [`EventAttributes`]: the attributes of a message that CloudEvents defines.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{NameError, routing};

/// The source of a message whose publication names none. Every Brighter uses this one.
pub const DEFAULT_SOURCE: &str = "http://goparamore.io/";

/// The attributes of a message that [CloudEvents] defines, without its id and time. They travel with the message on
/// every transport.
///
/// No attribute is an empty text: the methods store an empty text as `None`.
///
/// ```
/// use brighter::message::EventAttributes;
///
/// let event = EventAttributes::default().with_type("Order.Placed.v2").with_subject("order-17");
/// assert_eq!(event.subject.as_deref(), Some("order-17"));
/// ```
///
/// [CloudEvents]: https://cloudevents.io
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EventAttributes {
    /// The `type` of the message; `None` if it is the topic: see
    /// [`MessageHeader::event_type`](super::MessageHeader::event_type).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Arc<str>>,
    /// The source of the message, as a URI; `None` for [`DEFAULT_SOURCE`]: see
    /// [`MessageHeader::source`](super::MessageHeader::source).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// The subject within the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// The URI of the schema of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_schema: Option<Arc<str>>,
}

impl EventAttributes {
    /// Sets the `type` of the message.
    #[must_use]
    pub fn with_type(mut self, event_type: impl AsRef<str>) -> Self {
        self.event_type = some(event_type.as_ref());
        self
    }

    /// Sets the source of the message, a URI.
    #[must_use]
    pub fn with_source(mut self, source: impl AsRef<str>) -> Self {
        self.source = some(source.as_ref());
        self
    }

    /// Sets the subject within the source.
    #[must_use]
    pub fn with_subject(mut self, subject: impl AsRef<str>) -> Self {
        self.subject = some(subject.as_ref());
        self
    }

    /// Sets the URI of the schema of the body.
    #[must_use]
    pub fn with_data_schema(mut self, data_schema: impl AsRef<str>) -> Self {
        self.data_schema = some(data_schema.as_ref());
        self
    }

    /// Returns whether no attribute is set.
    #[doc(hidden)]
    pub fn is_empty(&self) -> bool {
        self.parts().iter().all(|(_, part)| part.is_none())
    }

    /// Checks that every broker can carry the attributes.
    pub(super) fn validate(&self) -> Result<(), NameError> {
        self.parts()
            .into_iter()
            .filter_map(|(what, part)| Some((what, part.as_deref()?)))
            .try_for_each(|(what, part)| routing::check_text(what, part))
    }

    fn parts(&self) -> [(&'static str, &Option<Arc<str>>); 4] {
        [
            ("CloudEvents type", &self.event_type),
            ("CloudEvents source", &self.source),
            ("CloudEvents subject", &self.subject),
            ("CloudEvents data schema", &self.data_schema),
        ]
    }
}

fn some(text: &str) -> Option<Arc<str>> {
    (!text.is_empty()).then(|| text.into())
}
