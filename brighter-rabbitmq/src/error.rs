//! [`ConnectError`], and the meaning of lapin's errors, by their kind and never by their text.

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

/// Why there is no connection to the broker. It never contains the credentials.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not valid for a broker.
    #[error("invalid broker URL: {reason}")]
    Url {
        /// The reason, and the expected form.
        reason: String,
    },
    /// A setting has an invalid value.
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
    /// The virtual host does not exist, or this user has no access to it.
    #[error(
        "{address} refused the virtual host: {reason}; create it or grant the user access to it, and mind that the host `/` is `%2f` at the end of the URL"
    )]
    VirtualHost {
        /// The URL, without credentials.
        address: String,
        /// The reason that the broker gave.
        reason: String,
    },
    /// TLS failed. There is no fallback to plaintext.
    #[error("TLS with {address} failed: {fault}")]
    Tls {
        /// The URL, without credentials.
        address: String,
        /// The failure, and what to do.
        fault: TlsFault,
        /// The underlying error, unless the fault describes it completely.
        #[source]
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// The server does not speak AMQP 0-9-1.
    #[error("the server at {address} does not speak AMQP 0-9-1")]
    Protocol {
        /// The URL, without credentials.
        address: String,
        /// The underlying error.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The exchange exists with other settings.
    #[error(
        "the exchange `{exchange}` cannot be used: {reason}; give the builder the form it has, name another, or delete it"
    )]
    Exchange {
        /// The name of the exchange.
        exchange: String,
        /// The reason that the broker gave: the declared settings against the existing ones.
        reason: String,
    },
    /// This user may not declare the exchange.
    #[error(
        "the user may not declare the exchange `{exchange}`: {reason}; grant the user `configure` on it, or make it \
         another way and say `declare_exchange(DeclareMode::Validate)` or `declare_exchange(DeclareMode::Assume)`"
    )]
    ExchangePermission {
        /// The name of the exchange.
        exchange: String,
        /// The reason that the broker gave.
        reason: String,
    },
    /// The connection was lost, and is opened again.
    #[error("the connection to {address} was lost")]
    Lost {
        /// The URL of the node, without credentials.
        address: String,
        /// The underlying error.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The broker cannot be reached. Another attempt may succeed.
    #[error("no broker can be reached at {address}")]
    Unreachable {
        /// The URL, without credentials.
        address: String,
        /// The error of the last attempt.
        #[source]
        source: Arc<dyn Error + Send + Sync>,
    },
    /// No node of several can be used.
    #[error("none of {} nodes can be used: {}", failures.len(), told(failures))]
    Nodes {
        /// The errors, one for each node, in the order of the attempts.
        failures: Vec<ConnectError>,
    },
    /// The thread for the connections could not be started.
    #[error(
        "the thread for the connections to RabbitMQ could not be started: see what limits threads and files"
    )]
    Thread(#[source] Arc<std::io::Error>),
    /// This process closed the broker.
    #[error("the broker is closed")]
    Closed,
}

brighter_core::__private::readable_debug!(ConnectError);

/// The number of failures that the text lists.
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
    /// Returns whether another attempt fails until a person changes something.
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
            // One node that may recover is enough.
            Self::Nodes { failures } => failures.iter().all(Self::is_fatal),
        }
    }

    /// Converts the error of an attempt to connect.
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
                // Every other error may be temporary: the broker is starting, stopping, or short of a resource.
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

    /// Combines the errors of a round of attempts, one for each node.
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

    /// Returns the error of a connection that was lost.
    pub(super) fn lost(address: &impl Display, source: impl Error + Send + Sync + 'static) -> Self {
        Self::Lost {
            address: address.to_string(),
            source: Arc::new(source),
        }
    }

    /// Returns the error of an attempt that timed out.
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

/// Returns the reason that the broker gave, or else the text of the error.
pub(super) fn reply_text(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => protocol.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// Returns the error, if the broker closed only the channel and the connection remains.
pub(super) fn of_channel(error: &lapin::Error) -> Option<&AMQPSoftError> {
    match of_broker(error)? {
        AMQPErrorKind::Soft(soft) => Some(soft),
        AMQPErrorKind::Hard(_) => None,
    }
}

/// Returns whether the broker closed the connection because of a frame for a channel that was already closed.
///
/// lapin sends such frames: it answers the closing of a channel before it sends the messages that wait on it. So the
/// error is no fault of a message, and may end the connection under a new channel.
fn of_channel_before(error: &lapin::Error) -> bool {
    matches!(
        of_broker(error),
        Some(AMQPErrorKind::Hard(AMQPHardError::CHANNELERROR))
    )
}

/// Returns whether a channel was closed: that of the message, or an earlier one together with the connection.
pub(super) fn closes_channel(error: &lapin::Error) -> bool {
    match error.kind() {
        // The channel was closed before the message was sent.
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_) => true,
        _ => of_channel(error).is_some() || of_channel_before(error),
    }
}

/// Returns whether this error ends the connection, even if its status does not show that yet.
pub(super) fn of_connection(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::IOError(_) | ErrorKind::MissingHeartbeatError | ErrorKind::InvalidConnectionState(_) => {
            true
        }
        _ => matches!(of_broker(error), Some(AMQPErrorKind::Hard(_))),
    }
}

/// Returns whether the broker closed the whole connection because of a request on one of its channels. It is `false` if
/// an operator closed the connection, or after a frame for a closed channel.
pub(super) fn closes_connection(error: &lapin::Error) -> bool {
    match of_broker(error) {
        Some(AMQPErrorKind::Hard(hard)) => !matches!(
            hard,
            AMQPHardError::CONNECTIONFORCED | AMQPHardError::CHANNELERROR
        ),
        _ => false,
    }
}

/// Returns the error with which the broker closed a channel or the connection.
pub(super) fn of_broker(error: &lapin::Error) -> Option<&AMQPErrorKind> {
    match error.kind() {
        ErrorKind::ProtocolError(protocol) => Some(protocol.kind()),
        _ => None,
    }
}

/// Converts an error of publishing to the outcome of the message.
///
/// When the broker closes a channel, it does not name the message. So all messages in flight are refused with its
/// reason, and can be published again.
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
