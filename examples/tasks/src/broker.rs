//! The connection to RabbitMQ.

use std::time::Duration;

use brighter::RabbitMq;
use brighter::transport::rabbitmq::ExchangeKind;

use crate::cli;
use crate::failure::Failure;

/// Shorter than the API's sweeper claims a message for: see [`tasks::api::CLAIMED_FOR`].
const CONFIRM_WITHIN: Duration = Duration::from_secs(5);

/// Connects, and waits for a broker that is away, however long: the transport logs that it waits, and when it
/// need no longer.
pub(crate) async fn connect(options: &cli::Broker, role: &str) -> Result<RabbitMq, Failure> {
    RabbitMq::builder(&options.url)
        .exchange(&options.exchange, ExchangeKind::Topic)
        .connection_name(format!("tasks {role}"))
        .confirm_within(CONFIRM_WITHIN)
        .wait_for_broker_forever()
        .connect()
        .await
        .map_err(|error| match error.is_fatal() {
            // The URL, or what it says: user, password, virtual host.
            true => Failure::usage(error.to_string()),
            false => Failure::because("no connection to the broker", &error),
        })
}
