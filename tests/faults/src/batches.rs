//! What a consumer of batches in a process of its own handles.

use brighter::message::MessageHeader;
use brighter::prelude::*;

/// One of very many rows, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(topic = "batches")]
pub struct Row {
    /// Which row.
    pub number: u64,
}

/// Every so manieth row makes each call fail that it is in.
const POISON: u64 = 499;

impl Row {
    /// Whether it makes a call fail.
    #[must_use]
    pub fn is_poison(&self) -> bool {
        self.number % POISON == 7
    }

    /// The message that brings it to this topic.
    ///
    /// # Panics
    /// Never: a number can be written.
    #[must_use]
    pub fn message(&self, topic: &str) -> brighter::Message {
        let id = MessageId::from(self.number.to_string());
        let header = MessageHeader::new(id, topic, brighter::message::MessageType::Command);
        let body = serde_json::to_vec(self).expect("a number can be written");
        brighter::Message::new(header, brighter::message::MessageBody::new(body))
    }
}
