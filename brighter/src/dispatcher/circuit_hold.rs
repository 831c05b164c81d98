//! [`CircuitHold`]: a message that is kept in hand while a circuit refuses it.

use std::time::Duration;

use futures_util::future::{pending, select_all};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::route::RouteError;
use super::settlement::Settlement;
use brighter_core::error::{HandlerError, RetrySignal, RetryTurn};

/// How long a message is kept in hand at most while a circuit is open: far less than the 30 minutes after
/// which RabbitMQ closes the channel of a consumer that has not settled.
const LONGEST_HOLD: Duration = Duration::from_secs(300);
/// A circuit that says no more than a time must not be asked in a tight loop.
const SHORTEST_HOLD: Duration = Duration::from_millis(10);

/// How long one message has been kept in hand while circuits refused it.
#[derive(Debug, Default)]
pub(super) struct CircuitHold {
    held: Option<Duration>,
}

/// The times at which the circuits that refused a message may be tried again.
struct Refusals {
    signals: Vec<RetrySignal>,
    /// The shortest time of those that have no signal.
    delay: Option<Duration>,
}

impl CircuitHold {
    /// Whether the message has not been kept so far.
    pub(super) fn is_new(&self) -> bool {
        self.held.is_none()
    }

    /// Waits until the message may be handled again, which is when the first of the circuits that refused it gives it its
    /// turn. `pause` is for how long they expect to refuse it.
    ///
    /// # Errors
    /// What becomes of the message instead: it was kept for long enough, or the performer is to stop.
    pub(super) async fn retry(
        &mut self,
        pause: Duration,
        error: Option<RouteError>,
        stop: &CancellationToken,
    ) -> Result<RetryTurn, Settlement> {
        let pause = pause.clamp(SHORTEST_HOLD, LONGEST_HOLD);
        let refusals = Refusals::of(error, pause);
        let began = Instant::now();
        let held = self.held.unwrap_or_default();
        let left = LONGEST_HOLD.saturating_sub(held);
        let turn = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Settlement::Release),
            turn = refusals.turn() => turn,
            () = sleep(left) => {
                return Err(Settlement::Requeue { delay: pause, counted: false });
            }
        };
        self.held = Some(held.saturating_add(began.elapsed()));
        Ok(turn)
    }
}

impl Refusals {
    fn of(error: Option<RouteError>, pause: Duration) -> Self {
        let failures = match error {
            Some(RouteError::Handlers(errors)) => errors.failures,
            _ => Vec::new(),
        };
        let mut refusals = Self {
            signals: Vec::new(),
            delay: None,
        };
        for failure in failures {
            match failure.error {
                HandlerError::BrokenCircuit {
                    retry: Some(signal), ..
                } => refusals.signals.push(signal),
                HandlerError::BrokenCircuit { retry_delay, .. } => {
                    let delay = retry_delay.max(SHORTEST_HOLD);
                    refusals.delay = Some(refusals.delay.map_or(delay, |least| least.min(delay)));
                }
                _ => {}
            }
        }
        if refusals.signals.is_empty() {
            refusals.delay.get_or_insert(pause);
        }
        refusals
    }

    /// Waits for the first of them.
    async fn turn(self) -> RetryTurn {
        let signalled = async {
            match self.signals.is_empty() {
                true => pending().await,
                false => {
                    let waits = self.signals.iter().map(|signal| Box::pin(signal.wait()));
                    // The others give up their places.
                    select_all(waits).await.0
                }
            }
        };
        let delayed = async {
            match self.delay {
                Some(delay) => sleep(delay).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            turn = signalled => turn,
            () = delayed => RetryTurn::untracked(),
        }
    }
}
