//! [`DeclareError`]: why a declaration failed, and [`DeclareFailure`]: the same with the item that was declared.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use crate::error::{closes_connection, of_channel, reply_text};
use brighter_core::channel::ChannelError;
use brighter_core::message::NameError;

/// The deadline for the broker's answer to one request.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Why a declaration failed.
pub(crate) enum DeclareError {
    Name(NameError),
    /// The broker, or the connection to it, answered this request with an error.
    Broker {
        request: &'static str,
        error: lapin::Error,
    },
    /// The broker does not answer this request.
    Unanswered {
        request: &'static str,
        /// The time that was waited for an answer.
        after: Duration,
    },
    /// The item was checked, and does not exist.
    Missing,
    Unsupported(&'static str),
}

impl From<NameError> for DeclareError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl DeclareError {
    /// Adds the description of the item that was declared.
    pub(crate) fn about(self, what: impl ToString) -> DeclareFailure {
        let what = what.to_string();
        DeclareFailure { what, error: self }
    }

    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Broker { error, .. } => matches!(of_channel(error), Some(AMQPSoftError::NOTFOUND)),
            _ => false,
        }
    }
}

/// Why a channel could not be declared or consumed, and at which item.
pub(crate) struct DeclareFailure {
    what: String,
    error: DeclareError,
}

impl DeclareFailure {
    /// Returns the broker's reason, if it closed the whole connection because of this.
    pub(crate) fn closed_connection(&self) -> Option<String> {
        match &self.error {
            DeclareError::Broker { error, .. } if closes_connection(error) => {
                Some(format!("{}: {}", self.what, reply_text(error)))
            }
            _ => None,
        }
    }

    /// Returns the request that the broker did not answer, if there is one.
    pub(crate) fn unanswered(&self) -> Option<&'static str> {
        match self.error {
            DeclareError::Unanswered { request, .. } => Some(request),
            _ => None,
        }
    }

    /// Returns the error for a caller that consumes on a connection to this address.
    pub(crate) fn at(self, address: &impl ToString) -> ChannelError {
        let closed = self.closed_connection();
        let Self { what, error } = self;
        match error {
            DeclareError::Name(error) => error.into(),
            DeclareError::Unsupported(way) => ChannelError::Unsupported(way),
            DeclareError::Missing => ChannelError::Refused {
                reason: format!(
                    "the broker does not have {what}; make what is missing, or let the consumer do it with \
                     `declare_channel(DeclareMode::Create)`"
                ),
            },
            DeclareError::Unanswered { request, after } => ChannelError::Unavailable {
                reason: format!(
                    "connected to {}, but `{request}` for {what} was not answered within {after:?}",
                    address.to_string()
                ),
            },
            DeclareError::Broker { request, error } => match closed {
                Some(said) => ChannelError::Unavailable {
                    reason: format!("{} closed the connection over {said}", address.to_string()),
                },
                None => of_declaring(request, error, &what),
            },
        }
    }
}

/// Classifies the error by its kind; its text is only shown.
fn of_declaring(request: &str, error: lapin::Error, what: &str) -> ChannelError {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(protocol) => advice(request, protocol.kind()),
        _ => None,
    };
    match advice {
        Some(advice) => ChannelError::Refused {
            reason: format!("{what}: {}; {advice}", reply_text(&error)),
        },
        None => ChannelError::Disconnected(error.into()),
    }
}

fn advice(request: &str, kind: &AMQPErrorKind) -> Option<&'static str> {
    let AMQPErrorKind::Soft(kind) = kind else {
        return None;
    };
    match kind {
        AMQPSoftError::PRECONDITIONFAILED => Some(
            "it was declared as `received`, and exists as `current`: say of the channel what it is, leave it to its owner \
             with `declare_channel(DeclareMode::Validate)`, give it another name, or let it run empty and delete it; a \
             dead-letter channel is opened as it is, by `Channel::existing` or `declare_channel(DeclareMode::Assume)`",
        ),
        AMQPSoftError::ACCESSREFUSED => Some(permission(request)),
        AMQPSoftError::RESOURCELOCKED => {
            Some("another connection uses it exclusively: stop that one, or use another name")
        }
        AMQPSoftError::NOTFOUND => Some(
            "make it, or let the consumer do it with `declare_channel(DeclareMode::Create)`; if it does, somebody \
             deleted it in this moment: start again",
        ),
        AMQPSoftError::CONTENTTOOLARGE | AMQPSoftError::NOROUTE | AMQPSoftError::NOCONSUMERS => None,
    }
}

/// Returns the permission that a request needs, by RabbitMQ's guide to access control, and the alternative.
fn permission(request: &str) -> &'static str {
    match request {
        "exchange.declare" => {
            "grant the user `configure` on the exchange, or make everything another way and say \
             `declare_channel(DeclareMode::Validate)` or `declare_channel(DeclareMode::Assume)`"
        }
        "queue.declare" => {
            "grant the user `configure` on the queue and, where it has a dead-letter exchange, `read` on the queue \
             and `write` on that exchange; or make everything another way and say \
             `declare_channel(DeclareMode::Validate)` or `declare_channel(DeclareMode::Assume)`"
        }
        "queue.bind" => {
            "grant the user `write` on the queue and `read` on the exchange, and on the topic where topics have \
             permissions; or bind it another way and say `declare_channel(DeclareMode::Validate)` or \
             `declare_channel(DeclareMode::Assume)`"
        }
        "queue.delete" => "grant the user `configure` on the queue",
        "basic.consume" => {
            "grant the user `read` on the queue; where the user has it, another consumer has the queue for itself: \
             stop that"
        }
        _ => "see the user's permissions with `rabbitmqctl list_user_permissions USER`",
    }
}
