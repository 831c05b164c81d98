//! What became of messages that were sent.

use brighter_core::channel::PublishError;
use brighter_core::id::MessageId;
use brighter_core::outbox::{Failure, OutboxError};

/// Whether an error says that other messages of the topic would fail too, rather than the message by itself or,
/// if nothing at all was taken, the broker.
pub(super) fn is_of_topic(error: &PublishError, nothing_was_taken: bool) -> bool {
    match error {
        PublishError::Name(_) | PublishError::TooLarge { .. } => false,
        // A pause would keep it from the channels that take it.
        PublishError::ChannelFull { others, .. } => *others == 0,
        PublishError::TimedOut { .. } => !nothing_was_taken,
        error => !error.is_outage(),
    }
}

/// The outcomes that the outbox could not record. These messages stay claimed until their lease ends, and are then sent
/// again, behind others.
#[derive(Debug, Default)]
pub(in super::super) struct Unrecorded {
    pub(super) done: Vec<MessageId>,
    pub(super) refused: Vec<Failure>,
    pub(super) untried: Vec<MessageId>,
}

/// The outcomes of messages that were sent.
#[derive(Debug, Default)]
pub(in super::super) struct Sent {
    pub(in super::super) done: Vec<MessageId>,
    pub(in super::super) outages: Vec<(MessageId, PublishError)>,
    pub(in super::super) refused: Vec<(MessageId, PublishError)>,
    /// The outbox could not note all of it.
    pub(in super::super) unrecorded: Option<(Unrecorded, OutboxError)>,
}

impl Sent {
    /// Whether nothing went wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.outages.is_empty() && self.refused.is_empty() && self.unrecorded.is_none()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.done.extend(other.done);
        self.outages.extend(other.outages);
        self.refused.extend(other.refused);
        self.unrecorded = self.unrecorded.take().or(other.unrecorded);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_shared_failures_blame_the_topic() {
        let timed_out = PublishError::TimedOut {
            after: Duration::from_secs(1),
        };
        assert!(is_of_topic(&timed_out, false));
        // Nothing was taken at all: the broker may be to blame.
        assert!(!is_of_topic(&timed_out, true));
        for nothing_was_taken in [false, true] {
            let refused = PublishError::Refused { reason: "no".into() };
            assert!(is_of_topic(&refused, nothing_was_taken));
            assert!(!is_of_topic(&PublishError::Closed, nothing_was_taken));
            for others in [0, 1] {
                let (channel, waiting) = ("c".into(), 3);
                let full = PublishError::ChannelFull {
                    channel,
                    waiting,
                    others,
                };
                assert_eq!(is_of_topic(&full, nothing_was_taken), others == 0);
            }
            let too_large = PublishError::TooLarge { bytes: 2, limit: 1 };
            assert!(!is_of_topic(&too_large, nothing_was_taken));
        }
    }

    #[test]
    fn it_is_clean_if_nothing_at_all_went_wrong() {
        let done = || Sent {
            done: vec![MessageId::new()],
            ..Sent::default()
        };
        assert!(done().is_clean());
        let failure = || vec![(MessageId::new(), PublishError::Closed)];
        let with = |spoil: fn(&mut Sent, Vec<(MessageId, PublishError)>)| {
            let mut sent = done();
            spoil(&mut sent, failure());
            sent
        };
        assert!(!with(|sent, failure| sent.outages = failure).is_clean());
        assert!(!with(|sent, failure| sent.refused = failure).is_clean());
        let unrecorded = with(|sent, _| {
            let error = OutboxError::Unavailable("away".into());
            sent.unrecorded = Some((Unrecorded::default(), error));
        });
        assert!(!unrecorded.is_clean());
    }

    #[test]
    fn sent_results_append_and_keep_the_first_unrecorded() {
        let of = |error: &str| Sent {
            done: vec![error.into()],
            outages: vec![(error.into(), PublishError::Closed)],
            refused: vec![(error.into(), PublishError::Closed)],
            unrecorded: Some((Unrecorded::default(), OutboxError::Unavailable(error.into()))),
        };
        let mut sent = of("first");
        sent.add(of("second"));
        assert_eq!(sent.done, [MessageId::from("first"), "second".into()]);
        assert_eq!((sent.outages.len(), sent.refused.len()), (2, 2));
        let (_, error) = sent.unrecorded.unwrap();
        assert!(
            brighter_core::__private::report(&error).contains("first"),
            "{error}"
        );
    }
}
