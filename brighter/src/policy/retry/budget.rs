//! [`RetryBudget`]: keeps retries from becoming a storm.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brighter_core::error::InvalidSetting;
use tokio::time::Instant;

use crate::policy::share::Share;
use crate::policy::time_window::TimeWindow;

/// The window unless said otherwise.
const WINDOW_SECS: u64 = 10;
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST_WINDOW: Duration = Duration::from_secs(60);
const MOST_SHARE: f64 = 1000.0;

/// How many retries all who share this budget may make together, so that when everything fails, retries do
/// not multiply the load by the number of attempts.
///
/// Clones share one budget. Within its window (10 seconds unless [set](Self::window)), it allows
///
/// ```text
/// retries ≤ min_per_second · window + share · first attempts
/// ```
///
/// and one that would be over is not made: the error of the last attempt is the outcome. This is the token
/// bucket of Finagle's `RetryBudget` (Kevin Oliver, *Retry Budgets*,
/// <https://finagle.github.io/blog/2016/02/08/retry-budgets/>) and of tower's `TpsBudget`: each first attempt
/// deposits `share` of a token, each retry withdraws a whole one, both are forgotten after the window, and
/// `min_per_second` is there from the beginning, for those who call seldom. The window moves on in tenths of
/// its length.
///
/// The default is theirs: 20 % and 10 a second.
///
/// ```
/// use brighter::policy::{Retry, RetryBudget};
///
/// // Retries of both together add at most a tenth to the calls, plus two a second.
/// let budget = RetryBudget::new(0.1, 2);
/// let orders = Retry::attempts(3).budget(budget.clone());
/// let mails = Retry::attempts(5).budget(budget.clone());
/// assert_eq!(budget.left(), 20);
/// ```
#[derive(Clone)]
pub struct RetryBudget(Arc<Shared>);

struct Shared {
    share: f64,
    min_per_second: u32,
    window: Duration,
    /// First attempts, and retries.
    made: Mutex<TimeWindow>,
    /// Whether the last retry that was asked for was too many.
    spent: AtomicBool,
}

/// A retry is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    /// Whether the one before was. When everything fails there are many like this, and one line says it.
    pub(super) is_news: bool,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new(0.2, 10)
    }
}

impl RetryBudget {
    /// A budget of this share of the first attempts, from 0.0 to 1000.0 (1.0 is one retry for each), and this many
    /// retries a second besides.
    #[must_use]
    pub fn new(share: f64, min_per_second: u32) -> Self {
        Self::build(share, min_per_second, Duration::from_secs(WINDOW_SECS))
    }

    /// Sets the length of the window, from one second to one minute. The result is a budget of its own with nothing
    /// spent.
    #[must_use]
    pub fn window(self, window: Duration) -> Self {
        Self::build(self.0.share, self.0.min_per_second, window)
    }

    fn build(share: f64, min_per_second: u32, window: Duration) -> Self {
        Self(Arc::new(Shared {
            share,
            min_per_second,
            window,
            made: Mutex::new(TimeWindow::new(window, Instant::now())),
            spent: AtomicBool::new(false),
        }))
    }

    pub(super) fn invalid(&self) -> impl Iterator<Item = InvalidSetting> {
        let Shared { share, window, .. } = &*self.0;
        let is_share = (0.0..=MOST_SHARE).contains(share);
        let is_window = (SHORTEST_WINDOW..=LONGEST_WINDOW).contains(window);
        [
            InvalidSetting::unless(is_share, "budget", share, "between 0 and 1000"),
            InvalidSetting::unless(
                is_window,
                "window",
                format_args!("{window:?}"),
                "between 1s and 60s",
            ),
        ]
        .into_iter()
        .flatten()
    }

    /// How many retries it allows now.
    #[must_use]
    pub fn left(&self) -> u64 {
        let made = self.with(|made, now| made.sums(now));
        self.0.allowed(made.first).saturating_sub(made.second)
    }

    /// Notes a first attempt.
    pub(super) fn deposit(&self) {
        self.with(|made, now| made.now(now).first += 1);
    }

    /// Notes a retry, if it is allowed.
    pub(super) fn withdraw(&self) -> Result<(), Spent> {
        self.with(|made, now| {
            let sums = made.sums(now);
            let allowed = sums.second < self.0.allowed(sums.first);
            made.now(now).second += u64::from(allowed);
            // Within the lock, so that it is news to one.
            let was_spent = self.0.spent.swap(!allowed, Ordering::Relaxed);
            match allowed {
                true => Ok(()),
                false => Err(Spent { is_news: !was_spent }),
            }
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut TimeWindow, Instant) -> T) -> T {
        let mut made = self.0.made.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked within the lock, so that time only ever moves on for the window.
        act(&mut made, Instant::now())
    }
}

impl Shared {
    fn allowed(&self, first_attempts: u64) -> u64 {
        let reserve = f64::from(self.min_per_second) * self.window.as_secs_f64();
        (reserve as u64).saturating_add(self.share().of(first_attempts))
    }

    fn share(&self) -> Share {
        Share::new(self.share, MOST_SHARE)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("share", &self.0.share().to_string())
            .field("min_per_second", &self.0.min_per_second)
            .field("window", &self.0.window)
            .field("left", &self.left())
            .finish()
    }
}

impl fmt::Display for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared {
            min_per_second,
            window,
            ..
        } = &*self.0;
        let share = self.0.share();
        write!(
            f,
            "retries at most {share} of calls and {min_per_second} a second"
        )?;
        match window.as_secs() {
            WINDOW_SECS => Ok(()),
            _ => write!(f, ", over {window:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_spent_budget_is_news_once_until_a_retry() {
        let budget = RetryBudget::new(0.0, 1).window(Duration::from_secs(1));
        for _ in 0..2 {
            assert_eq!(budget.withdraw(), Ok(()));
            assert_eq!(budget.withdraw(), Err(Spent { is_news: true }));
            assert_eq!(budget.withdraw(), Err(Spent { is_news: false }));
            tokio::time::advance(Duration::from_secs(2)).await;
        }
    }
}
