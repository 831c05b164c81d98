//! What may go wrong when a request is sent, published or posted.

use std::fmt;
use std::time::{Duration, SystemTime};

use brighter_core::channel::PublishError;
use brighter_core::error::{ActionKind, HandlerError};
use brighter_core::id::MessageId;
use brighter_core::mapper::MapError;
use brighter_core::message::NameError;
use brighter_core::outbox::{InvalidUniqueKey, OutboxError};

/// The context belongs to no processor, so nothing can be sent or posted with it.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this context belongs to no processor: in a test, take one from `processor.context()` in place of `Context::new()`"
)]
#[non_exhaustive]
pub struct NoProcessor;

brighter_core::__private::readable_debug!(NoProcessor);

/// Why a command has no reply.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No handler of the command was registered.
    #[error("no handler for `{command}`: add `.handler(…)` to the processor's builder")]
    NoHandler {
        /// The type of the command.
        command: &'static str,
    },
    /// The handler failed.
    // Not transparent: the chain of causes is to show the `HandlerError` itself to a handler that sends.
    #[error("{0}")]
    Handler(#[from] HandlerError),
    /// The context that it was sent with belongs to no processor.
    #[error(transparent)]
    NoProcessor(#[from] NoProcessor),
}

impl SendError {
    /// The handler's own error, if it is of type `E`.
    #[must_use]
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Handler(error) => error.downcast_ref(),
            Self::NoHandler { .. } | Self::NoProcessor(_) => None,
        }
    }
}

impl PostError {
    /// The error with every cause behind it, on one line: what happened, and why.
    #[must_use]
    pub fn report(&self) -> String {
        brighter_core::__private::report(self)
    }
}

/// One handler that failed.
#[derive(Debug)]
#[non_exhaustive]
pub struct SubscriberFailure {
    /// The type of the handler.
    pub handler: &'static str,
    /// How it failed.
    pub error: HandlerError,
}

/// Every handler of an event that failed.
#[non_exhaustive]
pub struct PublishErrors {
    /// Each of them, in the order of registration; at least one.
    pub failures: Vec<SubscriberFailure>,
}

impl PublishErrors {
    /// Returns the kind of the first failure, as one of few words.
    pub(crate) fn kind(&self) -> &'static str {
        self.failures
            .first()
            .map_or("_OTHER", |failure| failure.error.kind())
    }

    /// Whether something went wrong, rather than the message being wanted once more.
    pub(crate) fn is_failure(&self) -> bool {
        self.failures.iter().any(|failure| failure.error.is_failure())
    }
}

impl fmt::Display for PublishErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, SubscriberFailure { handler, error }) in self.failures.iter().enumerate() {
            let parting = if index == 0 { "" } else { "; " };
            write!(f, "{parting}`{handler}` failed: {}", error.report())?;
        }
        Ok(())
    }
}

/// The cause is the first failure that handling the request again may mend, or else the first, so that a handler that
/// publishes and passes this on has its own request handled again if one of them needs that.
impl std::error::Error for PublishErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let mends = self.failures.iter().find(|failure| comes_again(&failure.error));
        let cause = mends.or_else(|| self.failures.first());
        cause.map(|failure| &failure.error as _)
    }
}

fn comes_again(error: &HandlerError) -> bool {
    match error {
        HandlerError::Action(action) => matches!(action.kind(), ActionKind::Defer(_) | ActionKind::DontAck),
        HandlerError::Validation(_) | HandlerError::Duplicate { .. } | HandlerError::Collision { .. } => {
            false
        }
        _ => true,
    }
}

/// A message that is in the outbox and that the broker would not take.
#[derive(thiserror::Error)]
#[error("message `{id}` was not sent; the outbox keeps it, and the sweeper will try again")]
#[non_exhaustive]
pub struct NotSent {
    /// Which message.
    pub id: MessageId,
    /// Why not.
    #[source]
    pub error: PublishError,
}

