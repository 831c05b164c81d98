//! One message of a desk as a line of JSON, for export and import.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{DeskMessage, NewDeskMessage};
use crate::channel::RejectionKind;
use crate::error::BoxError;
use crate::message::{ChannelName, Message, MessageBody, MessageHeader};

/// A message with what an import needs. The body is text where it is UTF-8, and base64 elsewhere.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    source: String,
    channel: Option<String>,
    kind: String,
    header: MessageHeader,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl DeskMessage {
    /// Returns the message as one line of JSON, without the line break. [`NewDeskMessage::from_line`] reads it.
    ///
    /// # Errors
    /// Returns an error if the header cannot be written as JSON.
    pub fn to_line(&self) -> Result<String, BoxError> {
        let body = self.message.body.as_bytes();
        let text = std::str::from_utf8(body).ok().map(str::to_owned);
        let line = Line {
            source: self.row.source.as_str().to_owned(),
            channel: self.row.channel.as_ref().map(|name| name.as_str().to_owned()),
            kind: self.row.kind.as_str().to_owned(),
            header: self.message.header.clone(),
            body_base64: text.is_none().then(|| BASE64_STANDARD.encode(body)),
            body: text,
        };
        Ok(serde_json::to_string(&line)?)
    }
}

impl NewDeskMessage {
    /// Reads a line of an export.
    ///
    /// # Errors
    /// Returns an error if the line is no message.
    pub fn from_line(line: &str) -> Result<Self, BoxError> {
        let line: Line = serde_json::from_str(line)?;
        let body = match (line.body, line.body_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => BASE64_STANDARD.decode(text)?,
            _ => return Err("it has one of `body` and `body_base64`".into()),
        };
        let kinds = [RejectionKind::DeadLetter, RejectionKind::Invalid];
        let kind = kinds.into_iter().find(|kind| kind.as_str() == line.kind);
        let kind = kind.ok_or("`kind` is neither `DeliveryError` nor `Unacceptable`")?;
        let message = Message::new(line.header, MessageBody::new(body));
        Self::new(
            message,
            line.source.into(),
            line.channel.map(ChannelName::from),
            kind,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::desk::{DeskId, DeskRow};
    use crate::message::MessageType;

    #[test]
    fn any_body_comes_back_from_its_line() {
        for body in [&b"{\"a\":1}"[..], b"\0\n\xff\xfe", b""] {
            let header = MessageHeader::new("one".into(), "Order.Placed", MessageType::Event);
            let message = Message::new(header, MessageBody::new(body.to_vec()));
            let new = NewDeskMessage::new(message, "a.dlq".into(), Some("a".into()), RejectionKind::Invalid)
                .unwrap();
            let row = DeskRow::new(DeskId::new(1), &new, SystemTime::now());
            let line = DeskMessage::new(row, new.message.clone(), Vec::new())
                .to_line()
                .unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(NewDeskMessage::from_line(&line).unwrap(), new);
        }
        NewDeskMessage::from_line("{}").unwrap_err();
    }
}
