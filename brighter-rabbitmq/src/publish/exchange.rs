//! Declares the exchange that messages are published to.

use std::time::Duration;

use lapin::protocol::AMQPSoftError;
use tokio::time::timeout;

use crate::connection::OpenConnection;
use crate::error::{ConnectError, of_channel, reply_text};
use crate::settings::RabbitMqSettings;
use crate::topology::{ANSWER, DeclareError, answered, declare_exchange};
use crate::url::Address;

/// The deadline for opening a channel and declaring the exchange.
pub(super) const OPENING: Duration = Duration::from_secs(8);

/// Declares the exchange on a temporary channel.
pub(crate) async fn check_exchange(
    open: &OpenConnection,
    settings: &RabbitMqSettings,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = answered("channel.open", open.connection.create_channel()).await?;
        declare_exchange(&channel, settings.declare_exchange, &settings.exchange()).await?;
        answered("channel.close", channel.close(200, "done".into())).await
    };
    let declared = timeout(OPENING, declaring).await;
    declared
        .map_err(|_| {
            // The caller does not wait for a node that does not answer: another node may.
            open.give_up(format!("the exchange was not declared within {OPENING:?}"));
            ConnectError::silent(open.address(), OPENING)
        })?
        .map_err(|error| exchange_error(error, open.address(), settings))
}

/// Returns why the exchange cannot be used.
pub(super) fn exchange_error(
    error: DeclareError,
    address: &Address,
    settings: &RabbitMqSettings,
) -> ConnectError {
    let exchange = settings.exchange.clone();
    match error {
        DeclareError::Name(error) => ConnectError::Exchange {
            exchange,
            reason: error.to_string(),
        },
        DeclareError::Broker { error, .. } => match of_channel(&error) {
            Some(AMQPSoftError::ACCESSREFUSED) => ConnectError::ExchangePermission {
                exchange,
                reason: reply_text(&error),
            },
            Some(_) => ConnectError::Exchange {
                exchange,
                reason: reply_text(&error),
            },
            None => ConnectError::lost(address, error),
        },
        DeclareError::Unanswered { .. } => ConnectError::silent(address, ANSWER),
        // Declaring an exchange causes neither of these.
        DeclareError::Missing | DeclareError::Unsupported(_) => ConnectError::Exchange {
            exchange,
            reason: "it is missing".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use lapin::ErrorKind;
    use lapin::protocol::{AMQPError, AMQPHardError};

    use super::*;
    use crate::RabbitMq;
    use brighter_core::__private::report;

    fn said(error: AMQPError) -> (ConnectError, String) {
        let settings = RabbitMq::builder("amqp://one,amqp://other").settings(true);
        let settings = settings.unwrap_or_else(|error| panic!("{error}"));
        let address = Address::parse("amqp://me:secret@other").unwrap_or_else(|error| panic!("{error}"));
        let error = DeclareError::Broker {
            request: "exchange.declare",
            error: ErrorKind::ProtocolError(error).into(),
        };
        let error = exchange_error(error, &address, &settings);
        let said = report(&error);
        assert!(!said.contains("secret") && !said.contains("amqp://one"), "{said}");
        (error, said)
    }

    #[test]
    fn exchange_errors_advise_and_lost_connections_name_their_node() {
        let refused = AMQPError::new(AMQPSoftError::ACCESSREFUSED.into(), "access refused".into());
        let (error, text) = said(refused);
        assert!(matches!(error, ConnectError::ExchangePermission { .. }) && error.is_fatal());
        for word in [
            "access refused",
            "`configure`",
            "DeclareMode::Validate",
            "DeclareMode::Assume",
        ] {
            assert!(text.contains(word), "{text}");
        }
        let other = AMQPError::new(
            AMQPSoftError::PRECONDITIONFAILED.into(),
            "inequivalent arg".into(),
        );
        let (error, text) = said(other);
        assert!(
            matches!(error, ConnectError::Exchange { .. }) && !text.contains("`configure`"),
            "{text}"
        );
        let lost = AMQPError::new(AMQPHardError::INTERNALERROR.into(), "broken".into());
        let (error, text) = said(lost);
        assert!(matches!(error, ConnectError::Lost { .. }) && !error.is_fatal());
        assert!(text.contains("amqp://other") && text.contains("broken"), "{text}");
    }
}
