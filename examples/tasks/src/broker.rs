//! The connection to RabbitMQ.

use brighter::RabbitMq;
use brighter::config::{Config, ConfigErrors, Problem};

use crate::failure::Failure;
use crate::settings;

/// Connects, as the settings say.
pub(crate) async fn connect(config: &Config) -> Result<RabbitMq, Failure> {
    let builder = config.rabbitmq().map_err(|errors| not_said(&errors))?;
    builder.connect().await.map_err(|error| match error.is_fatal() {
        // The URL, or what it says: user, password, virtual host.
        true => Failure::usage(error.to_string()),
        false => Failure::because("no connection to the broker", &error),
    })
}

fn not_said(errors: &ConfigErrors) -> Failure {
    match errors.iter().next().map(|error| &error.problem) {
        Some(Problem::Missing { .. }) => Failure::usage(
            "where is the broker? Say `--broker <URL>`, TASKS_BROKER, BRIGHTER_RABBITMQ_URL, or `url` in `[rabbitmq]` of a file",
        ),
        Some(Problem::Impossible { .. }) => {
            Failure::usage(format!("the URL of the broker is wrong: {errors}"))
        }
        _ => settings::wrong(errors),
    }
}
