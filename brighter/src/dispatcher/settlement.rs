//! From an outcome to a [`Settlement`]: the one table that decides what becomes of a message.

use std::time::Duration;

use super::route::RouteError;
use crate::subscription::SubscriptionSettings;
use crate::telemetry::metrics::HandlingOutcome;
use brighter_core::__private::clock::NEVER;
use brighter_core::channel::{Rejection, RejectionKind};
use brighter_core::error::{ActionKind, HandlerError};

/// The settlement of a message.
///
/// | outcome | settlement |
/// |---|---|
/// | every handler succeeded | ack |
/// | a handler asked for [`DontAck`](crate::DontAck), or the process is shutting down | give back, unchanged |
/// | a handler asked for [`Defer`](crate::Defer) | again after its delay, counted; dead-letter channel if that is more than a hundred years |
/// | a handler failed, timed out or panicked, or all of it took longer than the subscription's time-out | again after the subscription's delay, counted |
/// | a circuit is open | kept in hand until it may have closed, then handled again; not counted |
/// | a limit had no room, or the inbox is away | again after the subscription's first delay, a second at least, not counted |
/// | another delivery of the request is being handled | again when that one's claim has ended, a minute at most, not counted |
/// | a handler asked for [`Reject`](crate::Reject), or the request is not valid | dead-letter channel |
/// | a duplicate that is to be rejected, or an id that is used twice | dead-letter channel |
/// | the broker has delivered it too often without its being settled | dead-letter channel, unhandled |
/// | a handler asked for [`Invalid`](crate::Invalid), the mapper failed, it is of no type that is brought, or the headers made no sense | invalid-message channel |
/// | again, counted, but that was the last attempt | dead-letter channel |
///
/// When several handlers of an event fail, the first line of this table that one of them is on decides: what
/// brings the message again comes before what ends it, so that no handler misses its retry for another's sake.
/// After the last attempt, a handler whose error counts is on the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settlement {
    Ack,
    Release,
    Requeue { delay: Duration, counted: bool },
    Reject(Rejection),
}

impl Settlement {
    /// By what word it is known in traces and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Ack => "ack",
            Self::Release => "release",
            Self::Requeue { .. } => "requeue",
            Self::Reject(Rejection {
                kind: RejectionKind::Invalid,
                ..
            }) => "set_aside_invalid",
            Self::Reject(_) => "dead_letter",
        }
    }

    /// The outcome that the metrics count.
    pub(super) fn outcome(&self) -> HandlingOutcome {
        match self {
            Self::Ack => HandlingOutcome::Handled,
            Self::Release => HandlingOutcome::Returned,
            Self::Requeue { .. } => HandlingOutcome::Again,
            Self::Reject(Rejection {
                kind: RejectionKind::Invalid,
                ..
            }) => HandlingOutcome::Invalid,
            Self::Reject(_) => HandlingOutcome::DeadLettered,
        }
    }
}

/// A broker's redelivery is immediate, so what is given back waits this long in hand: a handler that always
/// says `DontAck` must not spin.
pub(super) const RELEASE_DELAY: Duration = Duration::from_secs(1);

/// Decides what becomes of a message after delivery number `attempt`, counted from 1; or, by the error, how
/// long to keep it in hand and then handle it again.
pub(super) fn settlement(
    outcome: &Result<(), RouteError>,
    attempt: u32,
    settings: &SubscriptionSettings,
) -> Result<Settlement, Duration> {
    let failures = match outcome {
        Ok(()) => return Ok(Settlement::Ack),
        Err(RouteError::Map(error)) => return Ok(invalid(brighter_core::__private::report(error))),
        Err(RouteError::Handlers(errors)) => errors.failures.iter(),
        Err(RouteError::TimedOut(after)) => {
            return settlement_of(&HandlerError::TimedOut { after: *after }, attempt, settings);
        }
    };
    let last = attempt >= settings.attempts;
    let Some(gravest) = failures.min_by_key(|failure| line(&failure.error, last)) else {
        return Ok(Settlement::Ack);
    };
    Ok(match settlement_of(&gravest.error, attempt, settings)? {
        Settlement::Reject(rejection) => {
            Settlement::Reject(rejection.by_handler(gravest.handler, gravest.error.kind()))
        }
        other => other,
    })
}

