//! The broker: a file of this machine, or RabbitMQ where it is said where that is.

use std::path::PathBuf;
use std::sync::Arc;

use brighter::channel::Broker;
use brighter::config::{Config, ConfigErrors, Problem};
use brighter::transport::rabbitmq::RabbitMqBuilder;
use brighter::transport::sqlite::SqliteBrokerOptions;
use brighter::{RabbitMq, SqliteBroker};

use crate::failure::Failure;
use crate::settings::{self, SECTION};

/// Which of the two it is decides nothing but this line.
pub(crate) async fn connect(config: &Config) -> Result<Arc<dyn Broker>, Failure> {
    Ok(match config.secret("rabbitmq", "url") {
        None => Arc::new(open(config).await?),
        Some(_) => Arc::new(rabbitmq(config).await?),
    })
}

async fn open(config: &Config) -> Result<SqliteBroker, Failure> {
    let file = config
        .path(SECTION, "broker_file")
        .unwrap_or_else(|| PathBuf::from("broker.db"));
    SqliteBroker::open_with(&file, &SqliteBrokerOptions::from_config(config))
        .await
        .map_err(|error| Failure::because(&format!("cannot use {} as a broker", file.display()), &error))
}

/// Connects, as the settings say.
async fn rabbitmq(config: &Config) -> Result<RabbitMq, Failure> {
    let builder = RabbitMqBuilder::from_config(config).map_err(|errors| not_said(&errors))?;
    builder.connect().await.map_err(|error| match error.is_fatal() {
        // The URL, or what it says: user, password, virtual host.
        true => Failure::usage(error.to_string()),
        false => Failure::because("no connection to the broker", &error),
    })
}

fn not_said(errors: &ConfigErrors) -> Failure {
    match errors.iter().next().map(|error| &error.problem) {
        Some(Problem::Impossible { .. }) => {
            Failure::usage(format!("the URL of the broker is wrong: {errors}"))
        }
        _ => settings::wrong(errors),
    }
}
