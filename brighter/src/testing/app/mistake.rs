//! Which errors of a handler no further attempt can mend.

use std::error::Error;

use crate::processor::{CallError, NoProcessor, PostError, SendError};
use brighter_core::error::HandlerError;
use brighter_core::inbox::InboxError;
use brighter_core::outbox::OutboxError;

/// Returns what is wrong, if the error says that the application is put together wrongly, so that the handler fails in
/// the same way however often it is called. What is wrong with one message is not of this kind.
pub(super) fn mistake(error: &HandlerError) -> Option<String> {
    chain(error).any(is_mistake).then(|| error.report())
}

/// Returns what a panic said, if the error is one, or is about one.
pub(super) fn panic(error: &HandlerError) -> Option<&str> {
    chain(error).find_map(|error| match error.downcast_ref() {
        Some(HandlerError::Panicked { message }) => Some(message.as_str()),
        _ => None,
    })
}

/// The error and all that are behind it.
fn chain(error: &HandlerError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |error| {
        let error: &(dyn Error + 'static) = *error;
        match error.downcast_ref() {
            // Its own source is that of what it holds.
            Some(HandlerError::Failed(held)) => Some(&**held),
            _ => error.source(),
        }
    })
}

fn is_mistake(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<PostError>() {
        return match error {
            PostError::NoProcessor(_)
            | PostError::NoBroker
            | PostError::NoOutbox
            | PostError::WrongTransaction { .. } => true,
            PostError::Outbox(error) => is_of_outbox(error),
            _ => false,
        };
    }
    if let Some(error) = error.downcast_ref::<InboxError>() {
        return matches!(
            error,
            InboxError::NotHandling
                | InboxError::Transactional
                | InboxError::WrongTransaction { .. }
                | InboxError::Unsupported(_)
        );
    }
    error.is::<NoProcessor>()
        || error.downcast_ref().is_some_and(is_of_outbox)
        || matches!(
            error.downcast_ref(),
            Some(CallError::NoProcessor(_) | CallError::NoBroker)
        )
        || matches!(
            error.downcast_ref(),
            Some(SendError::NoHandler { .. } | SendError::NoProcessor(_))
        )
}

fn is_of_outbox(error: &OutboxError) -> bool {
    matches!(
        error,
        OutboxError::Unsupported(_) | OutboxError::Tables(_) | OutboxError::NewerSchema { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::error::{BoxError, Defer, Reject};

    fn failed(error: impl Into<BoxError>) -> HandlerError {
        HandlerError::from(error.into())
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the handler could not do it")]
    struct Outer(#[source] BoxError);

    #[test]
    fn a_wrong_wiring_is_found_however_deep() {
        let wrong = || PostError::WrongTransaction {
            wanted: "PostgresOutbox",
        };
        let said = "the transaction is of a `PostgresOutbox`";
        assert!(mistake(&failed(wrong())).unwrap().contains(said));
        assert!(
            mistake(&failed(Outer(Outer(wrong().into()).into())))
                .unwrap()
                .contains(said)
        );
        assert!(
            mistake(&failed(Reject::because("no").caused_by(wrong())))
                .unwrap()
                .contains(said)
        );
        for error in [
            failed(SendError::NoHandler { command: "C" }),
            failed(NoProcessor),
            failed(InboxError::NotHandling),
            failed(InboxError::Transactional),
            failed(InboxError::WrongTransaction {
                wanted: "PostgresInbox",
            }),
            failed(PostError::Outbox(OutboxError::Unsupported("schedules"))),
            failed(OutboxError::Tables("no such table".into())),
            HandlerError::Inbox(InboxError::Unsupported("claims").into()),
        ] {
            assert!(mistake(&error).is_some(), "{error:?}");
        }
    }

    #[test]
    fn retryable_errors_are_no_mistakes() {
        for error in [
            failed("out of stock"),
            failed(PostError::Outbox(OutboxError::Unavailable("away".into()))),
            failed(Defer::by_subscription()),
            failed(InboxError::Unavailable("away".into())),
            HandlerError::Cancelled,
        ] {
            assert!(mistake(&error).is_none(), "{error:?}");
        }
    }

    #[test]
    fn a_panic_in_a_nested_command_is_found() {
        let panicked = || HandlerError::Panicked {
            message: "lost its head".to_owned(),
        };
        assert_eq!(panic(&panicked()), Some("lost its head"));
        let sent = failed(SendError::Handler(panicked()));
        assert_eq!(panic(&sent), Some("lost its head"));
        assert_eq!(panic(&failed("out of stock")), None);
    }
}
