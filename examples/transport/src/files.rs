//! A message as the bytes of a file: its header as JSON, a line break, and its body.

use brighter_core::message::{Message, MessageBody, MessageHeader};

/// The bytes of a message. A header can always be written: its names are text, and its numbers are finite or null.
pub(crate) fn write(message: &Message) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(&message.header).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend_from_slice(message.body.as_bytes());
    bytes
}

/// The message of these bytes, or why they are none.
pub(crate) fn read(bytes: &[u8]) -> Result<Message, String> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or("the file has no header")?;
    let header: MessageHeader = serde_json::from_slice(&bytes[..end])
        .map_err(|error| format!("the header cannot be read: {error}"))?;
    Ok(Message::new(header, MessageBody::new(bytes[end + 1..].to_vec())))
}
