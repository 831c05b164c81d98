//! [`OpenQuestions`]: what consumers that hear nothing have asked the broker, and it has not answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use brighter_core::message::ChannelName;

/// A question that is open for this long makes the process unready: a consumer that asks stands still. Answers take
/// milliseconds; together with the silence before a question it is less than the 5 s in which a stall is to be seen.
const LONG: Duration = Duration::from_millis(1500);
/// How long a channel that nobody consumes again is remembered as doubted.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The questions of all consumers of a broker.
#[derive(Default)]
pub(crate) struct OpenQuestions {
    open: Mutex<Vec<(u64, Instant)>>,
    count: AtomicU64,
    /// The channels whose last consumer got no answer, and since when. A broker may accept the next consumer, too, and
    /// give it nothing.
    doubted: Mutex<HashMap<ChannelName, ChannelDoubt>>,
}

/// The doubt about a channel whose last consumer got no answer.
struct ChannelDoubt {
    since: Instant,
    /// How many consumers in a row got none.
    in_a_row: u32,
}

/// A question that is open until this is dropped.
pub(super) struct OpenQuestion {
    questions: Arc<OpenQuestions>,
    number: u64,
}

impl OpenQuestions {
    /// Notes that the broker is asked now.
    pub(super) fn ask(self: &Arc<Self>) -> OpenQuestion {
        self.asked_at(Instant::now())
    }

    fn asked_at(self: &Arc<Self>, asked: Instant) -> OpenQuestion {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.lock().push((number, asked));
        OpenQuestion {
            questions: Arc::clone(self),
            number,
        }
    }

    /// Notes that a consumer of this channel ends, or cannot begin, as the broker does not answer well; it is the last of
    /// so many in a row.
    pub(super) fn doubt(&self, name: &ChannelName, in_a_row: u32) {
        let now = Instant::now();
        let mut doubted = self.doubts();
        doubted.retain(|_, doubt| now.duration_since(doubt.since) < REMEMBERED);
        // Old enough to count at once.
        let since = now.checked_sub(LONG).unwrap_or(now);
        let doubt = doubted.entry(name.clone());
        let doubt = doubt.or_insert(ChannelDoubt { since, in_a_row });
        // Consumers beside each other end together.
        doubt.in_a_row = doubt.in_a_row.max(in_a_row);
    }

    /// Returns how many consumers of this channel have ended in a row without a good answer.
    pub(super) fn ended_in_a_row(&self, name: &ChannelName) -> u32 {
        let doubted = self.doubts();
        doubted.get(name).map_or(0, |doubt| doubt.in_a_row)
    }

    /// Returns a question that is open since the channel is doubted, if it is: for a consumer that begins again, until it
    /// gets a message or an answer.
    pub(super) fn doubted(self: &Arc<Self>, name: &ChannelName) -> Option<OpenQuestion> {
        let since = self.doubts().get(name)?.since;
        Some(self.asked_at(since))
    }

    /// Notes that a consumer of this channel got a message, or a good answer.
    pub(super) fn is_well(&self, name: &ChannelName) {
        self.doubts().remove(name);
    }

    /// Returns since when a question has waited for its answer, if that is too long.
    pub(crate) fn unanswered_since(&self) -> Option<SystemTime> {
        let longest = self.lock().iter().map(|(_, asked)| asked.elapsed()).max()?;
        (longest >= LONG).then(|| SystemTime::now() - longest)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubts(&self) -> MutexGuard<'_, HashMap<ChannelName, ChannelDoubt>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.questions.lock().retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn only_a_question_that_is_open_for_long_counts() {
        let questions = Arc::new(OpenQuestions::default());
        assert_eq!(questions.unanswered_since(), None);
        let first = questions.ask();
        advance(LONG - Duration::from_millis(1)).await;
        let second = questions.ask();
        assert_eq!(questions.unanswered_since(), None);
        advance(Duration::from_millis(1)).await;
        assert!(questions.unanswered_since().is_some());
        drop(first);
        assert_eq!(questions.unanswered_since(), None);
        advance(LONG).await;
        assert!(questions.unanswered_since().is_some());
        drop(second);
        assert_eq!(questions.unanswered_since(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarted_consumer_counts_until_its_channel_is_well() {
        let questions = Arc::new(OpenQuestions::default());
        let (ours, theirs) = (
            ChannelName::from_static("ours"),
            ChannelName::from_static("theirs"),
        );
        assert!(questions.doubted(&ours).is_none());
        advance(LONG).await;
        questions.doubt(&ours, 1);
        assert_eq!(questions.unanswered_since(), None, "nobody consumes it");
        assert!(questions.doubted(&theirs).is_none());
        let consumer = questions.doubted(&ours);
        assert!(questions.unanswered_since().is_some(), "at once");
        drop(consumer);
        assert_eq!(questions.unanswered_since(), None);
        questions.doubt(&ours, 2);
        questions.doubt(&ours, 1);
        assert_eq!(questions.ended_in_a_row(&ours), 2);
        questions.is_well(&ours);
        assert_eq!(questions.ended_in_a_row(&ours), 0);
        assert!(questions.doubted(&ours).is_none());
        questions.doubt(&ours, 1);
        advance(REMEMBERED).await;
        questions.doubt(&theirs, 1);
        assert!(questions.doubted(&ours).is_none(), "that is long ago");
    }
}