/// Returns the settlement of a message for this error.
fn settlement_of(
    error: &HandlerError,
    attempt: u32,
    settings: &SubscriptionSettings,
) -> Result<Settlement, Duration> {
    let last = attempt >= settings.attempts;
    let report = || format!("attempt {attempt} of {}: {}", settings.attempts, error.report());
    let again = |delay: Option<Duration>| {
        if last {
            return dead(report());
        }
        Settlement::Requeue {
            delay: delay.unwrap_or_else(|| settings.delay_after(attempt)),
            counted: true,
        }
    };
    Ok(match error {
        HandlerError::Action(action) => match action.kind() {
            ActionKind::DontAck => Settlement::Release,
            // No broker can, so no retry helps: a person must see it.
            ActionKind::Defer(Some(delay)) if delay > NEVER => dead(format!(
                "{}; a message can wait for a hundred years at most, and this one would wait for {delay:?}",
                report()
            )),
            ActionKind::Defer(delay) => again(delay),
            ActionKind::Reject => dead(report()),
            ActionKind::Invalid => invalid(error.report()),
        },
        HandlerError::Validation(_) => dead(report()),
        HandlerError::Cancelled => Settlement::Release,
        HandlerError::BrokenCircuit { retry_delay, .. } => return Err(*retry_delay),
        HandlerError::Overloaded { .. } | HandlerError::Inbox(_) | HandlerError::Transaction(_) => {
            Settlement::Requeue {
                delay: settings.delay_after(1).max(RELEASE_DELAY),
                counted: false,
            }
        }
        HandlerError::InProgress { retry_delay, .. } => Settlement::Requeue {
            delay: *retry_delay,
            counted: false,
        },
        HandlerError::Duplicate { .. } | HandlerError::Collision { .. } => dead(report()),
        // `Failed`, `TimedOut`, `Panicked`, and whatever else went wrong in a handler.
        _ => again(None),
    })
}

pub(super) fn dead(reason: impl Into<String>) -> Settlement {
    Settlement::Reject(Rejection::new(RejectionKind::DeadLetter, reason))
}

pub(super) fn invalid(reason: impl Into<String>) -> Settlement {
    Settlement::Reject(Rejection::new(RejectionKind::Invalid, reason))
}

