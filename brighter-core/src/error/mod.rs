//! [`HandlerError`]: why handling a request failed, and the actions that a handler may ask of the pump: [`Defer`],
//! [`Reject`], [`Invalid`], [`DontAck`].

mod report;
mod retry_signal;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

#[doc(hidden)]
pub use self::report::report_lines;
pub use self::report::{ErrorReport, report};
pub use self::retry_signal::{RetrySignal, RetryTurn};
use crate::id::MessageId;

pub use crate::setting::InvalidSetting;

/// Any error, boxed. Every handler's error is converted to it.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why handling a request failed.
///
/// A handler returns an error type of its own, and the pipeline converts it to this type.
/// [`downcast_ref`](Self::downcast_ref) returns the handler's own error.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The handler returned its own error.
    #[error(transparent)]
    Failed(BoxError),
    /// The handler asked the pump for an action.
    #[error(transparent)]
    Action(PumpAction),
    /// A circuit breaker is open: the handler was not called.
    #[error("circuit breaker `{policy}` is open for another {retry_delay:?}; the handler was not called")]
    BrokenCircuit {
        /// The name of the breaker.
        policy: String,
        /// How long the breaker stays open. While it tries a few calls or is held open, that is unknown, and this is
        /// its whole break duration.
        retry_delay: Duration,
        /// Tells when to try again, which may be sooner. `None` from a breaker that has no signal.
        retry: Option<RetrySignal>,
    },
    /// A limit on concurrency or rate had no room for the call: the handler was not called.
    #[error("limit `{policy}` had no capacity within {waited:?}; the handler was not called")]
    Overloaded {
        /// The name of the limit.
        policy: String,
        /// How long the call waited for room.
        waited: Duration,
    },
    /// The handler exceeded its time limit.
    #[error("no result within {after:?}")]
    TimedOut {
        /// The time limit.
        after: Duration,
    },
    /// The handler, or a layer around it, panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// The request is invalid: the handler was not called.
    #[error("the request is not valid")]
    Validation(#[source] BoxError),
    /// The request was handled before, and its handler has `#[use_inbox(on_duplicate = reject)]`.
    #[error("request `{id}` was handled before by `{context}`; it is a duplicate")]
    Duplicate {
        /// The id of the request.
        id: MessageId,
        /// The context of the inbox in which it was handled.
        context: String,
    },
    /// Another request with the same id was handled before: the id was used twice.
    #[error(
        "`{context}` knows another request by the id `{id}`, with other content; give each request its own id"
    )]
    Collision {
        /// The id of both requests.
        id: MessageId,
        /// The context of the inbox that has the other request.
        context: String,
    },
    /// Another delivery of the same request is being handled, or its process died and its claim has not yet expired.
    /// The handler was not called.
    #[error("request `{id}` is already being handled by `{context}`; retry in {retry_delay:?}")]
    InProgress {
        /// The id of the request.
        id: MessageId,
        /// The context of the inbox in which it is being handled.
        context: String,
        /// How long to wait before the next attempt.
        retry_delay: Duration,
    },
    /// The inbox could not be asked whether the request was handled before, or the outbox could not replay it. The
    /// handler was not called.
    #[error("inbox operation failed; the handler was not called")]
    Inbox(#[source] BoxError),
    /// The transaction of `#[transactional]` could not be begun, or the outcome of its commit is unknown and the database
    /// cannot be asked. When the request comes again, the inbox knows whether it was handled.
    #[error("the transaction of the handler could not be begun, or its outcome is unknown")]
    Transaction(#[source] BoxError),
    /// The process is shutting down.
    #[error("cancelled because the process is shutting down")]
    Cancelled,
}

impl HandlerError {
    /// Returns whether another attempt may succeed. Retry policies call this.
    ///
    /// It is `false` after an open circuit or a full limit, for an invalid request, for a pump action, and if the inbox
    /// refused the request.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::TimedOut { .. } | Self::Panicked { .. }
        )
    }

    /// Returns the failure as one of a few words, by which failures are counted.
    #[doc(hidden)]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Action(action) => match action.kind() {
                ActionKind::Reject => "reject",
                ActionKind::Defer(_) => "defer",
                ActionKind::DontAck => "dont_ack",
                ActionKind::Invalid => "invalid",
            },
            Self::BrokenCircuit { .. } => "broken_circuit",
            Self::Overloaded { .. } => "overloaded",
            Self::TimedOut { .. } => "timed_out",
            Self::Panicked { .. } => "panicked",
            Self::Validation(_) => "validation",
            Self::Duplicate { .. } => "duplicate",
            Self::Collision { .. } => "collision",
            Self::InProgress { .. } => "in_progress",
            Self::Inbox(_) => "inbox",
            Self::Transaction(_) => "transaction",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether something failed. It is `false` for `Defer` and `DontAck`, for a shutdown, and for a request in
    /// progress.
    #[doc(hidden)]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Action(action) => !matches!(action.kind(), ActionKind::Defer(_) | ActionKind::DontAck),
            Self::Cancelled | Self::InProgress { .. } => false,
            _ => true,
        }
    }

    /// Returns a pump action with this error as its cause. Returns the error itself if it is an action already, or if
    /// nobody failed: the process is shutting down, another delivery of the request is being handled, or the inbox or the
    /// database of its transaction is unavailable.
    #[doc(hidden)]
    pub fn stopped_by(self, kind: ActionKind) -> Self {
        let error = match self {
            Self::Action(_)
            | Self::Cancelled
            | Self::InProgress { .. }
            | Self::Inbox(_)
            | Self::Transaction(_) => return self,
            // The handler's own error is not wrapped once more.
            Self::Failed(error) => error,
            other => other.into(),
        };
        Self::Action(PumpAction::new(kind).caused_by(error))
    }

    /// Returns a copy of this error, if it tells more than that the handler failed.
    fn again(&self) -> Option<LiftedError> {
        Some(LiftedError::Whole(match self {
            // An action is found by its own source.
            Self::Failed(_) | Self::Action(_) | Self::TimedOut { .. } | Self::Panicked { .. } => return None,
            Self::Validation(_) => return Some(LiftedError::Around(Self::Validation)),
            Self::Inbox(_) => return Some(LiftedError::Around(Self::Inbox)),
            Self::Transaction(_) => return Some(LiftedError::Around(Self::Transaction)),
            Self::BrokenCircuit {
                policy,
                retry_delay,
                retry,
            } => Self::BrokenCircuit {
                policy: policy.clone(),
                retry_delay: *retry_delay,
                retry: retry.clone(),
            },
            Self::Overloaded { policy, waited } => Self::Overloaded {
                policy: policy.clone(),
                waited: *waited,
            },
            Self::Duplicate { id, context } => Self::Duplicate {
                id: id.clone(),
                context: context.clone(),
            },
            Self::Collision { id, context } => Self::Collision {
                id: id.clone(),
                context: context.clone(),
            },
            Self::InProgress {
                id,
                context,
                retry_delay,
            } => Self::InProgress {
                id: id.clone(),
                context: context.clone(),
                retry_delay: *retry_delay,
            },
            Self::Cancelled => Self::Cancelled,
        }))
    }

    /// Returns the action that the handler asked of the pump, if this is one.
    #[must_use]
    pub fn action(&self) -> Option<&PumpAction> {
        match self {
            Self::Action(action) => Some(action),
            _ => None,
        }
    }

    /// Returns the handler's own error, or the error of its request's validation, if it is of type `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) | Self::Validation(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Returns the error with all its causes, on one line.
    #[must_use]
    pub fn report(&self) -> String {
        report(self)
    }
}

