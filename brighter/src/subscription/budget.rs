//! The budget of a subscription: whether its times and counts fit what the broker asks of consumers.

use std::time::Duration;

use super::SubscriptionSettings;
use brighter_core::__private::clock::NEVER;
use brighter_core::channel::ConsumerBounds;

/// Why the times and counts of a subscription do not go together, and how to mend it.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// A message at the end of a full buffer could not be settled before the broker gives up on the consumer.
    #[error(
        "a buffer of {buffer} messages, {concurrency} at once and each within {timeout:?}, may take {takes:?}, and the broker gives up on a consumer that has not settled within {settle_timeout:?}: have a smaller `.buffer(…)`, a shorter `.timeout(…)` or more `.concurrency(…)`, or raise the broker's limit (RabbitMQ's `consumer_timeout`)"
    )]
    Buffer {
        /// How many messages a performer has at once.
        buffer: u16,
        /// How many of them it handles at once.
        concurrency: usize,
        /// How long each may take.
        timeout: Duration,
        /// How long all of them may take.
        takes: Duration,
        /// How long the broker waits.
        settle_timeout: Duration,
    },
    /// A message that keeps its order may be in hand for longer than the broker waits.
    #[error(
        "a message that keeps its order is in flight through all its attempts, which may take {takes:?}, and the broker gives up on a consumer that has not settled within {settle_timeout:?}: have fewer `.attempts(…)` or shorter `.delays(…)`, or raise the broker's limit (RabbitMQ's `consumer_timeout`)"
    )]
    Order {
        /// How long the attempts and the delays between them may take.
        takes: Duration,
        /// How long the broker waits.
        settle_timeout: Duration,
    },
    /// The broker sets a message aside before the subscription does.
    #[error(
        "the subscription has {attempts} attempts, and the broker puts a message in the dead-letter channel by itself after {deliveries} deliveries, without saying why: have at most {deliveries} `.attempts(…)`, or a higher `.delivery_limit(…)`"
    )]
    Attempts {
        /// The attempts of the subscription.
        attempts: u32,
        /// The deliveries that the broker makes.
        deliveries: u32,
    },
    /// The inbox forgets a handled message before that message may come for the last time.
    #[error(
        "a message may come again until {takes:?} after it came first, and the inbox remembers what was handled for {retention:?} only, so that it would be handled twice: have a longer retention (`InboxOptions::retention`), fewer `.attempts(…)`, shorter `.delays(…)` or a shorter `.timeout(…)`"
    )]
    Retention {
        /// How long the attempts and the delays between them may take.
        takes: Duration,
        /// How long the inbox remembers.
        retention: Duration,
    },
    /// A delay is longer than the broker lets a message wait, which is a hundred years at most.
    #[error(
        "a delay of {delay:?} is longer than {longest:?}, which is the longest that a message can wait with this broker: have shorter `.delays(…)`"
    )]
    Delay {
        /// The longest delay of the subscription.
        delay: Duration,
        /// The longest that a message can wait with the broker.
        longest: Duration,
    },
    /// A handling that takes its time would be cut short when the dispatcher ends.
    #[error(
        "a handling may take {timeout:?}, and is cut short {drain_timeout:?} after the dispatcher is told to end: give it more time by `.drain_timeout(…)` on the dispatcher's builder, or have a shorter `.timeout(…)`"
    )]
    Drain {
        /// How long one handling may take.
        timeout: Duration,
        /// How long the dispatcher waits when it ends.
        drain_timeout: Duration,
    },
}

brighter_core::__private::readable_debug!(BudgetError);

/// Everything that does not go together. A time-out that was not said is left alone: it is there for handlers that
/// hang, not for what they should take.
pub(crate) fn budget(
    settings: &SubscriptionSettings,
    bounds: ConsumerBounds,
    drain_timeout: Duration,
) -> Vec<BudgetError> {
    let mut errors = Vec::new();
    // 0 is an error of its own; here it must not divide.
    let concurrency = settings.concurrency.max(1);
    if let (Some(timeout), Some(settle_timeout)) = (settings.timeout, bounds.settle_timeout) {
        let buffer = settings.channel.buffer.get();
        let rounds = usize::from(buffer).div_ceil(concurrency);
        let takes = timeout.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        if takes > settle_timeout {
            errors.push(BudgetError::Buffer {
                buffer,
                concurrency,
                timeout,
                takes,
                settle_timeout,
            });
        }
    }
    if let (true, Some(settle_timeout)) = (settings.ordered, bounds.settle_timeout) {
        let takes = all_attempts(settings, settings.timeout.unwrap_or_default());
        if takes > settle_timeout {
            errors.push(BudgetError::Order {
                takes,
                settle_timeout,
            });
        }
    }
    if let Some(deliveries) = bounds
        .deliveries
        .filter(|deliveries| *deliveries < settings.attempts)
    {
        errors.push(BudgetError::Attempts {
            attempts: settings.attempts,
            deliveries,
        });
    }
    let delay = settings.delays.iter().max();
    let longest = bounds.longest_delay.map_or(NEVER, |longest| longest.min(NEVER));
    if let Some(delay) = delay
        && *delay > longest
    {
        let delay = *delay;
        errors.push(BudgetError::Delay { delay, longest });
    }
    if let Some(timeout) = settings.timeout.filter(|timeout| *timeout > drain_timeout) {
        errors.push(BudgetError::Drain {
            timeout,
            drain_timeout,
        });
    }
    errors
}