/// The line of the table that an error is on.
fn line(error: &HandlerError, last_attempt: bool) -> u8 {
    match error {
        HandlerError::Cancelled => 0,
        HandlerError::Action(action) => match action.kind() {
            ActionKind::DontAck => 0,
            ActionKind::Defer(_) if last_attempt => 9,
            ActionKind::Defer(_) => 1,
            ActionKind::Reject => 6,
            ActionKind::Invalid => 8,
        },
        HandlerError::BrokenCircuit { .. } => 3,
        HandlerError::Overloaded { .. } | HandlerError::Inbox(_) | HandlerError::Transaction(_) => 4,
        HandlerError::InProgress { .. } => 5,
        HandlerError::Validation(_) => 6,
        HandlerError::Duplicate { .. } | HandlerError::Collision { .. } => 7,
        _ if last_attempt => 9,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::processor::{PublishErrors, SubscriberFailure};
    use brighter_core::channel::Channel;
    use brighter_core::error::{Defer, DontAck, Invalid, PumpAction, Reject};

    fn settings() -> SubscriptionSettings {
        let mut settings = SubscriptionSettings::new("test".into(), Channel::new("test", "test"));
        settings.attempts = 3;
        settings.delays = vec![Duration::from_secs(1), Duration::from_secs(2)];
        settings
    }

    fn decide(errors: Vec<HandlerError>, attempt: u32) -> Result<Settlement, Duration> {
        let failures = errors
            .into_iter()
            .map(|error| SubscriberFailure {
                handler: "handler",
                error,
            })
            .collect();
        settlement(
            &Err(RouteError::Handlers(PublishErrors { failures })),
            attempt,
            &settings(),
        )
    }

    fn failed() -> HandlerError {
        HandlerError::Failed("no".into())
    }

    fn asked(action: PumpAction) -> HandlerError {
        HandlerError::Action(action)
    }

    fn broken() -> HandlerError {
        HandlerError::BrokenCircuit {
            policy: "breaker".into(),
            retry_delay: Duration::from_secs(7),
            retry: None,
        }
    }

    fn aside(kind: RejectionKind) -> impl Fn(Result<Settlement, Duration>) -> bool {
        move |settled| matches!(settled, Ok(Settlement::Reject(rejection)) if rejection.kind == kind)
    }

    #[test]
    fn one_handler_is_settled_by_its_line() {
        let again = |seconds, counted| {
            Ok(Settlement::Requeue {
                delay: Duration::from_secs(seconds),
                counted,
            })
        };
        assert_eq!(settlement(&Ok(()), 1, &settings()), Ok(Settlement::Ack));
        assert_eq!(
            decide(vec![asked(DontAck::because("later"))], 9),
            Ok(Settlement::Release)
        );
        assert_eq!(decide(vec![HandlerError::Cancelled], 9), Ok(Settlement::Release));
        assert_eq!(
            decide(vec![asked(Defer::after(Duration::from_secs(5)))], 1),
            again(5, true)
        );
        assert_eq!(decide(vec![asked(Defer::by_subscription())], 2), again(2, true));
        assert_eq!(decide(vec![failed()], 1), again(1, true));
        assert_eq!(decide(vec![broken()], 9), Err(Duration::from_secs(7)));
        let full = HandlerError::Overloaded {
            policy: "limit".into(),
            waited: Duration::ZERO,
        };
        assert_eq!(decide(vec![full], 9), again(1, false));
        let (dead, invalid) = (aside(RejectionKind::DeadLetter), aside(RejectionKind::Invalid));
        assert_eq!(
            decide(vec![asked(Defer::after(NEVER))], 1),
            again(NEVER.as_secs(), true)
        );
        let Ok(Settlement::Reject(rejection)) = decide(vec![asked(Defer::after(Duration::MAX))], 1) else {
            panic!("a delay that no broker can keep is a dead letter");
        };
        assert!(
            rejection.reason.contains("a hundred years at most"),
            "{rejection:?}"
        );
        assert!(dead(decide(vec![asked(Reject::because("no"))], 1)));
        assert!(dead(decide(vec![HandlerError::Validation("no".into())], 1)));
        assert!(invalid(decide(vec![asked(Invalid::because("no"))], 1)));
        for last in [
            failed(),
            asked(Defer::by_subscription()),
            HandlerError::Panicked { message: "no".into() },
        ] {
            assert!(dead(decide(vec![last], 3)));
        }
    }

    #[test]
    fn traces_and_metrics_know_each_by_its_word() {
        let again = Settlement::Requeue {
            delay: Duration::ZERO,
            counted: true,
        };
        let all = [
            Settlement::Ack,
            Settlement::Release,
            again,
            invalid("no"),
            dead("no"),
        ];
        assert_eq!(
            all.map(|settlement| settlement.name()),
            ["ack", "release", "requeue", "set_aside_invalid", "dead_letter"]
        );
    }

    #[test]
    fn of_several_handlers_the_first_line_decides_whatever_their_order() {
        let lines: [fn() -> HandlerError; 6] = [
            || asked(DontAck::because("later")),
            || asked(Defer::after(Duration::from_secs(5))),
            failed,
            broken,
            || asked(Reject::because("no")),
            || asked(Invalid::because("no")),
        ];
        for (index, first) in lines.iter().enumerate() {
            for other in &lines[index..] {
                let alone = decide(vec![first()], 1);
                assert_eq!(decide(vec![first(), other()], 1), alone);
                assert_eq!(decide(vec![other(), first()], 1), alone);
            }
        }
    }

    #[test]
    fn a_handlers_last_attempt_spares_handlers_not_yet_called() {
        let full = || HandlerError::Overloaded {
            policy: "limit".into(),
            waited: Duration::ZERO,
        };
        for ended in [failed, || asked(Defer::by_subscription())] {
            for spared in [broken, full] {
                let settled = decide(vec![ended(), spared()], 3);
                assert_eq!(settled, decide(vec![spared()], 3));
            }
        }
        assert!(aside(RejectionKind::DeadLetter)(decide(
            vec![failed(), failed()],
            3
        )));
    }
}
