//! [`Health`]: whether a processor or a dispatcher does what it is for, down to its outbox.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::CommandProcessor;
use super::relay::Relay;
use brighter_core::channel::{Broker, BrokerStatus};
use brighter_core::message::SubscriptionName;
use brighter_core::outbox::{Outbox, OutboxStatus};

/// What counts as healthy, and how much may be asked to find out.
///
/// ```
/// use std::time::Duration;
/// use brighter::CommandProcessor;
/// use brighter::processor::HealthOptions;
///
/// # fn main() -> Result<(), brighter::BoxError> {
/// let options = HealthOptions::default().oldest(Duration::from_secs(60));
/// let processor = CommandProcessor::builder().health(options).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "give it to the builder of a processor"]
pub struct HealthOptions {
    pub(super) oldest: Duration,
    pub(super) deadline: Duration,
    pub(super) fresh_for: Duration,
}

impl Default for HealthOptions {
    /// An outbox is stuck after 5 minutes, has 2 seconds to answer, and is asked every 5 seconds at most.
    fn default() -> Self {
        Self {
            oldest: Duration::from_secs(300),
            deadline: Duration::from_secs(2),
            fresh_for: Duration::from_secs(5),
        }
    }
}

impl HealthOptions {
    /// Takes the outbox for stuck when a message waits for longer than this: see [`Unhealthy::OutboxStuck`].
    pub fn oldest(self, oldest: Duration) -> Self {
        Self { oldest, ..self }
    }

    /// Gives the outbox this long to answer.
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Asks the outbox again only when its last answer is older than this, however often health is asked for. That it
    /// is away is believed for a second at most.
    pub fn fresh_for(self, time: Duration) -> Self {
        Self {
            fresh_for: time,
            ..self
        }
    }
}

/// Whether a processor, or a dispatcher with its processor, does what it is for at this moment; if not, why not.
///
/// As JSON it says `{"reasons": [{"kind": "outbox_away", "reason": "…"}], "outbox": {"outstanding": 3, …}}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// What stands in the way. Nothing, if it is ready.
    pub reasons: Vec<Unhealthy>,
    /// How full the outbox is, if there is one and it has answered.
    pub outbox: Option<OutboxFigures>,
}

/// How full an outbox is. Messages that the broker refused, and dead ones, are for a person to look at; they make
/// nothing unhealthy by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboxFigures {
    /// How many messages wait.
    pub outstanding: u64,
    /// How many seconds ago the oldest of them was deposited.
    pub oldest_seconds: Option<f64>,
    /// How many messages are dead.
    pub dead: u64,
}

/// Why something is not healthy.
#[derive(Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unhealthy {
    /// The broker cannot be reached.
    #[error("the broker cannot be reached: {reason}")]
    NoBroker {
        /// What it said last.
        reason: String,
    },
    /// This process has closed the broker.
    #[error("the broker was closed by this process")]
    Closed,
    /// A subscription is not consumed.
    #[error("{reason}")]
    NotConsumed {
        /// Which.
        subscription: SubscriptionName,
        /// Why not, with its name.
        reason: String,
    },
    /// The outbox cannot be read.
    #[error("the outbox cannot be reached: {reason}")]
    OutboxAway {
        /// What it said.
        reason: String,
    },
    /// The outbox has not answered in time.
    #[error("the outbox has not answered within {seconds} s")]
    OutboxSilent {
        /// How long it had.
        seconds: f64,
    },
    /// A message waits in the outbox for too long: where this process sweeps, because no sweep got to the end of the
    /// outbox for as long; a message that the broker refuses alone is none of these.
    #[error("the outbox is stuck: the oldest of {outstanding} messages waits for {oldest_seconds:.0} s")]
    OutboxStuck {
        /// How many messages wait.
        outstanding: u64,
        /// For how long the oldest does.
        oldest_seconds: f64,
    },
    /// The sweeper of this process fails.
    #[error("the sweeper has failed for {seconds:.0} s: {reason}")]
    SweeperFails {
        /// For how long.
        seconds: f64,
        /// Why, the last time.
        reason: String,
    },
}

brighter_core::__private::readable_debug!(Unhealthy);

impl Health {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.reasons.split_first() else {
            return f.write_str("ready");
        };
        write!(f, "not ready: {first}")?;
        others.iter().try_for_each(|reason| write!(f, "; {reason}"))
    }
}

/// What the sweeper says of itself.
#[derive(Debug)]
pub(super) struct Sweeping {
    state: std::sync::Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When a sweep last got to the end of the outbox; at first, when this was made.
    complete: Instant,
    failing: Option<(Instant, String)>,
}

impl Sweeping {
    pub(super) fn new() -> Self {
        Self {
            state: std::sync::Mutex::new(State {
                complete: Instant::now(),
                failing: None,
            }),
        }
    }

