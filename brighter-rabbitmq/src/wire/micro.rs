//! What `brighter-micro` counts: a header to the properties of AMQP, and back.

use super::{Original, Spelling, message, properties};
use brighter_core::message::{Message, NameError};

/// A message as RabbitMQ has it. Not for people: it is how the conversion is reached without a broker.
#[doc(hidden)]
#[derive(Debug)]
pub struct OnTheWire(Original);

impl OnTheWire {
    /// What is handed to the client that publishes it.
    ///
    /// # Errors
    /// No broker takes it: see [`MessageHeader::validate`](brighter_core::message::MessageHeader::validate).
    pub fn of(message: &Message) -> Result<Self, NameError> {
        Ok(Self(Original {
            routing_key: super::short("routing key", message.header.topic.as_str())?,
            properties: properties(message, Spelling::Usual)?,
            body: message.body.to_bytes(),
        }))
    }

    /// What a handler gets.
    ///
    /// # Errors
    /// Why it is no message.
    pub fn read(&self) -> Result<Message, String> {
        message(&self.0)
    }
}