/// Whether an inbox forgets that a message was handled while it may still come again.
pub(crate) fn remembers_too_little(
    settings: &SubscriptionSettings,
    retention: Duration,
) -> Option<BudgetError> {
    // The longest that may be: a time-out that was not said ends a handling too.
    let takes = all_attempts(settings, settings.time_limit());
    (takes > retention).then_some(BudgetError::Retention { takes, retention })
}

/// Returns how long all attempts of a message and the delays between them may take, if each attempt takes this long.
fn all_attempts(settings: &SubscriptionSettings, each: Duration) -> Duration {
    let handling = each.saturating_mul(settings.attempts);
    // The last of the delays is for all that follow, so those after it need no loop of their own.
    let named = u32::try_from(settings.delays.len()).unwrap_or(u32::MAX);
    let retries = settings.attempts.saturating_sub(1);
    let delays = (1..=retries.min(named)).map(|attempt| settings.delay_after(attempt));
    let first = delays.fold(Duration::ZERO, Duration::saturating_add);
    let rest = settings
        .delay_after(retries)
        .saturating_mul(retries.saturating_sub(named));
    handling.saturating_add(first).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::channel::Channel;

    const MINUTE: Duration = Duration::from_secs(60);
    const DRAIN: Duration = Duration::from_secs(20);

    fn settings() -> SubscriptionSettings {
        SubscriptionSettings::new("test".into(), Channel::new("test", "test"))
    }

    fn rabbitmq() -> ConsumerBounds {
        ConsumerBounds::new().settle_timeout(30 * MINUTE)
    }

    #[test]
    fn the_defaults_fit_every_broker_that_is_known() {
        assert_eq!(budget(&settings(), rabbitmq(), DRAIN), []);
        assert_eq!(budget(&settings(), ConsumerBounds::new(), DRAIN), []);
        let mut ordered = settings();
        ordered.ordered = true;
        assert_eq!(budget(&ordered, rabbitmq().deliveries(20), DRAIN), []);
    }

    #[test]
    fn each_error_names_both_numbers_and_the_fix() {
        let mut settings = settings();
        settings.timeout = Some(4 * MINUTE);
        settings.ordered = true;
        settings.attempts = 8;
        let errors = budget(&settings, rabbitmq().deliveries(5), DRAIN);
        let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let numbers = [
            ["buffer of 10", "may take 2400s", "1800s", ".buffer"],
            // 8 × 4 minutes, and 1 + 5 + 15 + 4 × 60 s.
            ["order", "may take 2181s", "1800s", ".delays"],
            ["8 attempts", "after 5 deliveries", "at most 5", ".delivery_limit"],
            ["take 240s", "cut short 20s", ".drain", ".timeout"],
        ];
        assert_eq!(said.len(), numbers.len());
        for (said, wanted) in said.iter().zip(numbers) {
            assert!(wanted.iter().all(|part| said.contains(part)), "{said}");
        }
    }

    #[test]
    fn a_delay_beyond_the_longest_of_the_broker_is_refused() {
        let mut settings = settings();
        let day = 24 * 60 * MINUTE;
        settings.delays = vec![60 * day, MINUTE];
        let bounds = ConsumerBounds::new().longest_delay(48 * day);
        let (delay, longest) = (60 * day, 48 * day);
        assert_eq!(
            budget(&settings, bounds, DRAIN),
            [BudgetError::Delay { delay, longest }]
        );
        settings.delays = vec![longest];
        assert_eq!(budget(&settings, bounds, DRAIN), []);
        // No broker keeps a message for more than a hundred years, whatever it says.
        settings.delays = vec![NEVER];
        assert_eq!(budget(&settings, ConsumerBounds::new(), DRAIN), []);
        let (delay, longest) = (NEVER + Duration::from_nanos(1), NEVER);
        settings.delays = vec![delay];
        for bounds in [
            ConsumerBounds::new(),
            ConsumerBounds::new().longest_delay(Duration::MAX),
        ] {
            let errors = budget(&settings, bounds, DRAIN);
            assert_eq!(errors, [BudgetError::Delay { delay, longest }]);
        }
    }

    #[test]
    fn inbox_retention_must_outlast_redeliveries() {
        let mut settings = settings();
        settings.attempts = 3;
        settings.delays = vec![MINUTE];
        settings.timeout = Some(Duration::ZERO);
        assert_eq!(remembers_too_little(&settings, 2 * MINUTE), None);
        let error = remembers_too_little(&settings, MINUTE).expect("two minutes");
        assert!(error.to_string().contains("until 120s"), "{error}");
        // A handling is cut short after five minutes if nothing is said.
        settings.timeout = None;
        assert_eq!(remembers_too_little(&settings, 17 * MINUTE), None);
        let error = remembers_too_little(&settings, 16 * MINUTE).expect("17 minutes");
        assert!(error.to_string().contains("until 1020s"), "{error}");
    }

    #[test]
    fn concurrency_shortens_what_a_buffer_takes() {
        let mut settings = settings();
        settings.timeout = Some(4 * MINUTE);
        settings.concurrency = 2;
        assert_eq!(budget(&settings, rabbitmq(), 4 * MINUTE), []);
        settings.concurrency = 1;
        assert_eq!(budget(&settings, rabbitmq(), 4 * MINUTE).len(), 1);
    }
}
