//! [`HealthMonitor`]: checks the health of a processor.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::health::{Health, HealthOptions, OutboxFigures, Unhealthy};
use super::relay::Relay;
use brighter_core::channel::{Broker, BrokerStatus};
use brighter_core::outbox::{Outbox, OutboxStatus};

/// Checks the health of a processor, and remembers for a while what its outbox said.
pub(super) struct HealthMonitor {
    options: HealthOptions,
    /// Whether this process sweeps.
    sweeps: bool,
    /// Held while the outbox is asked, so that many who ask at once are one question to it.
    known: Mutex<Option<Known>>,
}

type Known = (Instant, Result<OutboxStatus, Unhealthy>);

/// How long it is believed that the outbox is away.
const AWAY_FOR: Duration = Duration::from_secs(1);

impl HealthMonitor {
    pub(super) fn new(options: HealthOptions, sweeps: bool) -> Self {
        Self {
            options,
            sweeps,
            known: Mutex::new(None),
        }
    }

    /// What the outbox says; asked again only if the last answer is old.
    async fn ask(&self, outbox: &dyn Outbox) -> Result<OutboxStatus, Unhealthy> {
        let HealthOptions {
            check_timeout,
            check_interval,
            ..
        } = self.options;
        let silent = || Unhealthy::OutboxSilent {
            seconds: check_timeout.as_secs_f64(),
        };
        let Ok(mut known) = timeout(check_timeout, self.known.lock()).await else {
            return Err(silent());
        };
        if let Some((at, answer)) = &*known {
            let check_interval = match answer {
                Ok(_) => check_interval,
                Err(_) => check_interval.min(AWAY_FOR),
            };
            if at.elapsed() < check_interval {
                return answer.clone();
            }
        }
        let answer = match timeout(check_timeout, outbox.status()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(Unhealthy::OutboxAway {
                reason: brighter_core::__private::report(&error),
            }),
            Err(_) => Err(silent()),
        };
        *known = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Looks at the broker and at the outbox, if they are there.
    pub(super) async fn check(&self, broker: Option<&dyn Broker>, relay: Option<&Relay>) -> Health {
        let mut health = Health::default();
        health.reasons.extend(broker.and_then(of_broker));
        if let Some(relay) = relay {
            self.outbox(relay, &mut health).await;
        }
        health
    }

    /// Whether the outbox is there and gets empty.
    async fn outbox(&self, relay: &Relay, health: &mut Health) {
        let asked = Instant::now();
        let answer = self.ask(&**relay.outbox()).await;
        let (complete, failing) = relay.sweep_stats.read();
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
        let bound = self.options.max_age;
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

fn of_broker(broker: &dyn Broker) -> Option<Unhealthy> {
    match broker.status() {
        BrokerStatus::Connected => None,
        BrokerStatus::Blocked { reason } => Some(Unhealthy::Blocked { reason }),
        BrokerStatus::Unconfirmed { since } => Some(Unhealthy::Unconfirmed {
            seconds: SystemTime::now()
                .duration_since(since)
                .unwrap_or_default()
                .as_secs_f64(),
        }),
        BrokerStatus::Disconnected { reason } => Some(Unhealthy::NoBroker { reason }),
        _ => Some(Unhealthy::Closed),
    }
}
