//! What a configuration changes of policies.

use std::time::Duration;

use super::{CircuitBreaker, ConcurrencyLimit, Policy, PolicyRegistry, RateLimit, Retry};
use brighter_config::{Config, Key, Section, Table};

const RETRY: &str = "retry";
const CIRCUIT_BREAKER: &str = "circuit_breaker";
const TIMEOUT: &str = "timeout";
const CONCURRENCY_LIMIT: &str = "concurrency_limit";
const RATE_LIMIT: &str = "rate_limit";

impl PolicyRegistry {
    /// The section of policies, which has a table for each.
    pub(crate) const SECTION: &str = "policies";

    /// The section `policies`: the type of each, then the keys of each type.
    pub(crate) fn section() -> Section {
        let of_type = Key::types(
            "type",
            &[RETRY, CIRCUIT_BREAKER, TIMEOUT, CONCURRENCY_LIMIT, RATE_LIMIT],
            &[RETRY, CIRCUIT_BREAKER],
            "which policy it is; what `retry` and `circuit_breaker` is says their name",
        )
        .required(
            "say which policy it is: `retry`, `circuit_breaker`, `timeout`, `concurrency_limit`, `rate_limit`",
        );
        let millisecond = Duration::from_millis(1);
        let keys = [of_type].into_iter();
        let keys = keys.chain(Retry::keys().map(|key| key.only_for(&[RETRY])));
        let keys = keys.chain(CircuitBreaker::keys().map(|key| key.only_for(&[CIRCUIT_BREAKER])));
        let keys = keys.chain([
            Key::share("jitter", 0.0..=1.0, "spreads times at random by this share")
                .only_for(&[RETRY, CIRCUIT_BREAKER])
                .excludes_word("wait", "decorrelated", "decorrelated waits are all chance"),
            Key::time("timeout", millisecond.., "gives up after this long")
                .only_for(&[TIMEOUT])
                .required("say when it gives up, as in `5s`"),
            Key::count("at_most", 1..=1_000_000, "how many calls run at a time")
                .only_for(&[CONCURRENCY_LIMIT])
                .required("say how many calls run at a time"),
            Key::rate("rate", "how many calls begin within a time")
                .only_for(&[RATE_LIMIT])
                .required("say how many calls begin within a time, as in `50/s`"),
            Key::time("wait_timeout", Duration::ZERO.., "how long a call too many waits")
                .only_for(&[CONCURRENCY_LIMIT, RATE_LIMIT]),
        ]);
        Section::named(Self::SECTION, keys)
    }

    /// Takes what the configuration says of policies. One that is there and of the same kind keeps what is not said;
    /// any other takes its place.
    #[must_use]
    pub fn configure(mut self, config: &Config) -> Self {
        for table in config.tables(Self::SECTION) {
            // It may have been written as a variable, which knows no small letters.
            let name = self.names().find(|name| table.is_named(name));
            let name = name.unwrap_or(table.name()).to_owned();
            let policy = configured(&table, self.get(&name));
            self = self.insert(name, policy);
        }
        self
    }
}

fn configured(table: &Table<'_>, known: Option<&Policy>) -> Policy {
    let wait = table.time("wait_timeout");
    match (table.type_name(), known) {
        (Some(RETRY), Some(Policy::Retry(retry))) => retry.clone().configure(table).into(),
        (Some(RETRY), _) => Retry::default().configure(table).into(),
        (Some(CIRCUIT_BREAKER), Some(Policy::CircuitBreaker(breaker))) => breaker.configure(table).into(),
        (Some(CIRCUIT_BREAKER), _) => CircuitBreaker::default().configure(table).into(),
        (Some(CONCURRENCY_LIMIT), _) => {
            let limit = ConcurrencyLimit::at_most(table.count_usize("at_most").unwrap_or(1));
            limit.wait_timeout(wait.unwrap_or_default()).into()
        }
        (Some(RATE_LIMIT), _) => {
            let (calls, within) = table.rate("rate").unwrap_or((1, Duration::from_secs(1)));
            let limit = RateLimit::new(calls, within);
            match wait {
                Some(wait) => limit.wait_timeout(wait).into(),
                None => limit.into(),
            }
        }
        // The loader lets no other through.
        _ => Policy::timeout(table.time("timeout").unwrap_or(Duration::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::Loader;

    fn loader() -> Loader {
        Loader::new().section(PolicyRegistry::section())
    }

    fn shown(variables: &[(&str, &str)], policy: &str) -> String {
        let config = loader().variables(variables.iter().copied()).load().unwrap();
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
                    ("BRIGHTER_POLICIES_RETRY_FIRST_DELAY", "2s"),
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
                    ("BRIGHTER_POLICIES_CIRCUIT_BREAKER_OPEN_TIMEOUT", "9s"),
                ],
                "circuit_breaker",
                "circuit breaker, opens when 50% of the calls within 60s failed, of 10 at least, for 9s",
            ),
            (
                &[
                    ("BRIGHTER_POLICIES_MAIL_TYPE", "timeout"),
                    ("BRIGHTER_POLICIES_MAIL_TIMEOUT", "3s"),
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
        let section = PolicyRegistry::section();
        for (kind, beside) in [(RETRY, None), (CIRCUIT_BREAKER, Some("failure_rate"))] {
            for key in section
                .keys()
                .iter()
                .filter(|key| key.types_with_it().contains(&kind))
            {
                let value = match key.name() {
                    "wait" => "decorrelated",
                    "first_delay" | "longest_delay" | "window" | "open_timeout" => "7s",
                    "budget" | "failure_rate" | "jitter" => "0.7",
                    _ => "7",
                };
                let mut changed = loader().set("test", format!("policies.{kind}.{}", key.name()), value);
                // What only a rate has is nothing without one.
                let rate =
                    beside.filter(|_| ["window", "window_calls", "minimum_calls"].contains(&key.name()));
                let mut plain = loader();
                if let Some(rate) = rate {
                    changed = changed.default_of(format!("policies.{kind}.{rate}"), "0.5");
                    plain = plain.default_of(format!("policies.{kind}.{rate}"), "0.5");
                }
                let shown = |config: &Config| {
                    let policies = PolicyRegistry::default().configure(config);
                    format!("{:?}", policies.get(kind).unwrap())
                };
                assert_ne!(
                    shown(&changed.load().unwrap()),
                    shown(&plain.load().unwrap()),
                    "{}",
                    key.name()
                );
            }
        }
    }
}