/// Why a request was not posted.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The context that it was posted with belongs to no processor.
    #[error(transparent)]
    NoProcessor(#[from] NoProcessor),
    /// The processor has no broker.
    #[error("the processor has no broker to post to: add `.broker(…)` to its builder")]
    NoBroker,
    /// The processor has no outbox.
    #[error(
        "the processor has no outbox: add `.outbox(…)` to its builder, or `.outbox(InMemoryOutbox::new())` if messages may be lost with the process"
    )]
    NoOutbox,
    /// The mapper could not make a message of the request. Nothing was stored.
    #[error("`{request}` could not be mapped to a message")]
    Map {
        /// The type of the request.
        request: &'static str,
        /// Why not.
        #[source]
        source: MapError,
    },
    /// The message has a name that no broker takes. Nothing was stored.
    #[error("`{request}` cannot be posted")]
    Name {
        /// The type of the request.
        request: &'static str,
        /// The reason why the name is invalid.
        #[source]
        source: NameError,
    },
    /// A number in the bag is NaN or infinite, which an outbox cannot keep. Nothing was stored.
    #[error(
        "`{request}` cannot be posted with {number} as its header `{name}`: send a finite number, or a text"
    )]
    NotFinite {
        /// The type of the request.
        request: &'static str,
        /// The name of the header.
        name: String,
        /// The number.
        number: f64,
    },
    /// The outbox did not store the message.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The transaction is not one of the processor's outbox.
    #[error(
        "the transaction is of a `{wanted}`, which is not the processor's outbox: pass a transaction of the database that holds the outbox"
    )]
    WrongTransaction {
        /// The outbox that the transaction belongs to.
        wanted: &'static str,
    },
    /// The message has a priority that the broker cannot carry. Nothing was stored.
    #[error("a message with priority {priority} cannot be posted to `{system}`: {}", highest_of(*highest))]
    Priority {
        /// The priority.
        priority: u8,
        /// The highest that the broker carries; `None`, if it carries none.
        highest: Option<u8>,
        /// The broker.
        system: &'static str,
    },
    /// A request was to be posted at more than one time. Nothing was stored.
    #[error("a request can have one time only: call either `.after(…)` or `.at(…)`, once")]
    SeveralTimes,
    /// A request was to be posted at a time that is past. Nothing was stored.
    #[error("the time {at:?} is not in the future: give a later time, or call `post` without a time")]
    NotInFuture {
        /// The time.
        at: SystemTime,
    },
    /// A request was to be posted so late that no outbox can tell when. Nothing was stored.
    #[error("the delay {delay:?} is too long: at most a hundred years are allowed")]
    TooFar {
        /// How long from now it was to be.
        delay: Duration,
    },
    /// A post was to be unique by a key that no outbox can hold. Nothing was stored.
    #[error(transparent)]
    UniqueKey(#[from] InvalidUniqueKey),
    /// The message is in the outbox, and the broker would not take it.
    #[error(transparent)]
    NotSent(#[from] NotSent),
    /// The broker did not take a message that was to be sent again.
    #[error("message `{id}` was not sent again")]
    NotReposted {
        /// Which message.
        id: MessageId,
        /// Why not.
        #[source]
        source: PublishError,
    },
    /// The outbox does not hold the message.
    #[error("message `{id}` is not in the outbox")]
    NotFound {
        /// Which message.
        id: MessageId,
    },
}

brighter_core::__private::readable_debug!(SendError, PublishErrors, NotSent, PostError);

impl PostError {
    /// Returns the kind of failure, as one of few words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NoProcessor(_) | Self::NoBroker | Self::NoOutbox | Self::WrongTransaction { .. } => {
                "not_set_up"
            }
            Self::Map { .. } => "mapping",
            Self::Priority { .. } => "priority",
            Self::NotInFuture { .. } | Self::TooFar { .. } | Self::SeveralTimes => "time",
            Self::Name { .. } => "name",
            Self::UniqueKey(_) => "unique_key",
            Self::Outbox(_) => "outbox",
            Self::NotSent(NotSent { error, .. }) | Self::NotReposted { source: error, .. } => error.kind(),
            Self::NotFound { .. } => "not_found",
            Self::NotFinite { .. } => "not_finite",
        }
    }
}

fn highest_of(highest: Option<u8>) -> String {
    match highest {
        Some(highest) => format!("its highest is {highest}"),
        None => "its messages have no priority; leave `.priority(…)` out".to_owned(),
    }
}
