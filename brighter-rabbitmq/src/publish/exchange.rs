//! The exchange that messages are published to, declared on a channel.

use std::time::Duration;

use tokio::time::timeout;

use crate::error::{ConnectError, of_channel, reply_text};
use crate::settings::RabbitMqSettings;
use crate::topology::{ANSWER, DeclareError, declare_exchange};

/// Opening a channel and declaring the exchange take this long at most.
pub(super) const OPENING: Duration = Duration::from_secs(10);

/// Declares the exchange on a channel that is thrown away.
pub(crate) async fn check_exchange(
    connection: &lapin::Connection,
    settings: &RabbitMqSettings,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, settings.make_exchange, &settings.exchange()).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    timeout(OPENING, declaring)
        .await
        .map_err(|_| ConnectError::silent(&settings.address, OPENING))?
        .map_err(|error| exchange_error(error, settings))
}

/// Says why the exchange cannot be used.
pub(super) fn exchange_error(error: DeclareError, settings: &RabbitMqSettings) -> ConnectError {
    let exchange = settings.exchange.clone();
    match error {
        DeclareError::Name(error) => ConnectError::Exchange {
            exchange,
            reason: error.to_string(),
        },
        DeclareError::Broker(error) if of_channel(&error).is_some() => ConnectError::Exchange {
            exchange,
            reason: reply_text(&error),
        },
        DeclareError::Broker(error) => ConnectError::of_attempt(error, &settings.address),
        DeclareError::Unanswered { .. } => ConnectError::silent(&settings.address, ANSWER),
        // Neither is said of an exchange that is declared.
        DeclareError::Missing | DeclareError::Unsupported(_) => ConnectError::Exchange {
            exchange,
            reason: "it is missing".into(),
        },
    }
}
