//! What may go wrong with a call.

use std::time::Duration;

use crate::processor::{NoProcessor, PostError};
use brighter_core::channel::PublishError;
use brighter_core::mapper::MapError;

/// Why a call has no reply. Except where it is said, the request may have been handled all the same.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The context that it was called with belongs to no processor. Nothing was sent.
    #[error(transparent)]
    NoProcessor(#[from] NoProcessor),
    /// The processor has no broker. Nothing was sent.
    #[error("the processor has no broker to call through: add `.broker(…)` to its builder")]
    NoBroker,
    /// The call was given no time at all. Nothing was sent.
    #[error("a call needs a timeout for its reply: the timeout must be greater than zero")]
    NoTime,
    /// The limit of pending calls is reached. Nothing was sent.
    #[error(
        "the limit of {limit} pending calls is reached: call again later, or raise it with `.max_pending_calls(…)`"
    )]
    TooMany {
        /// How many may.
        limit: usize,
    },
    /// No message could be made of the request. Nothing was sent.
    #[error("the request could not be mapped to a message")]
    NotMade(#[source] PostError),
    /// The replies could not be listened for in time. Nothing was sent.
    #[error("the reply channel could not be consumed within {after:?}, and nothing was sent: {reason}")]
    NotListening {
        /// How long was waited.
        after: Duration,
        /// Why not.
        reason: String,
    },
    /// The broker did not take the request. [`PublishError::Unroutable`] means that nobody handles it.
    #[error("the request was not sent")]
    NotSent(#[source] PublishError),
    /// There was no reply in time. One that comes later is dropped.
    #[error("no reply within {after:?}; the request may still be handled")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The handling process has rejected the request: it is in a dead-letter or invalid-message channel there.
    #[error("the handling process rejected the request: {reason}")]
    Failed {
        /// Why, as it was said there; its first 2,000 characters.
        reason: String,
    },
    /// The request was handled before, and its reply, which nobody keeps, may be lost.
    #[error(
        "the request was handled before and its reply was not kept: ask for the result with another request"
    )]
    HandledBefore,
    /// The reply could not be read.
    #[error("the reply to `{request}` could not be read")]
    Unreadable {
        /// The type of the request.
        request: &'static str,
        /// Why not.
        #[source]
        source: MapError,
    },
    /// The processor was closed.
    #[error("the processor was closed while a call waited for its reply")]
    Closed,
}

brighter_core::__private::readable_debug!(CallError);

impl CallError {
    /// Returns the kind of failure, as one of few words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NoProcessor(_) | Self::NoBroker => "not_set_up",
            Self::NoTime => "time",
            Self::TooMany { .. } => "too_many",
            Self::NotMade(error) => error.kind(),
            Self::NotListening { .. } => "not_listening",
            Self::NotSent(error) => error.kind(),
            Self::TimedOut { .. } => "timed_out",
            Self::Failed { .. } => "failed",
            Self::HandledBefore => "handled_before",
            Self::Unreadable { .. } => "mapping",
            Self::Closed => "closed",
        }
    }
}
