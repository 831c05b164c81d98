//! [`Health`]: whether a processor or a dispatcher does what it is for, down to its outbox.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use brighter_core::message::{ChannelName, RoutingKey, SubscriptionName};

/// Options of health checks: what counts as healthy, and how often to ask.
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
    /// The reasons why the processor is not ready; empty if it is ready.
    pub reasons: Vec<Unhealthy>,
    /// How full the outbox is, if there is one and it has answered.
    pub outbox: Option<OutboxStats>,
    /// The channels that were full when this process last posted to them. They make nothing unhealthy: the outbox keeps
    /// what they refuse, and a person has to see to it that they are consumed, or to remove them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub full_channels: Vec<FullChannel>,
    /// Messages and claims that other processes hold and this one could handle. They come when the others are done, or
    /// when their leases end. They make nothing unhealthy, and explain why messages wait after a process was killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

/// Messages or requests that others hold.
#[derive(Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Held {
    /// A process holds messages of the broker and has not said in time that it is alive.
    #[error(
        "{consumer} of the broker holds {messages} messages and gives no sign; they are delivered again in {seconds_left:.0} s unless it does"
    )]
    BySilentConsumer {
        /// The name that the broker has for it.
        consumer: String,
        /// How many messages it holds.
        messages: u64,
        /// In how many seconds they are delivered to others.
        seconds_left: f64,
    },
    /// Requests came to `#[use_inbox]` while others had claimed them: a process that handles them, or one that was killed
    /// while it did.
    #[error(
        "{requests} requests of `{context}` wait for others that have claimed them in the inbox, {seconds_left:.0} s at most; if those were killed, a shorter lease of `#[use_inbox]` or a timeout of the subscription lets them come sooner"
    )]
    ByClaim {
        /// The context of the inbox: who handles them.
        context: String,
        /// How many requests wait.
        requests: u64,
        /// For how many seconds the longest claim goes on.
        seconds_left: f64,
    },
}

brighter_core::__private::readable_debug!(Held);

/// A channel that refused a message of a topic, as it was full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FullChannel {
    /// The channel.
    pub channel: ChannelName,
    /// The topic. Other channels that want it have their copies.
    pub topic: RoutingKey,
    /// How many messages waited in the channel the last time.
    pub waiting: u64,
    /// For how many seconds the channel has refused the topic.
    pub seconds: f64,
}

/// How full an outbox is. Messages that the broker refused, and dead ones, are for a person to look at; they make
/// nothing unhealthy by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutboxStats {
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
    #[error(
        "the broker is unreachable, and brighter reconnects by itself; check the broker and the network: {reason}"
    )]
    NoBroker {
        /// The last error of the broker.
        reason: String,
    },
    /// The broker holds publishers back, for it is short of memory or disk. Consumers go on.
    #[error("the broker blocks publishing: {reason}")]
    Blocked {
        /// The reason that was given.
        reason: String,
    },
    /// The broker confirms nothing although messages wait for it, or does not answer a consumer that gets nothing.
    #[error("the broker has confirmed no message, or not answered a consumer, for {seconds:.0} s")]
    Unconfirmed {
        /// For how long.
        seconds: f64,
    },
    /// This process has closed the broker.
    #[error("this process closed its broker and sends nothing more; restart the process to send again")]
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
    #[error("the outbox is unreachable; check its database: {reason}")]
    OutboxAway {
        /// The reason that was given.
        reason: String,
    },
    /// The outbox has not answered in time.
    #[error("the outbox did not answer within {seconds} s; check its database and its connection pool")]
    OutboxSilent {
        /// How long it had.
        seconds: f64,
    },
    /// A message waits in the outbox for too long: where this process sweeps, because no sweep got to the end of the
    /// outbox for as long; a message that the broker refuses alone is none of these.
    #[error(
        "the outbox is stuck: the oldest of {outstanding} messages has waited for {oldest_seconds:.0} s; {}",
        who_sends(*swept_here)
    )]
    OutboxStuck {
        /// How many messages wait.
        outstanding: u64,
        /// For how long the oldest does.
        oldest_seconds: f64,
        /// Whether a sweeper runs in this process.
        #[serde(default)]
        swept_here: bool,
    },
    /// The time of a message that was posted for later has come, and nobody has sent it for too long.
    #[error(
        "the outbox is stuck: a scheduled message has been due for {overdue_seconds:.0} s; {}",
        who_sends(*swept_here)
    )]
    ScheduleStuck {
        /// For how long it has been due.
        overdue_seconds: f64,
        /// Whether a sweeper runs in this process.
        #[serde(default)]
        swept_here: bool,
    },
    /// A task of the processor has ended with the runtime in which it was started, or by a panic. The call that found
    /// it so has started it again, if it was made in a runtime.
    #[error(
        "the {task} had ended with its runtime, and is started again by the next call; build the processor in a runtime \
         that lives as long as the processor"
    )]
    TaskEnded {
        /// Which: `sweeper` or `archiver`.
        task: String,
    },
    /// The sweeper of this process does nothing: its runtime stands still, or the outbox or the broker does not return.
    #[error(
        "the sweeper has given no sign for {seconds:.0} s; see that the runtime in which the processor was built runs, \
         and that no handler blocks its threads"
    )]
    SweeperStalled {
        /// For how long.
        seconds: f64,
    },
    /// The sweeper of this process fails.
    #[error(
        "the sweeper has failed for {seconds:.0} s, and tries again; check the database of the outbox: {reason}"
    )]
    SweeperFails {
        /// For how long.
        seconds: f64,
        /// Why, the last time.
        reason: String,
    },
}

brighter_core::__private::readable_debug!(Unhealthy);

/// Returns the advice about an outbox that is stuck.
fn who_sends(swept_here: bool) -> &'static str {
    if swept_here {
        "look at the warnings of the sweeper"
    } else {
        "no sweeper runs in this process, so see that one runs in another, or build the processor without `without_sweeper`"
    }
}

impl Health {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reasons.split_first() {
            None => f.write_str("ready")?,
            Some((first, others)) => {
                write!(f, "not ready: {first}")?;
                others.iter().try_for_each(|reason| write!(f, "; {reason}"))?;
            }
        }
        let mut full = self.full_channels.iter();
        full.try_for_each(|full| {
            let FullChannel {
                channel,
                topic,
                waiting,
                ..
            } = full;
            write!(
                f,
                "; channel `{channel}` is full, with {waiting} messages, and refuses `{topic}`: consume or remove it"
            )
        })?;
        self.held.iter().try_for_each(|held| write!(f, "; {held}"))
    }
}
