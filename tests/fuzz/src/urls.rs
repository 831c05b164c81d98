//! URLs of brokers and databases.

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
    let shown = brighter::transport::rabbitmq::without_credentials(text);
    assert!(!is_password(text) || !shown.contains(PASSWORD), "{shown}");
    match read_urls(text) {
        Ok(shown) => assert!(!is_password(text) || !shown.contains(PASSWORD), "{shown}"),
        Err(error) => {
            let told = format!("{error} {error:?}");
            assert!(!told.contains(PASSWORD), "{told}");
        }
    }
    // What sqlx says of them our stores sort into errors of their own; it must say it without a panic.
    let _ = text.parse::<PgConnectOptions>();
    let _ = text.parse::<MySqlConnectOptions>();
    let _ = text.parse::<SqliteConnectOptions>();
}

/// Whether the password is where one belongs: before the last `@`.
fn is_password(url: &str) -> bool {
    let Some((before, behind)) = url.rsplit_once('@') else {
        return false;
    };
    before.contains(PASSWORD) && !behind.contains(PASSWORD) && !before.contains(',')
}

fn seeds() -> Vec<Seed> {
    let urls = [
        format!("amqp://guest:{PASSWORD}@localhost:5672/%2f?heartbeat=5&frame_max=131072"),
        format!(
            "amqps://u:{PASSWORD}@[::1]:5671/vhost?connection_timeout=1&channel_max=5&auth_mechanism=PLAIN"
        ),
        format!("amqp://a:{PASSWORD}@one,amqp://b:{PASSWORD}@two"),
        format!("amqp://u:p%40{PASSWORD}/@host"),
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
