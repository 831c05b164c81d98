//! A message on its way to the publish task, and what comes back.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use tokio::sync::oneshot;

use crate::settings::RabbitMqSettings;
use crate::wire;
use brighter_core::channel::PublishError;
use brighter_core::message::Message;

/// A message as it goes to the broker.
pub(crate) struct Outgoing {
    pub(crate) exchange: ShortString,
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// What the publish task says of a message.
pub(super) enum ConfirmResult {
    Known(Result<(), PublishError>),
    /// No queue wants it.
    CameBack,
    /// A queue that wants it did not take it.
    Refused,
    /// Its channel was closed over it, or over another that was on the way with it; or its connection with the channel
    /// of another.
    Suspect,
    /// Its connection was given up before it was confirmed.
    Resend,
}

impl ConfirmResult {
    /// Whether the message must go alone when it is sent again.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(self, Self::Suspect)
    }

    /// What it means for the caller; nothing where the message must be sent again. Its routing key is asked for only
    /// where an error names it.
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

/// A message for the publish task, and where its result goes.
pub(super) struct PublishRequest {
    pub(super) message: Outgoing,
    /// It goes when no other is on its way, and none goes until it has arrived.
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

/// A message for the exchange, checked for what the broker would close the channel or the connection over.
pub(crate) fn outgoing(message: &Message, settings: &RabbitMqSettings) -> Result<Outgoing, PublishError> {
    message.header.topic.validate()?;
    let properties = wire::properties(message, settings.spelling)?;
    let body = message.body.to_bytes();
    fits(body.len(), settings.max_message_bytes)?;
    Ok(Outgoing {
        exchange: wire::short("exchange name", &settings.exchange)?,
        routing_key: wire::short("routing key", message.header.topic.as_str())?,
        properties,
        body,
    })
}

/// Checks a size against its limit.
pub(super) fn fits(bytes: usize, limit: usize) -> Result<(), PublishError> {
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    Ok(())
}
