//! URLs of brokers and databases.

use std::error::Error;

use brighter::transport::rabbitmq::without_credentials;
use brighter_core::__private::redact::{self, RedactedError};
use brighter_rabbitmq::__private::read_urls;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::Target;
use crate::seed::Seed;

/// A URL is read or refused, and its password is not shown in either case.
pub(crate) const TARGET: Target = Target {
    name: "urls",
    run,
    seeds,
};

/// The password of the seeds.
const PASSWORD: &str = "h1dden-Pw";

fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let may_show = !is_secret(text);
    let hides = |told: String| assert!(may_show || !told.contains(PASSWORD), "{told}");
    hides(without_credentials(text));
    hides(redact::text(text).into_owned());
    match read_urls(text) {
        Ok(shown) => hides(shown),
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(PASSWORD), "{told}");
        }
    }
    // As the stores do with what sqlx says of a URL.
    let told = [
        text.parse::<PgConnectOptions>().err(),
        text.parse::<MySqlConnectOptions>().err(),
        text.parse::<SqliteConnectOptions>().err(),
    ];
    for error in told.into_iter().flatten() {
        hides(causes(&RedactedError::new(&error, text)));
    }
}

/// Whether the password stands where one may be, wherever it stands: behind what separates a name from a secret, or
/// before an `@`.
fn is_secret(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let mut places = rest.match_indices(PASSWORD).peekable();
    places.peek().is_some()
        && places.all(|(at, _)| rest[..at].contains([':', '=', '?', '#']) || rest[at..].contains('@'))
}

/// Returns what an error and its causes say.
fn causes(error: &dyn Error) -> String {
    let mut told = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!("\n{error} {error:?}");
        cause = error.source();
    }
    told
}

fn seeds() -> Vec<Seed> {
    let urls = [
        format!("amqp://guest:{PASSWORD}@localhost:5672/%2f?heartbeat=5&frame_max=131072"),
        format!(
            "amqps://u:{PASSWORD}@[::1]:5671/vhost?connection_timeout=1&channel_max=5&auth_mechanism=PLAIN"
        ),
        format!("amqp://a:{PASSWORD}@one,amqp://b:{PASSWORD}@two"),
        format!("amqp://u:p%40{PASSWORD}/@host"),
        // Without an `@` nobody can tell where the password ends.
        format!("amqp://guest:{PASSWORD}localhost:5672/"),
        format!("postgres://app:{PASSWORD}"),
        format!("amqp://guest:{PASSWORD}/v"),
        "amqp://".to_owned(),
        "amqp://@:99999/%zz".to_owned(),
        format!(
            "postgres://app:{PASSWORD}@db:5432/app?sslmode=verify-full&options[search_path]=app&statement-cache-capacity=0"
        ),
        format!("postgresql:///app?host=/run/postgresql&password={PASSWORD}"),
        format!("mysql://app:{PASSWORD}@db/app?ssl-mode=REQUIRED&charset=utf8mb4&timezone=none"),
        "sqlite://tasks.db?mode=rwc&cache=shared&immutable=true".to_owned(),
        "sqlite::memory:".to_owned(),
    ];
    let mut seeds: Vec<_> = urls
        .iter()
        .enumerate()
        .map(|(number, url)| Seed::new(&format!("url-{number}"), url.as_str()))
        .collect();
    seeds.push(Seed::new("long-host", format!("amqp://{}", "h".repeat(100_000))));
    seeds.push(Seed::new(
        "many",
        format!("amqp://x{}", ",amqp://y".repeat(10_000)),
    ));
    seeds.push(Seed::new(
        "escapes",
        format!("amqp://u:p@h/{}", "%2f".repeat(30_000)),
    ));
    seeds
}
