//! [`HealthMonitor`]: checks the health of a processor.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::background::BackgroundTask;
use super::health::{Health, HealthOptions, Held, OutboxStats, Unhealthy};
use super::relay::Relay;
use crate::layer::ClaimedElsewhere;
use brighter_core::channel::{Broker, BrokerStatus, SilentConsumer};
use brighter_core::outbox::{Outbox, OutboxStatus};

/// Checks the health of a processor, and remembers for a while what its outbox said.
pub(super) struct HealthMonitor {
    options: HealthOptions,
    /// Whether this process sweeps.
    sweeps: bool,
    /// The requests that wait for claims of others in the inbox.
    claimed: Arc<ClaimedElsewhere>,
    /// Held while the outbox is asked, so that many who ask at once are one question to it.
    known: Mutex<Option<KnownStatus>>,
    /// The broker's last answer about silent consumers, and its time; held while the broker is asked.
    silent: Mutex<Option<(Instant, Vec<SilentConsumer>)>>,
}

type KnownStatus = (Instant, Result<OutboxStatus, Unhealthy>);

/// Less silence than this is none, whatever age is allowed.
const SILENCE: Duration = Duration::from_secs(120);

/// How long it is believed that the outbox is away.
const AWAY_FOR: Duration = Duration::from_secs(1);

impl HealthMonitor {
    pub(super) fn new(options: HealthOptions, sweeps: bool, claimed: Arc<ClaimedElsewhere>) -> Self {
        Self {
            options,
            sweeps,
            claimed,
            known: Mutex::new(None),
            silent: Mutex::new(None),
        }
    }

    /// Whether this process sweeps.
    pub(super) fn sweeps(&self) -> bool {
        self.sweeps
    }

    /// Returns the status of the outbox, which is asked again only if the last answer is old.
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

    /// Looks at the broker and at the outbox, if they are there, and at the tasks in the background.
    pub(super) async fn check(
        &self,
        broker: Option<&dyn Broker>,
        relay: Option<&Relay>,
        background: &[BackgroundTask],
    ) -> Health {
        let mut health = Health::default();
        health.reasons.extend(broker.and_then(of_broker));
        // One that is gone is started again here, and told of all the same: this runtime may end as well.
        let gone = background.iter().filter(|task| task.keep_going());
        health.reasons.extend(gone.map(|task| Unhealthy::TaskEnded {
            task: task.name().to_owned(),
        }));
        if let Some(relay) = relay {
            self.outbox(relay, &mut health).await;
        }
        health.held = self.held(broker).await;
        health
    }

    /// Returns the silent consumers and the age of the answer. The broker is asked again only if the answer is old.
    async fn silent(&self, broker: &dyn Broker) -> (Duration, Vec<SilentConsumer>) {
        let mut known = self.silent.lock().await;
        if let Some((at, silent)) = &*known
            && at.elapsed() < self.options.check_interval
        {
            return (at.elapsed(), silent.clone());
        }
        // A broker that is away is a reason of its own.
        let silent = broker.silent_consumers().await.unwrap_or_default();
        *known = Some((Instant::now(), silent.clone()));
        (Duration::ZERO, silent)
    }

    /// Returns the messages that others hold, as far as they are known within the time for an answer.
    async fn held(&self, broker: Option<&dyn Broker>) -> Vec<Held> {
        let mut held = Vec::new();
        if let Some(broker) = broker
            && let Ok((age, silent)) = timeout(self.options.check_timeout, self.silent(broker)).await
        {
            held.extend(silent.into_iter().map(|consumer| Held::BySilentConsumer {
                consumer: consumer.name,
                messages: consumer.messages,
                seconds_left: consumer.left.saturating_sub(age).as_secs_f64(),
            }));
        }
        held.extend(self.claimed.list().into_iter().map(|claimed| Held::ByClaim {
            context: claimed.context.to_string(),
            requests: claimed.requests,
            seconds_left: claimed.longest.as_secs_f64(),
        }));
        held
    }

    /// Whether the outbox is there and gets empty.
    async fn outbox(&self, relay: &Relay, health: &mut Health) {
        health.full_channels = relay.full.list();
        let asked = Instant::now();
        let answer = self.ask(&**relay.outbox()).await;
        let swept = relay.sweep_stats.read();
        if let (true, Some((since, reason))) = (self.sweeps, swept.failing) {
            health.reasons.push(Unhealthy::SweeperFails {
                seconds: asked.saturating_duration_since(since).as_secs_f64(),
                reason,
            });
        }
        let silence = asked.saturating_duration_since(swept.seen);
        if self.sweeps && silence > self.longest_silence(relay) {
            health.reasons.push(Unhealthy::SweeperStalled {
                seconds: silence.as_secs_f64(),
            });
        }
        let status = match answer {
            Ok(status) => status,
            Err(problem) => return health.reasons.push(problem),
        };
        health.outbox = Some(OutboxStats {
            outstanding: status.outstanding,
            oldest_seconds: status.oldest.map(|oldest| oldest.as_secs_f64()),
            dead: status.dead,
        });
        let bound = self.options.max_age;
        // What the broker refused waits too, while the sweeper gets through all the others.
        let is_swept = self.sweeps && swept.complete.elapsed() < bound;
        let too_long = |age: &Duration| *age > bound && !is_swept;
        if let Some(oldest) = status.oldest.filter(too_long) {
            health.reasons.push(Unhealthy::OutboxStuck {
                outstanding: status.outstanding,
                oldest_seconds: oldest.as_secs_f64(),
                swept_here: self.sweeps,
            });
        }
        if let Some(overdue) = status.overdue.filter(too_long) {
            health.reasons.push(Unhealthy::ScheduleStuck {
                overdue_seconds: overdue.as_secs_f64(),
                swept_here: self.sweeps,
            });
        }
    }

    /// For how long a sweeper that works may give no sign: the broker and the database have deadlines of their own,
    /// which are shorter.
    fn longest_silence(&self, relay: &Relay) -> Duration {
        let two_looks = relay.settings.interval.saturating_mul(2);
        self.options.max_age.max(SILENCE).max(two_looks)
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
