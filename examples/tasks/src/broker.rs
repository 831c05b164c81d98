//! The broker: a file of this machine, or RabbitMQ where it is said where that is.

use std::path::PathBuf;
use std::sync::Arc;

use brighter::SqliteBroker;
use brighter::channel::Broker;
use brighter::config::Config;
use brighter::transport::sqlite::SqliteBrokerOptions;

use crate::failure::Failure;
use crate::settings::SECTION;

/// Which of the two it is decides nothing but this line.
pub(crate) async fn connect(config: &Config) -> Result<Arc<dyn Broker>, Failure> {
    Ok(match config.secret("rabbitmq", "url") {
        None => Arc::new(open(config).await?),
        #[cfg(feature = "rabbitmq")]
        Some(_) => Arc::new(rabbitmq::connect(config).await?),
        #[cfg(not(feature = "rabbitmq"))]
        Some(_) => return Err(Failure::built_without("rabbitmq", "--broker")),
    })
}

async fn open(config: &Config) -> Result<SqliteBroker, Failure> {
    let file = config
        .path(SECTION, "broker_file")
        .unwrap_or_else(|| PathBuf::from("broker.db"));
    SqliteBroker::open(&file)
        .options(SqliteBrokerOptions::from_config(config))
        .await
        .map_err(|error| Failure::because(&format!("cannot use {} as a broker", file.display()), &error))
}

#[cfg(feature = "rabbitmq")]
mod rabbitmq {
    use brighter::RabbitMq;
    use brighter::config::{Config, ConfigErrors, Problem};
    use brighter::transport::rabbitmq::RabbitMqBuilder;

    use crate::failure::Failure;

    /// Connects, as the settings say.
    pub(super) async fn connect(config: &Config) -> Result<RabbitMq, Failure> {
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
            _ => crate::settings::wrong(errors),
        }
    }
}
