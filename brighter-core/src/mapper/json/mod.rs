//! [`JsonMapper`]: a request as JSON, by serde.

mod error;
mod plain;
mod read;

use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MapError, MessageMapper};
use crate::message::{DEFAULT_CONTENT_TYPE, Message, MessageBody, MessageHeader};

pub use error::JsonError;
pub(super) use read::read;

/// Writes a request as JSON in UTF-8, and reads it back. It is the mapper of every request that names no other.
///
/// serde defines the form, so the request controls it: use `#[serde(rename_all = "camelCase")]` for a request that
/// Brighter for .NET reads.
///
/// What is written can be read again: a number that is not finite, and a request that is nested more than 127 levels deep,
/// is a [`JsonError`] when it is posted. Read is UTF-8 with a byte order mark or without.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonMapper;

impl<R: Serialize + DeserializeOwned> MessageMapper<R> for JsonMapper {
    fn to_message(&self, request: &R, header: MessageHeader) -> Result<Message, MapError> {
        let body = write_body(request)?;
        Ok(Message::new(header.with_content_type(DEFAULT_CONTENT_TYPE), body))
    }

    fn to_request(&self, message: &Message) -> Result<R, MapError> {
        read_body(&message.body)
    }
}

pub(super) fn write_body<T: Serialize>(value: &T) -> Result<MessageBody, MapError> {
    write(value).map(MessageBody::new)
}

pub(super) fn read_body<T: DeserializeOwned>(body: &MessageBody) -> Result<T, MapError> {
    read(body.as_bytes())
}

thread_local! {
    /// The buffer of this thread, so that each body is one allocation of its exact size.
    static PAPER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The largest buffer that a thread keeps.
const LARGEST_KEPT: usize = 64 * 1024;

fn write<R: Serialize>(request: &R) -> Result<Bytes, MapError> {
    // Taken out of the cell, because a request may serialize another while it is written.
    let mut paper = PAPER.take();
    paper.clear();
    let paper = plain::write(paper, request)?;
    let body = Bytes::copy_from_slice(&paper);
    if paper.capacity() <= LARGEST_KEPT {
        PAPER.set(paper);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serializes another request while it is serialized.
    struct Nested;

    impl Serialize for Nested {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let inner = write(&[1, 2]).map_err(serde::ser::Error::custom)?;
            serializer.serialize_bytes(&inner)
        }
    }

    #[test]
    fn nested_writing_does_not_disturb_the_outer() {
        assert_eq!(write(&("a", Nested)).unwrap(), r#"["a",[91,49,44,50,93]]"#);
        assert_eq!(write(&"b").unwrap(), r#""b""#);
    }

    #[test]
    fn room_for_something_large_is_given_back() {
        let large = "x".repeat(2 * LARGEST_KEPT);
        assert_eq!(write(&large).unwrap().len(), large.len() + 2);
        assert!(PAPER.take().capacity() <= LARGEST_KEPT);
    }
}
