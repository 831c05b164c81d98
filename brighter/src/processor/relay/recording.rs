//! How the outbox and the breakers of topics are told what became of messages.

use std::collections::HashMap;
use std::time::Duration;

use super::Relay;
use super::sent::{Sent, Unrecorded, is_of_topic};
use brighter_core::__private::report;
use brighter_core::channel::PublishError;
use brighter_core::id::MessageId;
use brighter_core::message::RoutingKey;
use brighter_core::outbox::{Claimed, Failure, OutboxError};

/// How long a message that the broker refused is left alone: doubled with each attempt between these two.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_PAUSE_OF_COPIES: Duration = Duration::from_secs(3600);

impl Relay {
    /// Notes what became of messages, in the outbox and for the breakers of their topics.
    pub(super) async fn conclude(
        &self,
        claimed: &[Claimed],
        results: Vec<Option<Result<(), PublishError>>>,
    ) -> Sent {
        self.note_topics(claimed, &results);
        for (claimed, result) in claimed.iter().zip(&results) {
            if let Some(result) = result {
                let topic = &claimed.message.header.topic;
                self.full.note(topic, result.as_ref().copied());
            }
        }
        let mut sent = Sent::default();
        let (mut untried, mut refused) = (Vec::new(), Vec::new());
        for (
            Claimed {
                message, attempts, ..
            },
            result,
        ) in claimed.iter().zip(results)
        {
            let id = message.header.id.clone();
            match result {
                Some(Ok(())) => sent.done.push(id),
                // One that goes before it was not sent.
                None => untried.push(id),
                // The message is not at fault, so it bears no mark.
                Some(Err(error)) if error.is_outage() => {
                    untried.push(id.clone());
                    sent.outages.push((id, error));
                }
                Some(Err(error)) => {
                    let report = report(&error);
                    let pause = pause_after(*attempts, &error);
                    let failure = Failure::new(id.clone(), report.as_str(), pause);
                    let topic = &message.header.topic;
                    let is_last = attempts.saturating_add(1) >= self.settings.attempts;
                    // All messages of the topic fail alike, so they share their lines.
                    let count = match error {
                        PublishError::Unroutable { .. } => self.unroutable.count((topic.clone(), is_last)),
                        _ => Some(1),
                    };
                    match (count, is_last) {
                        (Some(count @ 2..), false) => {
                            tracing::warn!(%topic, count, error = report, "broker refused messages; the outbox keeps them");
                        }
                        (Some(count @ 2..), true) => {
                            tracing::error!(%topic, count, error = report, "broker refused messages too often; they are dead until they are revived");
                        }
                        (Some(_), false) => {
                            tracing::warn!(message_id = %id, %topic, error = report, "broker refused a message; the outbox keeps it");
                        }
                        (Some(_), true) => {
                            tracing::error!(message_id = %id, %topic, error = report, "broker refused a message too often; it is dead until it is revived");
                        }
                        (None, _) => {
                            tracing::debug!(message_id = %id, %topic, error = report, is_last, "broker refused a message, as others of its topic");
                        }
                    }
                    refused.push(if is_last { failure.last() } else { failure });
                    sent.refused.push((id, error));
                }
            }
        }
        sent.unrecorded = self.record(&sent.done, refused, untried).await.err();
        sent
    }

    /// Gives messages back to the outbox that were claimed and are not tried.
    pub(in super::super) async fn give_back(
        &self,
        claimed: &[Claimed],
    ) -> Result<(), (Unrecorded, OutboxError)> {
        let untried = claimed.iter().map(|it| it.message.header.id.clone()).collect();
        self.record(&[], Vec::new(), untried).await
    }

    /// Tells the outbox what it could not be told before. Once the claims have ended that is only what was sent: the
    /// rest may be in the hands of somebody else.
    pub(in super::super) async fn record_again(
        &self,
        unrecorded: Unrecorded,
        are_claimed: bool,
    ) -> Result<(), (Unrecorded, OutboxError)> {
        let Unrecorded {
            done,
            refused,
            untried,
        } = unrecorded;
        if are_claimed {
            self.record(&done, refused, untried).await
        } else {
            self.record(&done, Vec::new(), Vec::new()).await
        }
    }

