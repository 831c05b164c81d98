//! The conversions that `brighter-micro` measures: from a header to the properties of AMQP, and back.

use super::{Original, message, properties};
use crate::headers::Headers;
use brighter_core::message::{Message, NameError};

/// A message in the form of RabbitMQ, to measure the conversion without a broker. It may change in any release.
#[doc(hidden)]
#[derive(Debug)]
pub struct OnTheWire(Original);

impl OnTheWire {
    /// Converts a message to the form that is published.
    ///
    /// # Errors
    /// Returns an error if no broker accepts the message: see
    /// [`MessageHeader::validate`](brighter_core::message::MessageHeader::validate).
    pub fn of(message: &Message) -> Result<Self, NameError> {
        Self::with(message, Headers::Full)
    }

    /// Converts a message to the form that is published with these headers.
    ///
    /// # Errors
    /// As for [`of`](Self::of).
    pub fn with(message: &Message, headers: Headers) -> Result<Self, NameError> {
        Ok(Self(Original {
            routing_key: super::short("routing key", message.header.topic.as_str())?,
            properties: properties(message, headers)?,
            body: message.body.to_bytes(),
        }))
    }

    /// Converts back to the message that a handler gets.
    ///
    /// # Errors
    /// Returns why the data is not a message.
    pub fn read(&self) -> Result<Message, String> {
        message(&self.0)
    }
}