/// Converts the error of a handler or a layer to a [`HandlerError`]. A pump action or another `HandlerError` is found
/// anywhere in the chain of causes. `Failed`, `TimedOut` and `Panicked` are not looked for: inside another error they
/// stay its cause.
impl From<BoxError> for HandlerError {
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(known) => match *known {
                Self::Failed(inner) => return Self::from(inner),
                known => return known,
            },
            Err(other) => other,
        };
        let error = match error.downcast::<PumpAction>() {
            Ok(action) => return Self::Action(*action),
            Err(other) => other,
        };
        // Deeper causes count too: an application may wrap an action in its own error, and so does sending from a
        // handler.
        let mut cause = error.source();
        while let Some(inner) = cause {
            if let Some(Asked { kind, reason, .. }) = inner.downcast_ref() {
                let asked = Asked {
                    kind: *kind,
                    reason: reason.clone(),
                    source: Some(error),
                };
                return Self::Action(PumpAction(asked));
            }
            cause = match inner.downcast_ref::<Self>() {
                // The variant is transparent, so its source is the source of the inner error.
                Some(Self::Failed(failed)) => Some(&**failed),
                Some(known) => match known.again() {
                    Some(LiftedError::Whole(again)) => return again,
                    Some(LiftedError::Around(around)) => return around(error),
                    None => inner.source(),
                },
                None => inner.source(),
            };
        }
        Self::Failed(error)
    }
}

