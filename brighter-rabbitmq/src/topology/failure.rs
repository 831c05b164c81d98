//! Why a declaration failed: [`DeclareError`], and with what it was about, [`DeclareFailure`].

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};

use crate::error::{closes_connection, of_channel, reply_text};
use brighter_core::channel::ChannelError;
use brighter_core::message::NameError;

/// The broker may take this long to answer one request.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// Why a declaration failed.
pub(crate) enum DeclareError {
    Name(NameError),
    Broker(lapin::Error),
    /// The broker does not answer this request.
    Unanswered {
        request: &'static str,
    },
    /// It was looked for, and is not there.
    Missing,
    Unsupported(&'static str),
}

impl From<NameError> for DeclareError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<lapin::Error> for DeclareError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error)
    }
}

impl DeclareError {
    /// The failure with the form of what was declared.
    pub(crate) fn about(self, what: impl ToString) -> DeclareFailure {
        let what = what.to_string();
        DeclareFailure { what, error: self }
    }

    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Broker(error) => matches!(of_channel(error), Some(AMQPSoftError::NOTFOUND)),
            _ => false,
        }
    }
}

/// Why a channel could not be declared or consumed, and what of it.
pub(crate) struct DeclareFailure {
    what: String,
    error: DeclareError,
}

impl DeclareFailure {
    /// What the broker said, if it closed the whole connection over this.
    pub(crate) fn closed_connection(&self) -> Option<String> {
        match &self.error {
            DeclareError::Broker(error) if closes_connection(error) => {
                Some(format!("{}: {}", self.what, reply_text(error)))
            }
            _ => None,
        }
    }

    /// The request that the broker did not answer, if there is one.
    pub(crate) fn unanswered(&self) -> Option<&'static str> {
        match self.error {
            DeclareError::Unanswered { request } => Some(request),
            _ => None,
        }
    }

    /// What it means to a caller that wants to consume by a connection to this address.
    pub(crate) fn at(self, address: &impl ToString) -> ChannelError {
        let closed = self.closed_connection();
        let Self { what, error } = self;
        match error {
            DeclareError::Name(error) => error.into(),
            DeclareError::Unsupported(way) => ChannelError::Unsupported(way),
            DeclareError::Missing => ChannelError::Refused {
                reason: format!(
                    "the broker does not have {what}; make what is missing, or let the consumer do it with \
                     `make_channel(MakeChannel::Create)`"
                ),
            },
            DeclareError::Unanswered { request } => ChannelError::Unavailable {
                reason: format!(
                    "connected to {}, but `{request}` for {what} was not answered within {ANSWER:?}",
                    address.to_string()
                ),
            },
            DeclareError::Broker(error) => match closed {
                Some(said) => ChannelError::Unavailable {
                    reason: format!("{} closed the connection over {said}", address.to_string()),
                },
                None => of_declaring(error, &what),
            },
        }
    }
}

/// Why a channel could not be declared or consumed: by the kind of the error, whose text is only shown.
fn of_declaring(error: lapin::Error, what: &str) -> ChannelError {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(protocol) => advice(protocol.kind()),
        _ => None,
    };
    match advice {
        Some(advice) => ChannelError::Refused {
            reason: format!("{what}: {}; {advice}", reply_text(&error)),
        },
        None => ChannelError::Disconnected(error.into()),
    }
}

fn advice(kind: &AMQPErrorKind) -> Option<&'static str> {
    let AMQPErrorKind::Soft(kind) = kind else {
        return None;
    };
    match kind {
        AMQPSoftError::PRECONDITIONFAILED => Some(
            "it was declared as `received`, and exists as `current`: say of the channel what it is, give it \
             another name, or let it run empty and delete it; a dead-letter channel is opened as it is, by \
             `Channel::existing` or `make_channel(MakeChannel::Assume)`",
        ),
        AMQPSoftError::ACCESSREFUSED => Some(
            "grant the user `configure`, `write` and `read` on it, or see whether another consumer has it \
             for itself",
        ),
        AMQPSoftError::RESOURCELOCKED => {
            Some("another connection has it for itself: stop that, or name another")
        }
        AMQPSoftError::NOTFOUND => Some(
            "make it, or let the consumer do it with `make_channel(MakeChannel::Create)`; if it does, somebody \
             deleted it in this moment: start again",
        ),
        AMQPSoftError::CONTENTTOOLARGE | AMQPSoftError::NOROUTE | AMQPSoftError::NOCONSUMERS => None,
    }
}
