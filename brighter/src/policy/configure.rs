//! What a configuration changes of policies.

use std::time::Duration;

use super::{CircuitBreaker, ConcurrencyLimit, Policy, PolicyRegistry, RateLimit, Retry};
use brighter_config::{CIRCUIT_BREAKER, CONCURRENCY_LIMIT, POLICIES, RATE_LIMIT, RETRY};
use brighter_config::{Config, Entry, kind_of};

impl PolicyRegistry {
    /// Takes what the configuration says of policies. One that is there and of the same kind keeps what is not said;
    /// any other takes its place.
    #[must_use]
    pub fn configure(mut self, config: &Config) -> Self {
        for entry in config.entries_of(POLICIES) {
            // It may have been written as a variable, which knows no small letters.
            let name = self.names().find(|name| config.is_named(entry, name));
            let name = name.unwrap_or(&entry.name).to_owned();
            let policy = configured(entry, self.get(&name));
            self = self.insert(name, policy);
        }
        self
    }
}

fn configured(entry: &Entry, known: Option<&Policy>) -> Policy {
    let wait = entry.time("wait_at_most");
    match (kind_of(entry), known) {
        (Some(RETRY), Some(Policy::Retry(retry))) => retry.clone().configure(entry).into(),
        (Some(RETRY), _) => Retry::default().configure(entry).into(),
        (Some(CIRCUIT_BREAKER), Some(Policy::CircuitBreaker(breaker))) => breaker.configure(entry).into(),
        (Some(CIRCUIT_BREAKER), _) => CircuitBreaker::default().configure(entry).into(),
        (Some(CONCURRENCY_LIMIT), _) => {
            let limit = ConcurrencyLimit::at_most(entry.size("at_most").unwrap_or(1));
            limit.wait_at_most(wait.unwrap_or_default()).into()
        }
        (Some(RATE_LIMIT), _) => {
            let (calls, within) = entry.rate("rate").unwrap_or((1, Duration::from_secs(1)));
            let limit = RateLimit::new(calls, within);
            match wait {
                Some(wait) => limit.wait_at_most(wait).into(),
                None => limit.into(),
            }
        }
        // The loader lets no other through.
        _ => Policy::timeout(entry.time("after").unwrap_or(Duration::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::SCHEMA;

    fn shown(variables: &[(&str, &str)], policy: &str) -> String {
        let config = Config::loader()
            .variables(variables.iter().copied())
            .load()
            .unwrap();
        let policies = PolicyRegistry::default().configure(&config);
        policies.get(policy).unwrap().to_string()
    }

    #[test]
    fn each_kind_is_made_as_it_is_written() {
        for (variables, policy, wanted) in [
            (
                &[("BRIGHTER_POLICIES_RETRY_ATTEMPTS", "7")][..],
                "retry",
                "retry, 7 attempts, waiting about 50ms and doubling up to 10s, retries at most 20% of calls and 10 a second",
            ),
            (
                &[
                    ("BRIGHTER_POLICIES_RETRY_WAIT", "fixed"),
                    ("BRIGHTER_POLICIES_RETRY_FIRST", "2s"),
                    ("BRIGHTER_POLICIES_RETRY_BUDGET", "0.5"),
                ],
                "retry",
                "retry, 4 attempts, 2s apart, retries at most 50% of calls and 10 a second",
            ),
            (
                &[("BRIGHTER_POLICIES_CIRCUIT_BREAKER_FAILURES", "3")],
                "circuit_breaker",
                "circuit breaker, opens after 3 failures in a row for 5s",
            ),
            (
                &[
                    ("BRIGHTER_POLICIES_CIRCUIT_BREAKER_FAILURE_RATE", "0.5"),
                    ("BRIGHTER_POLICIES_CIRCUIT_BREAKER_WINDOW", "1m"),
                    ("BRIGHTER_POLICIES_CIRCUIT_BREAKER_OPEN_FOR", "9s"),
                ],
                "circuit_breaker",
                "circuit breaker, opens when 50% of the calls within 60s failed, of 10 at least, for 9s",
            ),
            (
                &[
                    ("BRIGHTER_POLICIES_MAIL_TYPE", "timeout"),
                    ("BRIGHTER_POLICIES_MAIL_AFTER", "3s"),
                ],
                "mail",
                "timeout of 3s",
            ),
            (
                &[
                    ("BRIGHTER_POLICIES_SMS_TYPE", "rate_limit"),
                    ("BRIGHTER_POLICIES_SMS_RATE", "30/s"),
                ],
                "sms",
                "rate limit, 30 within 1s, waits its turn",
            ),
        ] {
            assert_eq!(shown(variables, policy), wanted);
        }
    }

    #[test]
    fn every_key_of_a_retry_and_a_breaker_changes_it() {
        let known = SCHEMA.iter().find(|known| known.name == POLICIES).unwrap();
        for (kind, beside) in [(RETRY, None), (CIRCUIT_BREAKER, Some("failure_rate"))] {
            for key in known.keys.iter().filter(|key| key.only.contains(&kind)) {
                let value = match key.name {
                    "wait" => "decorrelated",
                    "first" | "longest" | "window" | "open_for" => "7s",
                    "budget" | "failure_rate" | "jitter" => "0.7",
                    _ => "7",
                };
                let mut loader = Config::loader().set("test", format!("policies.{kind}.{}", key.name), value);
                // What only a rate has is nothing without one.
                let rate = beside.filter(|_| ["window", "window_calls", "minimum_calls"].contains(&key.name));
                let mut plain = Config::loader();
                if let Some(rate) = rate {
                    loader = loader.default_of(format!("policies.{kind}.{rate}"), "0.5");
                    plain = plain.default_of(format!("policies.{kind}.{rate}"), "0.5");
                }
                let shown = |config: &Config| {
                    let policies = PolicyRegistry::default().configure(config);
                    format!("{:?}", policies.get(kind).unwrap())
                };
                assert_ne!(
                    shown(&loader.load().unwrap()),
                    shown(&plain.load().unwrap()),
                    "{}",
                    key.name
                );
            }
        }
    }
}
