//! [`PublishRequest`]: a message for the publish task, and its result.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use tokio::sync::oneshot;

use crate::settings::RabbitMqSettings;
use crate::wire;
use brighter_core::channel::PublishError;
use brighter_core::message::{ChannelName, Message};

/// A message in the form for the broker.
pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// The result of the publish task for a message.
pub(super) enum ConfirmResult {
    Known(Result<(), PublishError>),
    /// The message was returned: no queue is bound to its topic.
    CameBack,
    /// A bound queue refused the message.
    Refused,
    /// The channel was closed because of this message or another one in flight; or the connection was closed because of
    /// another channel.
    Suspect,
    /// The connection was given up before the message was confirmed.
    Resend,
}

impl ConfirmResult {
    /// Returns whether the message must be sent alone at the next attempt.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(self, Self::Suspect)
    }

    /// Returns the result for the caller; `None` if the message must be sent again. The routing key is requested only
    /// for an error that names it.
    pub(super) fn outcome(
        self,
        make: impl FnOnce() -> Result<Outgoing, PublishError>,
    ) -> Option<Result<(), PublishError>> {
        let about = |error: fn(&str) -> PublishError| {
            Err(make().map_or_else(|error| error, |message| error(message.routing_key.as_str())))
        };
        Some(match self {
            Self::Known(outcome) => outcome,
            Self::CameBack => about(|key| PublishError::Unroutable { topic: key.into() }),
            Self::Refused => about(|key| PublishError::Refused {
                reason: format!("a queue for `{key}` would not take it; it may be full"),
            }),
            Self::Suspect | Self::Resend => return None,
        })
    }
}

/// A message for the publish task, and the sender of its result.
pub(super) struct PublishRequest {
    pub(super) message: Outgoing,
    /// The message is sent when no other is in flight, and no other is sent until it is confirmed.
    pub(super) isolated: bool,
    pub(super) reply: oneshot::Sender<ConfirmResult>,
}

impl PublishRequest {
    pub(super) fn new(message: Outgoing, isolated: bool) -> (Self, oneshot::Receiver<ConfirmResult>) {
        let (reply, result) = oneshot::channel();
        let request = Self {
            message,
            isolated,
            reply,
        };
        (request, result)
    }
}

/// Returns the message for the exchange. Checks first for all that would make the broker close the channel or the
/// connection.
pub(crate) fn outgoing(message: &Message, settings: &RabbitMqSettings) -> Result<Outgoing, PublishError> {
    message.header.topic.validate()?;
    let properties = wire::properties(message, settings.headers.of(&message.header.topic))?;
    let body = message.body.to_bytes();
    fits(body.len(), settings.max_message_bytes)?;
    Ok(Outgoing {
        exchange: wire::short("exchange name", &settings.exchange)?,
        routing_key: wire::short("routing key", message.header.topic.as_str())?,
        properties,
        body,
    })
}

/// Returns the message for one queue: the default exchange routes by the name of the queue, and to no other.
pub(crate) fn outgoing_to(
    queue: &ChannelName,
    message: &Message,
    settings: &RabbitMqSettings,
) -> Result<Outgoing, PublishError> {
    Ok(Outgoing {
        exchange: ShortString::default(),
        routing_key: wire::short("channel name", queue.as_str())?,
        ..outgoing(message, settings)?
    })
}

/// Checks a size against its limit.
pub(super) fn fits(bytes: usize, limit: usize) -> Result<(), PublishError> {
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    Ok(())
}
