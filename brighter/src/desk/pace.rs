//! [`SendingPace`]: spreads messages over time.

use std::time::Duration;

use tokio::time::Instant;

/// How many messages are sent at once where there is no rate.
const TOGETHER: u64 = 100;

/// Spreads messages over time, by a rate in messages a second.
#[derive(Debug)]
pub(super) struct SendingPace {
    rate: Option<f64>,
    due: Instant,
}

impl SendingPace {
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self {
            rate,
            due: Instant::now(),
        }
    }

    /// Returns how many messages to send together.
    pub(super) fn batch(&self) -> u64 {
        match self.rate {
            None => TOGETHER,
            // A tenth of a second's worth.
            Some(rate) => ((rate / 10.0) as u64).clamp(1, TOGETHER),
        }
    }

    /// Returns how long to wait before the next messages.
    pub(super) fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Counts messages that were sent. Time that has passed without messages is not made up for.
    pub(super) fn sent(&mut self, messages: u64) {
        let Some(rate) = self.rate else { return };
        let spent =
            Duration::try_from_secs_f64(messages as f64 / rate).unwrap_or(Duration::from_secs(86_400));
        let now = Instant::now();
        // A little lag is made up for, so that the rate is met although sending takes time.
        let earliest = now.checked_sub(Duration::from_millis(500)).unwrap_or(now);
        self.due = self.due.max(earliest) + spent;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_met_although_sending_takes_time() {
        let begun = Instant::now();
        let (mut pace, mut sent) = (SendingPace::new(Some(50.0)), 0);
        while sent < 500 {
            tokio::time::sleep(pace.wait()).await;
            let batch = pace.batch();
            tokio::time::sleep(Duration::from_millis(20)).await;
            pace.sent(batch);
            sent += batch;
        }
        let seconds = begun.elapsed().as_secs_f64();
        assert!((9.5..10.5).contains(&seconds), "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_made_up_for() {
        let mut pace = SendingPace::new(Some(10.0));
        tokio::time::sleep(Duration::from_secs(60)).await;
        for _ in 0..10 {
            pace.sent(1);
        }
        assert!(pace.wait() >= Duration::from_millis(400), "{:?}", pace.wait());
    }
}
