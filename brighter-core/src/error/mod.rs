//! [`HandlerError`]: how handling a request ends when it does not end well, and what a handler may ask of
//! the pump that brought the request: [`Defer`], [`Reject`], [`Invalid`], [`DontAck`].

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

/// Any error, in a box: what every handler's error turns into.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// How handling a request ended when it did not end well.
///
/// A handler returns an error type of its own; the pipeline turns it into this. What the handler returned is
/// still in it: [`downcast_ref`](Self::downcast_ref) gives it back.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError {
    /// The handler returned its own error.
    #[error(transparent)]
    Failed(BoxError),
    /// The handler asked for something of the pump.
    #[error(transparent)]
    Action(PumpAction),
    /// A circuit breaker is open: the handler was not called.
    #[error("circuit breaker `{policy}` is open for another {retry_delay:?}; the handler was not called")]
    BrokenCircuit {
        /// The name of the breaker.
        policy: String,
        /// How long it stays open. While it tries a few calls or is held open, that is unknown: the whole time.
        retry_delay: Duration,
        /// Tells when to try again, also if that is sooner. `None` from a breaker that has no signal.
        retry: Option<RetrySignal>,
    },
    /// A limit on concurrency or rate had no room for the call: the handler was not called.
    #[error("`{policy}` had no room within {waited:?}; the handler was not called")]
    Overloaded {
        /// The name of the limit.
        policy: String,
        /// How long the call waited for room.
        waited: Duration,
    },
    /// The handler took longer than it may.
    #[error("no result within {after:?}")]
    TimedOut {
        /// The limit that passed.
        after: Duration,
    },
    /// The handler, or a layer around it, panicked.
    #[error("panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The request is not valid: the handler was not called.
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
    /// Another request with the same id was handled before: this is no duplicate, but an id that is used twice.
    #[error(
        "`{context}` knows another request by the id `{id}`, with other content; give each request its own id"
    )]
    Collision {
        /// The id of both requests.
        id: MessageId,
        /// The context of the inbox in which the other is known.
        context: String,
    },
    /// Another delivery of the same request is being handled now, or its process died and its claim has not
    /// ended yet: the handler was not called.
    #[error("request `{id}` is being handled by `{context}` already; again in {retry_delay:?}")]
    InProgress {
        /// The id of the request.
        id: MessageId,
        /// The context of the inbox in which it is being handled.
        context: String,
        /// How long to leave it alone.
        retry_delay: Duration,
    },
    /// The inbox cannot say whether the request was handled before, or the outbox cannot replay it: the handler
    /// was not called.
    #[error("the inbox could not do its part; the handler was not called")]
    Inbox(#[source] BoxError),
    /// The process is shutting down.
    #[error("given up because the process is shutting down")]
    Cancelled,
}

impl HandlerError {
    /// Whether trying again may help, which is what a retry policy asks.
    ///
    /// Not after an open circuit or a limit without room, nor for a request that is not valid, nor when the handler said
    /// what is to become of the message, nor when the inbox kept the request from it.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Failed(_) | Self::TimedOut { .. } | Self::Panicked { .. }
        )
    }

    /// What went wrong, as one of few words, by which failures are counted.
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
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether something went wrong, rather than the handler wanting the message once more, or being spared it.
    #[doc(hidden)]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Action(action) => !matches!(action.kind(), ActionKind::Defer(_) | ActionKind::DontAck),
            Self::Cancelled | Self::InProgress { .. } => false,
            _ => true,
        }
    }

    /// This as the cause of a pump action, unless it is one already, or nobody failed: the process is
    /// shutting down, another delivery of the request is being handled, or the inbox is away.
    #[doc(hidden)]
    pub fn stopped_by(self, kind: ActionKind) -> Self {
        let error = match self {
            Self::Action(_) | Self::Cancelled | Self::InProgress { .. } | Self::Inbox(_) => return self,
            // The handler's own, not wrapped once more.
            Self::Failed(error) => error,
            other => other.into(),
        };
        Self::Action(PumpAction::new(kind).caused_by(error))
    }

    /// This once more, if it says more than that somebody failed.
    fn again(&self) -> Option<Again> {
        Some(Again::Whole(match self {
            // An action is found by what it asks.
            Self::Failed(_) | Self::Action(_) | Self::TimedOut { .. } | Self::Panicked { .. } => return None,
            Self::Validation(_) => return Some(Again::Around(Self::Validation)),
            Self::Inbox(_) => return Some(Again::Around(Self::Inbox)),
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

    /// What the handler asked of the pump, if that is what this is.
    #[must_use]
    pub fn action(&self) -> Option<&PumpAction> {
        match self {
            Self::Action(action) => Some(action),
            _ => None,
        }
    }

    /// The handler's own error, or that of its request's validation, if it is of type `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(error) | Self::Validation(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// The error with every cause behind it, on one line.
    #[must_use]
    pub fn report(&self) -> String {
        report(self)
    }
}

/// Turns what a handler or a layer returned into a [`HandlerError`], finding a pump action or another
/// `HandlerError` wherever in the chain of causes it stands. What only says that somebody failed
/// (`Failed`, `TimedOut`, `Panicked`) inside another error stays that error.
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
        // What is deeper in the chain counts too: an application may wrap it in its own error, and sending from
        // a handler does.
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
                // Transparent: its source is the source of what it holds.
                Some(Self::Failed(failed)) => Some(&**failed),
                Some(known) => match known.again() {
                    Some(Again::Whole(again)) => return again,
                    Some(Again::Around(around)) => return around(error),
                    None => inner.source(),
                },
                None => inner.source(),
            };
        }
        Self::Failed(error)
    }
}

