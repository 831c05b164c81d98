//! [`Readiness`]: whether a dispatcher does what it is for, and if not, why not.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::status::PerformerState;
use super::status::{SubscriptionState, SubscriptionStatus};
use brighter_core::channel::BrokerStatus;
use brighter_core::message::SubscriptionName;

/// Whether every subscription is being consumed at this moment.
///
/// It is worked out from what the performers and the broker say of themselves when it is asked for, so it is never
/// better than the truth: a dispatcher that is connected and consumes nothing is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Readiness {
    /// The reasons why the dispatcher is not ready; empty if it is ready.
    pub reasons: Vec<NotReady>,
}

/// Why a dispatcher is not ready.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The broker cannot be reached.
    #[error("the broker cannot be reached: {reason}")]
    NoBroker {
        /// The last error of the broker.
        reason: String,
    },
    /// The broker holds publishers back, so that no handler can publish, retry or set aside.
    #[error("the broker blocks publishing: {reason}")]
    Blocked {
        /// The reason that the broker gave.
        reason: String,
    },
    /// The broker confirms nothing although messages wait for it, or does not answer a consumer that gets nothing.
    #[error("the broker has confirmed no message, or not answered a consumer, for {seconds} s")]
    Unconfirmed {
        /// For how long.
        seconds: u64,
    },
    /// This process has closed the broker.
    #[error("the broker was closed by this process")]
    Closed,
    /// A subscription was not started, or was stopped.
    #[error("the subscription `{subscription}` is stopped")]
    Stopped {
        /// Which.
        subscription: SubscriptionName,
    },
    /// A subscription is paused.
    #[error("the subscription `{subscription}` is paused")]
    Paused {
        /// Which.
        subscription: SubscriptionName,
    },
    /// A subscription has set aside as many messages as it may.
    #[error(
        "the subscription `{subscription}` has reached its limit of rejected messages: fix the cause, then stop and start it"
    )]
    LimitReached {
        /// Which.
        subscription: SubscriptionName,
    },
    /// No performer of a subscription consumes its channel.
    #[error("no performer of the subscription `{subscription}` consumes its channel{}", because(last_error.as_deref()))]
    NoConsumer {
        /// Which.
        subscription: SubscriptionName,
        /// Why they do not, if they have tried.
        last_error: Option<String>,
    },
}

brighter_core::__private::readable_debug!(NotReady);

fn because(error: Option<&str>) -> String {
    error.map(|error| format!(": {error}")).unwrap_or_default()
}

impl Readiness {
    /// Whether nothing stands in the way.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reasons.is_empty()
    }

    pub(super) fn of(broker: &BrokerStatus, subscriptions: &[SubscriptionStatus]) -> Self {
        let broker = match broker {
            BrokerStatus::Connected => None,
            BrokerStatus::Blocked { reason } => Some(NotReady::Blocked {
                reason: reason.clone(),
            }),
            BrokerStatus::Unconfirmed { since } => Some(NotReady::Unconfirmed {
                seconds: SystemTime::now()
                    .duration_since(*since)
                    .unwrap_or_default()
                    .as_secs(),
            }),
            BrokerStatus::Disconnected { reason } => Some(NotReady::NoBroker {
                reason: reason.clone(),
            }),
            _ => Some(NotReady::Closed),
        };
        let subscriptions = subscriptions.iter().filter_map(not_ready);
        Self {
            reasons: broker.into_iter().chain(subscriptions).collect(),
        }
    }
}

fn not_ready(status: &SubscriptionStatus) -> Option<NotReady> {
    let subscription = status.name.clone();
    match status.state {
        SubscriptionState::Stopped => Some(NotReady::Stopped { subscription }),
        SubscriptionState::Paused => Some(NotReady::Paused { subscription }),
        SubscriptionState::LimitReached => Some(NotReady::LimitReached { subscription }),
        SubscriptionState::Running if status.consuming() > 0 => None,
        SubscriptionState::Running => Some(NotReady::NoConsumer {
            subscription,
            last_error: status
                .performers
                .iter()
                .filter(|performer| performer.state != PerformerState::Stopped)
                .find_map(|performer| performer.last_error.clone())
                .or_else(|| status.last_error.clone()),
        }),
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.reasons.split_first() else {
            return f.write_str("ready");
        };
        write!(f, "not ready: {first}")?;
        others.iter().try_for_each(|reason| write!(f, "; {reason}"))
    }
}
