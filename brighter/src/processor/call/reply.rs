//! What a reply is on the wire, on both sides.

use uuid::Uuid;

use super::CallError;
use brighter_core::__private::escaped;
use brighter_core::id::MessageId;
use brighter_core::message::{
    BagValue, DEFAULT_CONTENT_TYPE, Message, MessageBody, MessageHeader, MessageType, RoutingKey,
};

/// The beginning of our reply addresses. A UUID follows.
const PREFIX: &str = "brighter.reply.";

/// In the bag of what is not the reply itself.
const STATUS: &str = "brighter-reply";
const FAILED: &str = "failed";
const REPEATED: &str = "handled_before";

/// How much of a reason is sent, in characters.
const REASON_SENT: usize = 2_000;

/// The reply to a caller that waits.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The reply.
    Body(MessageBody),
    /// There will be none, for this reason.
    Failed(String),
    /// The request was handled before.
    Repeated,
}

/// A new address.
pub(super) fn new_address() -> RoutingKey {
    format!("{PREFIX}{}", MessageId::new()).into()
}

/// The kind of caller that waits at a reply address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// A processor of ours.
    Brighter,
    /// One of Brighter for .NET, which names a channel for each call, and knows only replies.
    DotNet,
}

/// Returns the kind of caller that waits at an address; `None` if it is no reply address. What a message names is published to, so that it must be nothing
/// that others subscribe to.
fn who_waits(address: &RoutingKey) -> Option<Waits> {
    let text = address.as_str();
    let (waits, id) = match text.strip_prefix(PREFIX) {
        Some(id) => (Waits::Brighter, id),
        None => (Waits::DotNet, text),
    };
    // In its usual form, of 36 characters, and no other.
    (id.len() == 36 && Uuid::try_parse(id).is_ok()).then_some(waits)
}

/// Whether somebody waits for a reply to this message. An answer to any other is nobody's business.
pub(crate) fn is_waited_for(header: &MessageHeader) -> bool {
    header.reply_to.as_ref().and_then(who_waits).is_some()
}

/// The message that answers this one; `None`, if its sender would not understand it.
pub(crate) fn answer(header: &MessageHeader, reply: Reply) -> Option<Message> {
    let address = header.reply_to.as_ref()?;
    let waits = who_waits(address)?;
    let (body, status) = match reply {
        Reply::Body(body) => (body, None),
        _ if waits == Waits::DotNet => return None,
        Reply::Failed(reason) => {
            let reason: String = reason.chars().take(REASON_SENT).collect();
            (MessageBody::new(reason), Some(FAILED))
        }
        Reply::Repeated => (MessageBody::default(), Some(REPEATED)),
    };
    // To Brighter for .NET a reply is a command.
    let mut answer = MessageHeader::new(MessageId::new(), address, MessageType::Command)
        .with_content_type(DEFAULT_CONTENT_TYPE)
        .with_correlation_id(header.correlation_id.as_ref().unwrap_or(&header.id).clone())
        .with_causation_id(header.id.clone())
        .with_trace(header.trace.clone());
    answer.priority = header.priority;
    if let Some(status) = status {
        answer.bag.insert(STATUS, status);
        answer = answer.with_content_type("text/plain; charset=utf-8");
    }
    Some(Message::new(answer, body))
}

/// The body of a reply, or why there is none.
pub(super) fn read(message: &Message) -> Result<&MessageBody, CallError> {
    let status = message.header.bag.get(STATUS);
    match status {
        None => Ok(&message.body),
        Some(BagValue::Text(status)) if status == REPEATED => Err(CallError::HandledBefore),
        Some(_) => Err(CallError::Failed {
            reason: reason(message.body.as_bytes()),
        }),
    }
}

/// Returns the other side's reason for its failure, as a line of ours.
fn reason(body: &[u8]) -> String {
    let begins: String = String::from_utf8_lossy(body).chars().take(REASON_SENT).collect();
    escaped(&begins).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(reply_to: &str) -> MessageHeader {
        MessageHeader::new(MessageId::new(), "Invoice.Make", MessageType::Command).with_reply_to(reply_to)
    }

    #[test]
    fn nothing_is_answered_but_to_a_reply_address() {
        let uuid = Uuid::now_v7();
        for address in [
            "Order.Placed".to_owned(),
            "brighter.reply.".to_owned(),
            "brighter.reply.Order.Placed".to_owned(),
            format!("brighter.reply.{uuid}.more"),
            format!("brighter.reply.{{{uuid}}}"),
            format!("urn:uuid:{uuid}"),
            uuid.simple().to_string(),
            format!("Brighter.Reply.{uuid}"),
        ] {
            assert!(!is_waited_for(&asking(&address)), "{address}");
            assert!(answer(&asking(&address), Reply::Repeated).is_none());
        }
        for address in [new_address().to_string(), uuid.to_string()] {
            assert!(is_waited_for(&asking(&address)), "{address}");
        }
        let silent = MessageHeader::new(MessageId::new(), "Invoice.Make", MessageType::Command);
        assert!(!is_waited_for(&silent));
    }

    #[test]
    fn answers_are_understood() {
        let call = MessageId::new();
        let header = asking(new_address().as_str())
            .with_correlation_id(call.clone())
            .with_priority(4);
        let message = answer(&header, Reply::Body(MessageBody::new("17"))).unwrap();
        assert_eq!(message.header.correlation_id, Some(call));
        assert_eq!(message.header.priority, Some(4));
        assert_eq!(Some(&message.header.topic), header.reply_to.as_ref());
        assert_eq!(read(&message).unwrap().as_bytes(), b"17");
        message.header.validate().unwrap();

        let failed = answer(&header, Reply::Failed("no\nink".into())).unwrap();
        assert!(matches!(read(&failed), Err(CallError::Failed { reason }) if reason == "no\\nink"));
        let repeated = answer(&header, Reply::Repeated).unwrap();
        assert!(matches!(read(&repeated), Err(CallError::HandledBefore)));
    }

    #[test]
    fn brighter_for_dotnet_gets_replies_only() {
        let header = asking(&Uuid::now_v7().to_string());
        assert!(answer(&header, Reply::Failed("no".into())).is_none());
        assert!(answer(&header, Reply::Repeated).is_none());
        let message = answer(&header, Reply::Body(MessageBody::new("17"))).unwrap();
        // Without a correlation id of its own, a request is known by its id.
        assert_eq!(message.header.correlation_id, Some(header.id));
        assert_eq!(message.header.message_type, MessageType::Command);
    }
}
