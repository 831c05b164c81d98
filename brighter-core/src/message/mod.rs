//! [`Message`]: a [`MessageHeader`] and a [`MessageBody`], sent between processes.

mod bag;
pub(crate) mod content;
mod event;
mod header;
#[doc(hidden)]
pub mod media_type;
#[doc(hidden)]
pub mod rfc3339;
mod routing;
mod text;

use std::any::{Any, TypeId};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::context::Brought;

pub use bag::{Bag, BagValue};
pub use event::{DEFAULT_SOURCE, EventAttributes};
pub use header::{MessageHeader, MessageType, PARTITION_KEY};
pub use media_type::DEFAULT_CONTENT_TYPE;
pub use routing::{ChannelName, MAX_NAME_BYTES, NameError, RoutingKey, SubscriptionName};

/// The content of a message: bytes that only its mapper understands.
///
/// Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageBody(Bytes);

impl MessageBody {
    /// Returns a body of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes as a slice.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes, shared without a copy.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Returns the number of bytes.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the body is empty.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Prints only the size: a body may contain data that must not be logged.
impl std::fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageBody({} bytes)", self.0.len())
    }
}

/// A message between processes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The metadata of the message.
    pub header: MessageHeader,
    /// The content of the message.
    pub body: MessageBody,
}

/// The header is put in the bag of a context only when a handler asks for it; most handlers do not.
impl Brought for Message {
    fn key(&self) -> TypeId {
        TypeId::of::<MessageHeader>()
    }

    fn value(&self, handled_count: u32) -> Arc<dyn Any + Send + Sync> {
        let mut header = self.header.clone();
        header.handled_count = handled_count;
        Arc::new(header)
    }
}

impl Message {
    /// Returns a message of this header and body.
    #[must_use]
    #[inline]
    pub fn new(header: MessageHeader, body: MessageBody) -> Self {
        Self { header, body }
    }

    /// Returns whether it says the same as another with its id: it has the same topic and the same content. The rest of the
    /// header tells of its making. What the same content is says [`Fingerprint`](crate::inbox::Fingerprint).
    ///
    /// An outbox asks this of a message whose id it knows, and answers
    /// [`IdInUse`](crate::outbox::OutboxError::IdInUse) if it is another.
    ///
    /// ```
    /// use brighter::Message;
    /// use brighter::message::{MessageBody, MessageHeader, MessageType};
    ///
    /// let header = MessageHeader::new("order-17".into(), "Order.Placed", MessageType::Event);
    /// let message = |body: &'static str| Message::new(header.clone(), MessageBody::new(body));
    /// assert!(message(r#"{"a":1,"b":2}"#).is_same(&message(r#"{ "b": 2, "a": 1 }"#)));
    /// assert!(!message(r#"{"a":1}"#).is_same(&message(r#"{"a":2}"#)));
    /// ```
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.header.topic == other.header.topic && self.is_same_content(other.body.as_bytes())
    }

    /// Returns whether its body says the same as this one, which has the same content type.
    #[must_use]
    pub fn is_same_content(&self, body: &[u8]) -> bool {
        let digest = |body: &[u8]| content::digest(&self.header.content_type, body);
        let own = self.body.as_bytes();
        own == body || digest(own).is_some_and(|own| digest(body) == Some(own))
    }
}