/// How an error that stands deep in a chain is made once more, to stand at the top.
enum Again {
    /// Of its own fields.
    Whole(HandlerError),
    /// Around the error in whose chain it was found, as its own cause cannot be taken out.
    Around(fn(BoxError) -> HandlerError),
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".to_owned())
}

/// What a handler asks of the pump by returning it as an error: made by [`Defer`], [`Reject`], [`Invalid`]
/// and [`DontAck`].
///
/// Policies let it through: it is never retried and trips no breaker.
pub struct PumpAction(Asked);

crate::__readable_debug!(HandlerError, PumpAction);

/// What a [`PumpAction`] holds, as the source of itself: an error that wraps the action without being
/// downcastable, as a boxed `anyhow::Error` is, still shows this in its chain of causes.
#[derive(Debug)]
struct Asked {
    kind: ActionKind,
    reason: Option<String>,
    source: Option<BoxError>,
}

/// Which of the four a [`PumpAction`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionKind {
    /// Bring the message again, after this delay or the subscription's own.
    Defer(Option<Duration>),
    /// Put the message in the dead-letter channel.
    Reject,
    /// Put the message in the invalid-message channel.
    Invalid,
    /// Give the message back to the broker as it is.
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

    /// Says why, for the log and for who reads the dead letter.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Keeps the error that led to it.
    #[must_use]
    pub fn caused_by(mut self, error: impl Into<BoxError>) -> Self {
        self.0.source = Some(error.into());
        self
    }

    /// Which of the four it is.
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

/// Asks the pump to bring the message again later. In process, with `send`, it is an error like any other.
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
    /// Again after this long. A message that is to wait for more than a hundred years is a dead letter at once: no
    /// broker can keep it so long.
    #[must_use]
    pub fn after(delay: Duration) -> PumpAction {
        PumpAction::new(ActionKind::Defer(Some(delay)))
    }

    /// Again after the delay that the subscription has for this attempt.
    #[must_use]
    pub fn by_subscription() -> PumpAction {
        PumpAction::new(ActionKind::Defer(None))
    }
}

/// Asks the pump to put the message in the dead-letter channel at once.
#[derive(Debug, Clone, Copy)]
pub struct Reject;

impl Reject {
    /// To the dead-letter channel, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> PumpAction {
        PumpAction::new(ActionKind::Reject).because(reason)
    }
}

/// Asks the pump to put the message in the invalid-message channel at once.
#[derive(Debug, Clone, Copy)]
pub struct Invalid;

impl Invalid {
    /// To the invalid-message channel, for this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> PumpAction {
        PumpAction::new(ActionKind::Invalid).because(reason)
    }
}

/// Asks the pump to give the message back to the broker unchanged, so that any consumer may take it.
#[derive(Debug, Clone, Copy)]
pub struct DontAck;

impl DontAck {
    /// Back to the broker, for this reason.
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
            "the inbox could not do its part; the handler was not called: outer: the disk is gone"
        );
        let held = around(HandlerError::Failed(HandlerError::Cancelled.into()));
        assert!(matches!(held, HandlerError::Cancelled), "{held:?}");
    }

    #[test]
    fn what_only_failed_inside_another_error_stays_that_error() {
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
