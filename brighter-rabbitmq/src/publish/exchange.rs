//! The exchange that messages are published to, declared on a channel.

use std::time::Duration;

use lapin::protocol::AMQPSoftError;
use tokio::time::timeout;

use crate::connection::OpenConnection;
use crate::error::{ConnectError, of_channel, reply_text};
use crate::settings::RabbitMqSettings;
use crate::topology::{DeclareError, declare_exchange};

/// Opening a channel and declaring the exchange take this long at most.
pub(super) const OPENING: Duration = Duration::from_secs(8);

/// Declares the exchange on a channel that is thrown away.
pub(crate) async fn check_exchange(
    open: &OpenConnection,
    settings: &RabbitMqSettings,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = open.connection.create_channel().await?;
        declare_exchange(&channel, settings.make_exchange, &settings.exchange()).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    timeout(OPENING, declaring)
        .await
        .map_err(|_| ConnectError::silent(open.address(), OPENING))?
        .map_err(|error| exchange_error(error, open, settings))
}

/// Says why the exchange cannot be used.
pub(super) fn exchange_error(
    error: DeclareError,
    open: &OpenConnection,
    settings: &RabbitMqSettings,
) -> ConnectError {
    let exchange = settings.exchange.clone();
    match error {
        DeclareError::Name(error) => ConnectError::Exchange {
            exchange,
            reason: error.to_string(),
        },
        DeclareError::Broker(error) => match of_channel(&error) {
            Some(AMQPSoftError::ACCESSREFUSED) => ConnectError::ExchangePermission {
                exchange,
                reason: reply_text(&error),
            },
            Some(_) => ConnectError::Exchange {
                exchange,
                reason: reply_text(&error),
            },
            None => ConnectError::lost(open.address(), error),
        },
    }
}