    /// A sweep got to the end of the outbox.
    pub(super) fn complete(&self) {
        self.with(|state| {
            state.complete = Instant::now();
            state.failing = None;
        });
    }

    /// A sweep ended early, for the broker is away, which the broker tells itself.
    pub(super) fn cut_short(&self) {
        self.with(|state| state.failing = None);
    }

    /// A sweep failed.
    pub(super) fn failed(&self, reason: String) {
        self.with(|state| {
            let since = state.failing.take().map_or_else(Instant::now, |(since, _)| since);
            state.failing = Some((since, reason));
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is known of the outbox, for all who ask for health.
pub(super) struct Checkup {
    options: HealthOptions,
    /// Whether this process sweeps.
    sweeps: bool,
    /// Held while the outbox is asked, so that many who ask at once are one question to it.
    known: tokio::sync::Mutex<Option<Known>>,
}

type Known = (Instant, Result<OutboxStatus, Unhealthy>);

/// How long it is believed that the outbox is away.
const AWAY_FOR: Duration = Duration::from_secs(1);

impl Checkup {
    pub(super) fn new(options: HealthOptions, sweeps: bool) -> Self {
        Self {
            options,
            sweeps,
            known: tokio::sync::Mutex::new(None),
        }
    }

    /// What the outbox says; asked again only if the last answer is old.
    async fn ask(&self, outbox: &dyn Outbox) -> Result<OutboxStatus, Unhealthy> {
        let HealthOptions {
            deadline, fresh_for, ..
        } = self.options;
        let silent = || Unhealthy::OutboxSilent {
            seconds: deadline.as_secs_f64(),
        };
        let Ok(mut known) = timeout(deadline, self.known.lock()).await else {
            return Err(silent());
        };
        if let Some((at, answer)) = &*known {
            let fresh_for = match answer {
                Ok(_) => fresh_for,
                Err(_) => fresh_for.min(AWAY_FOR),
            };
            if at.elapsed() < fresh_for {
                return answer.clone();
            }
        }
        let answer = match timeout(deadline, outbox.status()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(Unhealthy::OutboxAway {
                reason: brighter_core::__private::report(&error),
            }),
            Err(_) => Err(silent()),
        };
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Whether the outbox is there and gets empty.
    async fn outbox(&self, relay: &Relay, health: &mut Health) {
        let asked = Instant::now();
        let answer = self.ask(&**relay.outbox()).await;
        let (complete, failing) = relay
            .sweeping
            .with(|state| (state.complete, state.failing.clone()));
        if let (true, Some((since, reason))) = (self.sweeps, failing) {
            health.reasons.push(Unhealthy::SweeperFails {
                seconds: asked.saturating_duration_since(since).as_secs_f64(),
                reason,
            });
        }
        let status = match answer {
            Ok(status) => status,
            Err(problem) => return health.reasons.push(problem),
        };
        health.outbox = Some(OutboxFigures {
            outstanding: status.outstanding,
            oldest_seconds: status.oldest.map(|oldest| oldest.as_secs_f64()),
            dead: status.dead,
        });
        let bound = self.options.oldest;
        // What the broker refused waits too, while the sweeper gets through all the others.
        let is_swept = self.sweeps && complete.elapsed() < bound;
        if let Some(oldest) = status.oldest.filter(|oldest| *oldest > bound && !is_swept) {
            health.reasons.push(Unhealthy::OutboxStuck {
                outstanding: status.outstanding,
                oldest_seconds: oldest.as_secs_f64(),
            });
        }
    }
}

fn of_broker(broker: &Arc<dyn Broker>) -> Option<Unhealthy> {
    match broker.status() {
        // Blocked, it gives us ours and takes nothing; the outbox keeps that, and tells when it is too long.
        BrokerStatus::Connected | BrokerStatus::Blocked { .. } => None,
        BrokerStatus::Disconnected { reason } => Some(Unhealthy::NoBroker { reason }),
        _ => Some(Unhealthy::Closed),
    }
}

impl CommandProcessor {
    /// Whether this processor can do what it is for: its broker is there, its outbox answers and gets empty.
    ///
    /// It can be asked as often as anyone likes: the outbox is asked every few seconds at most, by one at a time, and
    /// has a deadline, all of which [`HealthOptions`] say.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), brighter::BoxError> {
    /// use brighter::{CommandProcessor, InMemoryBroker, InMemoryOutbox};
    ///
    /// let processor = CommandProcessor::builder()
    ///     .broker(InMemoryBroker::new())
    ///     .outbox(InMemoryOutbox::new())
    ///     .build()?;
    /// let health = processor.health().await;
    /// assert!(health.is_ready(), "{health}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn health(&self) -> Health {
        let mut health = Health::default();
        health.reasons.extend(self.0.broker.as_ref().and_then(of_broker));
        if let Some(relay) = &self.0.relay {
            self.0.checkup.outbox(relay, &mut health).await;
        }
        health
    }
}
