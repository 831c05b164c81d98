//! [`JsonMapper`]: a request as JSON, by serde.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MapError, MessageMapper};
use crate::message::{DEFAULT_CONTENT_TYPE, Message, MessageBody, MessageHeader};

/// Writes a request as JSON in UTF-8, and reads it back: the mapper of every request that names no other.
///
/// The form is serde's, so the request decides it: `#[serde(rename_all = "camelCase")]` for one that Brighter
/// in .NET shall read.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonMapper;

impl<R: Serialize + DeserializeOwned> MessageMapper<R> for JsonMapper {
    fn to_message(&self, request: &R, header: MessageHeader) -> Result<Message, MapError> {
        let body = serde_json::to_vec(request).map_err(MapError::new)?;
        Ok(Message::new(
            header.with_content_type(DEFAULT_CONTENT_TYPE),
            MessageBody::new(body),
        ))
    }

    fn to_request(&self, message: &Message) -> Result<R, MapError> {
        serde_json::from_slice(message.body.as_bytes()).map_err(MapError::new)
    }
}
