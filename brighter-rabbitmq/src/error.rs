//! [`ConnectError`], and what lapin's errors mean: by their kind, never by their text.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

use super::fault::TlsFault;
use brighter_core::__private::report;
use brighter_core::channel::{ChannelError, PublishError};
use brighter_core::error::InvalidSetting;

/// Why there is no connection to the broker. Never holds the credentials.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none of a broker.
    #[error("the URL of the broker is wrong: {reason}")]
    Url {
        /// What is wrong with it, and what it must look like.
        reason: String,
    },
    /// A setting has a value that it cannot have.
    #[error("invalid setting of the broker")]
    Setting(#[source] InvalidSetting),
    /// The user or the password is wrong.
    #[error(
        "{address} refused the user or the password: correct them in the URL (special characters escaped as in `%40` for `@`)"
    )]
    Credentials {
        /// The URL, without credentials.
        address: String,
    },
    /// The virtual host does not exist, or this user may not use it.
    #[error(
        "{address} refused the virtual host: {reason}; create it or grant the user access to it, and mind that the host `/` is `%2f` at the end of the URL"
    )]
    VirtualHost {
        /// The URL, without credentials.
        address: String,
        /// What the broker said.
        reason: String,
    },
    /// TLS did not come about. There is no fall-back to plaintext.
    #[error("no TLS with {address}: {fault}")]
    Tls {
        /// The URL, without credentials.
        address: String,
        /// What is wrong, and what to do.
        fault: TlsFault,
        /// What it ended with, unless the fault says it all.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// What answers there does not speak AMQP 0-9-1.
    #[error("what answers at {address} does not speak AMQP 0-9-1")]
    Protocol {
        /// The URL, without credentials.
        address: String,
        /// What came instead.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The exchange exists in another form.
    #[error(
        "the exchange `{exchange}` cannot be used: {reason}; give the builder the form it has, name another, or delete it"
    )]
    Exchange {
        /// The name of the exchange.
        exchange: String,
        /// What the broker said: what was declared against what exists.
        reason: String,
    },
    /// This user may not declare the exchange.
    #[error(
        "the user may not declare the exchange `{exchange}`: {reason}; grant the user `configure` on it, or make it \
         another way and say `make_exchange(MakeChannel::Validate)` or `make_exchange(MakeChannel::Assume)`"
    )]
    ExchangePermission {
        /// The name of the exchange.
        exchange: String,
        /// What the broker said.
        reason: String,
    },
    /// The connection was lost. It is made again.
    #[error("the connection to {address} was lost")]
    Lost {
        /// The URL of the node, without credentials.
        address: String,
        /// What it ended with.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The broker cannot be reached. Trying again may work.
    #[error("no broker answers at {address}")]
    Unreachable {
        /// The URL, without credentials.
        address: String,
        /// What the last attempt ended with.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// None of several nodes can be used.
    #[error("none of {} nodes can be used: {}", failures.len(), told(failures))]
    Nodes {
        /// Why not, one for each node, in the order in which they were tried.
        failures: Vec<ConnectError>,
    },
    /// The thread for the connections could not be started.
    #[error(
        "the thread for the connections to RabbitMQ could not be started: see what limits threads and files"
    )]
    Thread(#[source] Arc<std::io::Error>),
    /// The broker was closed by this process.
    #[error("the broker is closed")]
    Closed,
}

brighter_core::__private::readable_debug!(ConnectError);

/// So many failures are told at most.
const TOLD: usize = 5;

fn told(failures: &[ConnectError]) -> String {
    let told = failures.iter().take(TOLD).map(|failure| report(failure));
    let mut text = told.collect::<Vec<_>>().join("; ");
    if let Some(rest @ 1..) = failures.len().checked_sub(TOLD) {
        text.push_str(&format!("; and {rest} more"));
    }
    text
}

