//! [`MessageMapper`] converts between a request and its message, and [`Postable`] names the mapper of a request.

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

/// Converts a request to a message, and a message to a request.
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
/// A later version adds only methods with a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not map messages of `{R}`",
    label = "does not implement `MessageMapper<{R}>`",
    note = "leave `#[message(mapper = …)]` out for JSON, or implement `brighter::mapper::MessageMapper<{R}>` for `{Self}`: `to_message` and `to_request`"
)]
pub trait MessageMapper<R>: Send + Sync + 'static {
    /// Converts the request to a message. The header already has the id, topic, kind, time and the attributes of the
    /// publication. If the request is posted from a handler, the header also has correlation, causation and trace. The
    /// mapper sets the content type, and may add to the bag or set attributes that depend on the request.
    ///
    /// # Errors
    /// Returns an error if the request cannot be written in the mapper's form. Nothing is posted.
    fn to_message(&self, request: &R, header: MessageHeader) -> Result<Message, MapError>;

    /// Converts the message to a request.
    ///
    /// # Errors
    /// Returns an error if the body is not in the mapper's form, or does not fit the request. The unchanged message
    /// then goes to the invalid-message channel at once, with the error as the reason.
    fn to_request(&self, message: &Message) -> Result<R, MapError>;

    /// Returns the header that handlers see, if the body contains one, as an envelope does. Returns `None`, the
    /// default, if it does not.
    ///
    /// The header that the message arrived with still decides how the message is routed and settled.
    ///
    /// # Errors
    /// See [`to_request`](Self::to_request).
    fn header_of(&self, message: &Message) -> Result<Option<MessageHeader>, MapError> {
        let _ = message;
        Ok(None)
    }
}

/// Why a request and a message could not be converted.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct MapError(#[source] BoxError);

crate::__readable_debug!(MapError);

impl MapError {
    /// Returns an error with this reason.
    pub fn new(reason: impl Into<BoxError>) -> Self {
        Self(reason.into())
    }
}

/// Converts the kind of a request to the kind of its message.
impl From<RequestKind> for MessageType {
    fn from(kind: RequestKind) -> Self {
        match kind {
            RequestKind::Command => Self::Command,
            RequestKind::Event => Self::Event,
            RequestKind::Document => Self::Document,
        }
    }
}