/// How an error deep in a chain is copied, to become the outermost error.
enum LiftedError {
    /// The copy has its own fields.
    Whole(HandlerError),
    /// The copy wraps the error in whose chain it was found, because its own cause cannot be moved out.
    Around(fn(BoxError) -> HandlerError),
}

/// Returns the message of a panic.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

/// An action that a handler asks of the pump by returning it as an error. [`Defer`], [`Reject`], [`Invalid`] and
/// [`DontAck`] make it.
///
/// Policies pass it on: it is never retried, and it does not open a circuit breaker.
pub struct PumpAction(Asked);

crate::__readable_debug!(HandlerError, PumpAction);

/// The content of a [`PumpAction`], which is its own source. An error that wraps the action and cannot be downcast,
/// such as a boxed `anyhow::Error`, still shows this in its chain of causes.
#[derive(Debug)]
struct Asked {
    kind: ActionKind,
    reason: Option<String>,
    source: Option<BoxError>,
}

/// The four kinds of [`PumpAction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Deliver the message again, after this delay or the subscription's own.
    Defer(Option<Duration>),
    /// Move the message to the dead-letter channel.
    Reject,
    /// Move the message to the invalid-message channel.
    Invalid,
    /// Return the message unchanged to the broker.
    DontAck,
}

impl PumpAction {
    fn new(kind: ActionKind) -> Self {
        Self(Asked {
            kind,
            reason: None,
            source: None,
        })
    }

    /// Sets the reason, for the log and for the reader of the dead letter.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Sets the error that caused the action.
    #[must_use]
    pub fn caused_by(mut self, error: impl Into<BoxError>) -> Self {
        self.0.source = Some(error.into());
        self
    }

    /// Returns the kind of the action.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        self.0.kind
    }
}

impl fmt::Display for PumpAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for PumpAction {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ActionKind::Defer(Some(delay)) => write!(f, "deferred for {delay:?}")?,
            ActionKind::Defer(None) => f.write_str("deferred")?,
            ActionKind::Reject => f.write_str("rejected")?,
            ActionKind::Invalid => f.write_str("invalid")?,
            ActionKind::DontAck => f.write_str("not acknowledged")?,
        }
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl Error for Asked {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Asks the pump to deliver the message again later. In process, with `send`, it is an error like any other.
///
/// ```
/// use std::time::Duration;
/// use brighter::{BoxError, Defer};
///
/// fn check(open: bool) -> Result<(), BoxError> {
///     if !open {
///         return Err(Defer::after(Duration::from_secs(30)).because("the shop is closed").into());
///     }
///     Ok(())
/// }
/// # assert!(check(false).is_err());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Defer;

impl Defer {
    /// Returns an action that delivers the message again after `delay`. A delay of more than a hundred years makes the
    /// message a dead letter at once, because no broker can keep it that long.
    #[must_use]
    pub fn after(delay: Duration) -> PumpAction {
        PumpAction::new(ActionKind::Defer(Some(delay)))
    }

    /// Returns an action that delivers the message again after the subscription's delay for this attempt.
    #[must_use]
    pub fn by_subscription() -> PumpAction {
        PumpAction::new(ActionKind::Defer(None))
    }
}

/// Asks the pump to move the message to the dead-letter channel at once.
#[derive(Debug, Clone, Copy)]
pub struct Reject;

impl Reject {
    /// Returns an action that moves the message to the dead-letter channel, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> PumpAction {
        PumpAction::new(ActionKind::Reject).because(reason)
    }
}