    /// Notes in the outbox what became of messages.
    pub(super) async fn record(
        &self,
        done: &[MessageId],
        mut refused: Vec<Failure>,
        untried: Vec<MessageId>,
    ) -> Result<(), (Unrecorded, OutboxError)> {
        brighter_core::__private::fault_point!("relay.mark");
        // One that cannot be noted must not keep the others from it: each is tried, and the first error told.
        let (mut marked, mut failed, mut released) = (Ok(()), Ok(()), Ok(()));
        if !done.is_empty() {
            marked = self.outbox.mark_dispatched(done).await;
        }
        if !refused.is_empty() {
            failed = self.outbox.mark_failed(&refused).await;
        }
        if !untried.is_empty() {
            released = self.outbox.release(&untried).await;
        }
        brighter_core::__private::fault_point!("relay.marked");
        #[cfg(feature = "testing")]
        if let Some(observer) = &self.observer {
            observer.recorded();
        }
        // An attempt is counted once.
        if failed.is_ok() {
            refused.clear();
        }
        marked.and(failed).and(released).map_err(|error| {
            tracing::warn!(
                error = report(&error),
                "could not record outcomes in the outbox; messages may be sent again"
            );
            let unrecorded = Unrecorded {
                done: done.to_vec(),
                refused,
                untried,
            };
            (unrecorded, error)
        })
    }

    /// Tells each topic's breaker how it went.
    fn note_topics(&self, claimed: &[Claimed], results: &[Option<Result<(), PublishError>>]) {
        if self.circuits.is_quiet() && results.iter().all(|result| matches!(result, Some(Ok(())))) {
            return;
        }
        let is_broken = !results.iter().any(|result| matches!(result, Some(Ok(()))));
        let mut went = HashMap::<&RoutingKey, bool>::new();
        for (claimed, result) in claimed.iter().zip(results) {
            let is_well = match result {
                Some(Ok(())) => true,
                Some(Err(error)) if is_of_topic(error, is_broken) => false,
                _ => continue,
            };
            *went.entry(&claimed.message.header.topic).or_default() |= is_well;
        }
        for (topic, is_well) in went {
            self.circuits.note(topic, is_well);
        }
    }
}

fn pause_after(attempts: u32, error: &PublishError) -> Duration {
    let longest = match error {
        // Each attempt gives the channels that are not full another copy.
        PublishError::ChannelFull { others: 1.., .. } => LONGEST_PAUSE_OF_COPIES,
        _ => LONGEST_PAUSE,
    };
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(longest)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::in_memory::outbox::InMemoryOutbox;
    use crate::processor::Sweeper;
    use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};

    fn claimed(topic: &str) -> Claimed {
        let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
        Claimed::new(Message::new(header, MessageBody::new("")), 0)
    }

    #[test]
    fn partly_accepted_messages_are_retried_less_and_less_often() {
        let full = |others| PublishError::ChannelFull {
            channel: "c".into(),
            waiting: 3,
            others,
        };
        let seconds = |attempts, error: &PublishError| pause_after(attempts, error).as_secs();
        assert_eq!([0, 1, 5].map(|attempts| seconds(attempts, &full(1))), [1, 2, 32]);
        assert_eq!([20, 99].map(|attempts| seconds(attempts, &full(1))), [3600; 2]);
        assert_eq!([20, 99].map(|attempts| seconds(attempts, &full(0))), [300; 2]);
    }

    #[test]
    fn timeouts_blame_a_topic_only_if_others_succeed() {
        let timed_out = || {
            let after = Duration::from_secs(1);
            Some(Err(PublishError::TimedOut { after }))
        };
        let both = [claimed("slow"), claimed("quick")];
        for (results, paused) in [([timed_out(), Some(Ok(()))], 1), ([timed_out(), timed_out()], 0)] {
            let settings = Sweeper::default().pause_topic_after(1, Duration::from_secs(60));
            let relay = Relay::new(Arc::new(InMemoryOutbox::new()), None, settings);
            relay.note_topics(&both, &results);
            let topics = relay.circuits.paused();
            assert_eq!(topics.len(), paused, "{topics:?}");
            assert!(topics.iter().all(|(topic, _)| *topic == *"slow"), "{topics:?}");
        }
    }
}
