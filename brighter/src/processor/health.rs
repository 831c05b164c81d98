//! [`Health`]: whether a processor or a dispatcher does what it is for, down to its outbox.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use brighter_core::message::SubscriptionName;

/// What counts as healthy, and how much may be asked to find out.
///
/// ```
/// use std::time::Duration;
/// use brighter::CommandProcessor;
/// use brighter::processor::HealthOptions;
///
/// # fn main() -> Result<(), brighter::BoxError> {
/// let options = HealthOptions::default().max_age(Duration::from_secs(60));
/// let processor = CommandProcessor::builder().health(options).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "give it to the builder of a processor"]
pub struct HealthOptions {
    pub(super) max_age: Duration,
    pub(super) check_timeout: Duration,
    pub(super) check_interval: Duration,
}

impl Default for HealthOptions {
    /// An outbox is stuck after 5 minutes, has 2 seconds to answer, and is asked every 5 seconds at most.
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(300),
            check_timeout: Duration::from_secs(2),
            check_interval: Duration::from_secs(5),
        }
    }
}

impl HealthOptions {
    /// Takes the outbox for stuck when a message waits for longer than this: see [`Unhealthy::OutboxStuck`].
    pub fn max_age(self, age: Duration) -> Self {
        Self { max_age: age, ..self }
    }

    /// Gives the outbox this long to answer.
    pub fn check_timeout(self, timeout: Duration) -> Self {
        Self {
            check_timeout: timeout,
            ..self
        }
    }

    /// Asks the outbox again only when its last answer is older than this, however often health is asked for. That it
    /// is away is believed for a second at most.
    pub fn check_interval(self, interval: Duration) -> Self {
        Self {
            check_interval: interval,
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
    /// The broker holds publishers back, for it is short of memory or disk. Consumers go on.
    #[error("the broker takes no messages for now: {reason}")]
    Blocked {
        /// What it said.
        reason: String,
    },
    /// The broker confirms nothing, although messages wait for it.
    #[error("the broker has confirmed no message for {seconds:.0} s")]
    Unconfirmed {
        /// For how long.
        seconds: f64,
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
