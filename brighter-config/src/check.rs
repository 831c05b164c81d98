//! What single settings cannot show: whether they go together.

use super::schema::{CIRCUIT_BREAKER, CONCURRENCY_LIMIT, POLICIES, RATE_LIMIT, RETRY, TIMEOUT};
use super::schema::{Known, SCHEMA};
use super::settings::{Entry, Settings};
use super::{ConfigError, Problem};

/// Finds what does not go together, in tables that are right otherwise.
pub(super) fn check(settings: &mut Settings) {
    let mut errors = Vec::new();
    for ((section, _), entry) in &settings.entries {
        if entry.is_broken {
            continue;
        }
        let found = match section.as_str() {
            "rabbitmq" => rabbitmq(entry),
            POLICIES => policy(entry),
            _ => Vec::new(),
        };
        errors.extend(found);
    }
    settings.errors.extend(errors);
}

fn rabbitmq(entry: &Entry) -> Vec<ConfigError> {
    let table = "rabbitmq";
    let reason = "a certificate is of no use without its key";
    let mut errors = Vec::new();
    errors.extend(needs(entry, table, "tls_certificate", "tls_key", reason));
    errors.extend(needs(entry, table, "tls_key", "tls_certificate", reason));
    errors
}

/// The kind of a policy: what it says, or what its name does.
pub fn kind_of(entry: &Entry) -> Option<&str> {
    let by_name = [RETRY, CIRCUIT_BREAKER]
        .into_iter()
        .find(|kind| *kind == entry.name);
    entry.text("type").or(by_name)
}

fn policy(entry: &Entry) -> Vec<ConfigError> {
    let table = format!("{POLICIES}.{}", entry.name);
    let Some(kind) = kind_of(entry) else {
        let what = format!("say which policy it is: {}", words());
        return vec![missing(entry, &table, "type", what)];
    };
    let known = SCHEMA.iter().find(|known| known.name == POLICIES);
    let keys = known.map(|known: &Known| &*known.keys).unwrap_or_default();
    let mut errors = Vec::new();
    for (name, setting) in &entry.settings {
        let key = keys.iter().find(|key| key.name == name.as_str());
        if key.is_some_and(|key| !key.only.is_empty() && !key.only.contains(&kind)) {
            let its = keys.iter().filter(|key| key.only.contains(&kind));
            errors.push(ConfigError {
                origin: setting.origin.clone(),
                problem: Problem::Contradiction {
                    key: format!("{table}.{name}"),
                    other: format!("type = \"{kind}\""),
                    reason: format!(
                        "it has {}",
                        its.map(|key| key.name).collect::<Vec<_>>().join(", ")
                    ),
                },
            });
        }
    }
    match kind {
        CIRCUIT_BREAKER => {
            let one = "it opens by the one or by the other";
            errors.extend(excludes(entry, &table, "failure_rate", "failures", one));
            errors.extend(excludes(
                entry,
                &table,
                "window_calls",
                "window",
                "a rate is of the one or of the other",
            ));
            let reason = "only a rate has it";
            for key in ["window", "window_calls"] {
                errors.extend(needs(entry, &table, key, "failure_rate", reason));
            }
        }
        TIMEOUT if !entry.has("after") => {
            errors.push(missing(
                entry,
                &table,
                "after",
                "say when it gives up, as in `5s`".to_owned(),
            ));
        }
        CONCURRENCY_LIMIT if !entry.has("at_most") => {
            let what = "say how many calls run at a time".to_owned();
            errors.push(missing(entry, &table, "at_most", what));
        }
        RATE_LIMIT if !entry.has("rate") => {
            let what = "say how many calls begin within a time, as in `50/s`".to_owned();
            errors.push(missing(entry, &table, "rate", what));
        }
        RETRY if entry.text("wait") == Some("fixed") => {
            errors.extend(excludes(
                entry,
                &table,
                "longest",
                "wait",
                "fixed waits do not grow",
            ));
        }
        RETRY if entry.text("wait") == Some("decorrelated") => {
            errors.extend(excludes(
                entry,
                &table,
                "jitter",
                "wait",
                "decorrelated waits are all chance",
            ));
        }
        _ => {}
    }
    errors
}

fn words() -> String {
    super::key::listed(&[RETRY, CIRCUIT_BREAKER, TIMEOUT, CONCURRENCY_LIMIT, RATE_LIMIT])
}

fn missing(entry: &Entry, table: &str, key: &str, what: String) -> ConfigError {
    ConfigError {
        origin: entry.origin.clone(),
        problem: Problem::Missing {
            key: format!("{table}.{key}"),
            what,
        },
    }
}

/// The first cannot be without the second.
fn needs(entry: &Entry, table: &str, key: &str, other: &str, reason: &str) -> Option<ConfigError> {
    (entry.has(key) && !entry.has(other)).then(|| ConfigError {
        origin: entry.origin_of(key).clone(),
        problem: Problem::Missing {
            key: format!("{table}.{other}"),
            what: format!("`{key}` is there, and {reason}"),
        },
    })
}

/// The first cannot be beside the second.
fn excludes(entry: &Entry, table: &str, key: &str, other: &str, reason: &str) -> Option<ConfigError> {
    (entry.has(key) && entry.has(other)).then(|| ConfigError {
        origin: entry.origin_of(key).clone(),
        problem: Problem::Contradiction {
            key: format!("{table}.{key}"),
            other: other.to_owned(),
            reason: reason.to_owned(),
        },
    })
}