/// Asks the pump to move the message to the invalid-message channel at once.
#[derive(Debug, Clone, Copy)]
pub struct Invalid;

impl Invalid {
    /// Returns an action that moves the message to the invalid-message channel, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> PumpAction {
        PumpAction::new(ActionKind::Invalid).because(reason)
    }
}

/// Asks the pump to return the message unchanged to the broker, so that any consumer may take it.
#[derive(Debug, Clone, Copy)]
pub struct DontAck;

impl DontAck {
    /// Returns an action that returns the message to the broker, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> PumpAction {
        PumpAction::new(ActionKind::DontAck).because(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] PumpAction);

    #[test]
    fn an_action_is_found_however_deep() {
        let direct = HandlerError::from(BoxError::from(Reject::because("no")));
        assert_eq!(direct.action().map(PumpAction::kind), Some(ActionKind::Reject));
        let wrapped = HandlerError::from(BoxError::from(Outer(Defer::by_subscription())));
        assert_eq!(
            wrapped.action().map(PumpAction::kind),
            Some(ActionKind::Defer(None))
        );
        assert_eq!(wrapped.report(), "deferred: outer");
        let nested = HandlerError::from(BoxError::from(HandlerError::Cancelled));
        assert!(matches!(nested, HandlerError::Cancelled));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Around(#[source] BoxError);

    fn around(error: HandlerError) -> HandlerError {
        HandlerError::from(BoxError::from(Around(Around(error.into()).into())))
    }

    #[test]
    fn another_handler_error_is_found_however_deep() {
        let broken = HandlerError::BrokenCircuit {
            policy: "mail".to_owned(),
            retry_delay: Duration::from_secs(7),
            retry: None,
        };
        let said = broken.to_string();
        let found = around(broken);
        assert!(matches!(found, HandlerError::BrokenCircuit { .. }), "{found:?}");
        assert_eq!(found.report(), said);
        assert!(matches!(around(HandlerError::Cancelled), HandlerError::Cancelled));
        let found = around(HandlerError::Inbox("the disk is gone".into()));
        assert!(matches!(found, HandlerError::Inbox(_)), "{found:?}");
        assert_eq!(
            found.report(),
            "inbox operation failed; the handler was not called: outer: the disk is gone"
        );
        let held = around(HandlerError::Failed(HandlerError::Cancelled.into()));
        assert!(matches!(held, HandlerError::Cancelled), "{held:?}");
    }

    #[test]
    fn an_inner_error_does_not_replace_the_outer() {
        let found = around(HandlerError::Failed("disk".into()));
        assert!(found.downcast_ref::<Around>().is_some());
        assert_eq!(found.report(), "outer: disk");
        let after = Duration::from_secs(1);
        let found = around(HandlerError::TimedOut { after });
        assert!(found.is_retryable());
        assert_eq!(found.report(), "outer: no result within 1s");
    }

    #[test]
    fn an_action_inside_anyhow_is_found() {
        let plain = anyhow::Error::new(Reject::because("no"));
        assert!(HandlerError::from(BoxError::from(plain)).action().is_some());
        let with_context = anyhow::Error::new(Reject::because("no")).context("while mailing");
        assert!(
            HandlerError::from(BoxError::from(with_context))
                .action()
                .is_some()
        );
    }

    #[test]
    fn the_handlers_own_error_comes_back() {
        let error = HandlerError::from(BoxError::from(std::io::Error::other("disk")));
        assert!(error.downcast_ref::<std::io::Error>().is_some());
        assert!(error.is_retryable());
        assert!(!HandlerError::Cancelled.is_retryable());
    }
}
