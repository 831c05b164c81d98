//! [`OpenQuestions`]: what consumers that hear nothing have asked the broker, and it has not answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A question that is open for this long makes the process unready: a consumer that asks stands still. Answers take
/// milliseconds; together with the silence before a question it is less than the 5 s in which a stall is to be seen.
const LONG: Duration = Duration::from_millis(1500);

/// The questions of all consumers of a broker.
#[derive(Default)]
pub(crate) struct OpenQuestions {
    open: Mutex<Vec<(u64, Instant)>>,
    count: AtomicU64,
}

/// A question that is open until this is dropped.
pub(super) struct OpenQuestion {
    questions: Arc<OpenQuestions>,
    number: u64,
}

impl OpenQuestions {
    /// Notes that the broker is asked now.
    pub(super) fn ask(self: &Arc<Self>) -> OpenQuestion {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        self.lock().push((number, Instant::now()));
        OpenQuestion {
            questions: Arc::clone(self),
            number,
        }
    }

    /// Returns since when a question has waited for its answer, if that is too long.
    pub(crate) fn unanswered_since(&self) -> Option<SystemTime> {
        let longest = self.lock().iter().map(|(_, asked)| asked.elapsed()).max()?;
        (longest >= LONG).then(|| SystemTime::now() - longest)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
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
}
