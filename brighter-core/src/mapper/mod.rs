//! Between a request and the message that carries it: [`MessageMapper`], and [`Postable`], which says which
//! mapper a request has.

mod cloud_events;
#[cfg(test)]
mod deep;
mod json;
mod postable;
mod reply;

pub use cloud_events::CloudEventsMapper;
pub use json::{JsonError, JsonMapper};
pub use postable::{Callable, Postable};
pub use reply::{JsonReply, ReplyForm};

use crate::error::BoxError;
use crate::message::{Message, MessageHeader, MessageType};
use crate::request::RequestKind;

/// Turns a request into a message, and a message into a request.
///
/// ```
/// use brighter::mapper::{MapError, MessageMapper};
/// use brighter::message::{Message, MessageBody, MessageHeader};
///
/// /// The request as plain text.
/// #[derive(Default)]
/// struct TextMapper;
///
/// struct Note(String);
///
/// impl MessageMapper<Note> for TextMapper {
///     fn to_message(&self, note: &Note, header: MessageHeader) -> Result<Message, MapError> {
///         let body = MessageBody::new(note.0.clone());
///         Ok(Message::new(header.with_content_type("text/plain; charset=utf-8"), body))
///     }
///
///     fn to_request(&self, message: &Message) -> Result<Note, MapError> {
///         let text = std::str::from_utf8(message.body.as_bytes()).map_err(MapError::new)?;
///         Ok(Note(text.to_owned()))
///     }
/// }
/// ```
///
/// A later version adds methods with a default only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not map messages of `{R}`",
    label = "does not implement `MessageMapper<{R}>`",
    note = "leave `#[message(mapper = …)]` out for JSON, or implement `brighter::mapper::MessageMapper<{R}>` for `{Self}`: `to_message` and `to_request`"
)]
pub trait MessageMapper<R>: Send + Sync + 'static {
    /// Makes the message. The header comes filled in: id, topic, kind, time, what the publication says, and, when
    /// it is posted from a handler, correlation, causation and trace; the mapper sets the content type, and may
    /// add to the bag or set attributes that depend on the request.
    ///
    /// # Errors
    /// The request cannot be written in the mapper's form. Nothing is posted.
    fn to_message(&self, request: &R, header: MessageHeader) -> Result<Message, MapError>;

    /// Makes the request.
    ///
    /// # Errors
    /// The body is not in the mapper's form, or does not fit the request. The message goes to the
    /// invalid-message channel at once, as it came, with the error as the reason.
    fn to_request(&self, message: &Message) -> Result<R, MapError>;

    /// The header that handlers see, where the body says more of the message than what carried it, as an envelope
    /// does; `None`, which is the default, where it does not.
    ///
    /// What becomes of the message is decided by the header that it came with.
    ///
    /// # Errors
    /// As [`to_request`](Self::to_request).
    fn header_of(&self, message: &Message) -> Result<Option<MessageHeader>, MapError> {
        let _ = message;
        Ok(None)
    }
}

/// Why a message could not be made from a request, or a request from a message.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct MapError(#[source] BoxError);

crate::__readable_debug!(MapError);

impl MapError {
    /// A mapping failed for this reason.
    pub fn new(reason: impl Into<BoxError>) -> Self {
        Self(reason.into())
    }
}

/// The kind of message that carries a kind of request.
impl From<RequestKind> for MessageType {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Command => Self::Command,
            RequestKind::Event => Self::Event,
            RequestKind::Document => Self::Document,
        }
    }
}
