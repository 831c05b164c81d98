//! From an outcome to a [`Settlement`]: the one table that decides what becomes of a message.

use std::time::Duration;

use super::route::RouteError;
use crate::channel::{Rejection, RejectionKind, SubscriptionSettings};
use crate::error::{ActionKind, HandlerError};

/// What becomes of a message.
///
/// | outcome | settlement |
/// |---|---|
/// | every handler succeeded | ack |
/// | a handler asked for [`DontAck`](crate::DontAck), or the process is shutting down | give back, unchanged |
/// | a handler asked for [`Defer`](crate::Defer) | again after its delay, counted |
/// | a handler failed, timed out or panicked | again after the subscription's delay, counted |
/// | a circuit is open | kept in hand until it may have closed, then handled again; not counted |
/// | a limit had no room, or the inbox is away | again after the subscription's first delay, a second at least, not counted |
/// | another delivery of the request is being handled | again when that one's claim has ended, a minute at most, not counted |
/// | a handler asked for [`Reject`](crate::Reject), or the request is not valid | dead-letter channel |
/// | a duplicate that is to be rejected, or an id that is used twice | dead-letter channel |
/// | a handler asked for [`Invalid`](crate::Invalid), the mapper failed, or the headers made no sense | invalid-message channel |
/// | again, counted, but that was the last attempt | dead-letter channel |
///
/// When several handlers of an event fail, the first line of this table that one of them is on decides: what
/// brings the message again comes before what ends it, so that no handler misses its retry for another's sake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settlement {
    Ack,
    GiveBack,
    Again { delay: Duration, counted: bool },
    SetAside(Rejection),
}

/// A broker's redelivery is immediate, so what is given back waits this long in hand: a handler that always
/// says `DontAck` must not spin.
pub(super) const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);

/// Decides what becomes of a message after delivery number `attempt`, counted from 1; or, by the error, how
/// long to keep it in hand and then handle it again.
pub(super) fn settlement(
    outcome: &Result<(), RouteError>,
    attempt: u32,
    settings: &SubscriptionSettings,
) -> Result<Settlement, Duration> {
    let failures = match outcome {
        Ok(()) => return Ok(Settlement::Ack),
        Err(RouteError::Map(error)) => return Ok(invalid(crate::error::report(error))),
        Err(RouteError::Handlers(errors)) => errors.failures.iter(),
    };
    let Some(gravest) = failures.min_by_key(|failure| rank(&failure.error)) else {
        return Ok(Settlement::Ack);
    };
    let report = || {
        format!(
            "attempt {attempt} of {}: {}",
            settings.attempts,
            gravest.error.report()
        )
    };
    let again = |delay: Option<Duration>| {
        if attempt >= settings.attempts {
            return Settlement::SetAside(Rejection::new(RejectionKind::DeadLetter, report()));
        }
        Settlement::Again {
            delay: delay.unwrap_or_else(|| settings.delay_after(attempt)),
            counted: true,
        }
    };
    Ok(match &gravest.error {
        HandlerError::Action(action) => match action.kind() {
            ActionKind::DontAck => Settlement::GiveBack,
            ActionKind::Defer(delay) => again(delay),
            ActionKind::Reject => Settlement::SetAside(Rejection::new(RejectionKind::DeadLetter, report())),
            ActionKind::Invalid => invalid(gravest.error.report()),
        },
        HandlerError::Validation(_) => {
            Settlement::SetAside(Rejection::new(RejectionKind::DeadLetter, report()))
        }
        HandlerError::Cancelled => Settlement::GiveBack,
        HandlerError::BrokenCircuit { retry_after, .. } => return Err(*retry_after),
        HandlerError::Overloaded { .. } | HandlerError::Inbox(_) => Settlement::Again {
            delay: settings.delay_after(1).max(GIVE_BACK_AFTER),
            counted: false,
        },
        HandlerError::InProgress { retry_after, .. } => Settlement::Again {
            delay: *retry_after,
            counted: false,
        },
        HandlerError::Duplicate { .. } | HandlerError::Collision { .. } => {
            Settlement::SetAside(Rejection::new(RejectionKind::DeadLetter, report()))
        }
        HandlerError::Failed(_) | HandlerError::TimedOut { .. } | HandlerError::Panicked { .. } => {
            again(None)
        }
    })
}

pub(super) fn invalid(reason: impl Into<String>) -> Settlement {
    Settlement::SetAside(Rejection::new(RejectionKind::Invalid, reason))
}

/// The line of the table.
fn rank(error: &HandlerError) -> u8 {
    match error {
        HandlerError::Cancelled => 0,
        HandlerError::Action(action) => match action.kind() {
            ActionKind::DontAck => 0,
            ActionKind::Defer(_) => 1,
            ActionKind::Reject => 4,
            ActionKind::Invalid => 5,
        },
        HandlerError::Failed(_) | HandlerError::TimedOut { .. } | HandlerError::Panicked { .. } => 2,
        HandlerError::BrokenCircuit { .. } | HandlerError::Overloaded { .. } => 3,
        HandlerError::Inbox(_) | HandlerError::InProgress { .. } => 3,
        HandlerError::Duplicate { .. } | HandlerError::Collision { .. } => 4,
        HandlerError::Validation(_) => 4,
    }
}