impl ConnectError {
    /// Whether trying again is of no use until a person has changed something.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Url { .. }
            | Self::Setting(_)
            | Self::Credentials { .. }
            | Self::VirtualHost { .. }
            | Self::Protocol { .. }
            | Self::Exchange { .. }
            | Self::ExchangePermission { .. }
            | Self::Thread(_)
            | Self::Closed => true,
            Self::Tls { fault, .. } => fault.is_fatal(),
            Self::Unreachable { .. } | Self::Lost { .. } => false,
            // One that may come back is enough.
            Self::Nodes { failures } => failures.iter().all(Self::is_fatal),
        }
    }

    /// What an attempt to connect ended with.
    pub(super) fn of_attempt(error: lapin::Error, address: &impl Display) -> Self {
        let address = address.to_string();
        let reply_text = reply_text(&error);
        let fatal = match error.kind() {
            ErrorKind::ProtocolError(protocol) => match protocol.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Some(Self::Credentials {
                    address: address.clone(),
                }),
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Some(Self::VirtualHost {
                    address: address.clone(),
                    reason: reply_text,
                }),
                // Everything else may be another tomorrow: the broker starts, stops, or is short of something.
                AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => None,
            },
            ErrorKind::InvalidProtocolVersion(_) | ErrorKind::ParsingError(_) => Some(Self::Protocol {
                address: address.clone(),
                source: Arc::new(error.clone()),
            }),
            _ => None,
        };
        fatal.unwrap_or_else(|| Self::Unreachable {
            address,
            source: Arc::new(error),
        })
    }

    pub(super) fn tls(address: &impl Display, fault: TlsFault, error: lapin::Error) -> Self {
        let says_it_all = matches!(fault, TlsFault::Settings { .. } | TlsFault::Demanded);
        Self::Tls {
            address: address.to_string(),
            fault,
            source: (!says_it_all).then(|| Arc::new(error) as _),
        }
    }

    /// What a round of attempts ended with, one error for each node.
    pub(super) fn of_round(mut failures: Vec<Self>) -> Self {
        match failures.pop() {
            Some(only) if failures.is_empty() => only,
            Some(last) => {
                failures.push(last);
                Self::Nodes { failures }
            }
            None => Self::Url {
                reason: "no URL is given".into(),
            },
        }
    }

    /// What a connection to a node ended with, that had been there.
    pub(super) fn lost(address: &impl Display, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Lost {
            address: address.to_string(),
            source: Arc::new(source),
        }
    }

    /// An attempt to connect that took too long.
    pub(super) fn silent(address: &impl Display, after: Duration) -> Self {
        let silence = std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no answer within {after:?}"),
        );
        Self::Unreachable {
            address: address.to_string(),
            source: Arc::new(silence),
        }
    }
}

impl From<ConnectError> for PublishError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closed => Self::Closed,
            ConnectError::Exchange { .. } | ConnectError::ExchangePermission { .. } => Self::Refused {
                reason: error.to_string(),
            },
            other => Self::Disconnected(other.into()),
        }
    }
}

impl From<ConnectError> for ChannelError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Closed => Self::Closed,
            other => Self::Disconnected(other.into()),
        }
    }
}

/// What the broker said, if it is the broker that speaks.
pub(super) fn reply_text(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => protocol.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// The error of the channel, if the broker closed that alone and the connection lives on.
pub(super) fn of_channel(error: &lapin::Error) -> Option<&AMQPSoftError> {
    match of_broker(error)? {
        AMQPErrorKind::Soft(soft) => Some(soft),
        AMQPErrorKind::Hard(_) => None,
    }
}

/// Whether the broker closed the connection over a frame for a channel that was closed already.
///
/// lapin sends such frames: its answer to the closing of a channel goes before what waits to be published on it, and
/// that follows. So it says nothing against a message, and may end the connection under a channel that is new.
fn of_channel_before(error: &lapin::Error) -> bool {
    matches!(
        of_broker(error),
        Some(AMQPErrorKind::Hard(AMQPHardError::CHANNELERROR))
    )
}

/// Whether the error says that a channel was closed: the message's own, or one before it, and the connection with that.
pub(super) fn closes_channel(error: &lapin::Error) -> bool {
    match error.kind() {
        // It was closed before the message was sent.
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_) => true,
        _ => of_channel(error).is_some() || of_channel_before(error),
    }
}

/// Whether the connection is lost with this, although its status may not say so yet.
pub(super) fn of_connection(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::IOError(_) | ErrorKind::MissingHeartbeatError | ErrorKind::InvalidConnectionState(_) => {
            true
        }
        _ => matches!(of_broker(error), Some(AMQPErrorKind::Hard(_))),
    }
}

/// Whether the broker closed the whole connection over what one of its channels had asked for. An operator who closes
/// it says nothing against anybody, and neither does a frame for a channel that is closed.
pub(super) fn closes_connection(error: &lapin::Error) -> bool {
    match of_broker(error) {
        Some(AMQPErrorKind::Hard(hard)) => !matches!(
            hard,
            AMQPHardError::CONNECTIONFORCED | AMQPHardError::CHANNELERROR
        ),
        _ => false,
    }
}

/// What the broker closed a channel over, or the connection.
pub(super) fn of_broker(error: &lapin::Error) -> Option<&AMQPErrorKind> {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => Some(protocol.kind()),
        _ => None,
    }
}

/// What became of a message whose publishing ended with this.
///
/// When the broker closes a channel it does not say for which message, so all that were on their way are
/// refused with its words; publishing them again is right.
pub(super) fn of_publishing(error: lapin::Error) -> PublishError {
    if let Some(kind) = of_channel(&error) {
        let mut reason = reply_text(&error);
        if matches!(kind, AMQPSoftError::ACCESSREFUSED) {
            reason.push_str(
                "; grant the user `write` on the exchange, and on the topic where topics have permissions",
            );
        }
        PublishError::Refused { reason }
    } else {
        PublishError::Disconnected(error.into())
    }
}
