//! What travels: a [`Message`], made of a [`MessageHeader`] and a [`MessageBody`].

mod bag;
mod event;
mod header;
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
pub use header::{DEFAULT_CONTENT_TYPE, MessageHeader, MessageType, PARTITION_KEY};
pub use routing::{ChannelName, MAX_NAME_BYTES, NameError, RoutingKey, SubscriptionName};

/// The content of a message: bytes that only its mapper understands.
///
/// Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageBody(Bytes);

impl MessageBody {
    /// A body of these bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, to read.
    #[must_use]
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// How many bytes there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Prints the size only: a body may hold what nobody should read in a log.
impl std::fmt::Debug for MessageBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MessageBody({} bytes)", self.0.len())
    }
}

/// What travels between processes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// What the framework needs to know of it.
    pub header: MessageHeader,
    /// What the application put in.
    pub body: MessageBody,
}

/// A handler that asks its context for the header gets it; to make one for each that does not would be a waste.
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
    /// A message of this header and body.
    #[must_use]
    #[inline]
    pub fn new(header: MessageHeader, body: MessageBody) -> Self {
        Self { header, body }
    }

    /// Whether it says the same as another with its id: the rest of the header tells of its making.
    #[doc(hidden)]
    pub fn is_same(&self, other: &Self) -> bool {
        self.header.topic == other.header.topic && self.body == other.body
    }
}
