//! What is declared, and how. A queue has as few arguments as can be: a queue that exists with others is
//! refused by the broker, so each argument is one more thing that can never be changed in place.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::options::{ExchangeKind, Settings};
use super::wire::short;
use crate::channel::Channel;
use crate::message::NameError;

/// Why a declaration failed.
pub(super) enum DeclareError {
    Name(NameError),
    Broker(lapin::Error),
}

impl From<NameError> for DeclareError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<lapin::Error> for DeclareError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error)
    }
}

pub(super) async fn declare_exchange(amqp: &lapin::Channel, settings: &Settings) -> Result<(), DeclareError> {
    let kind = match settings.exchange_kind {
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = short("exchange name", &settings.exchange)?;
    amqp.exchange_declare(name, kind, options, FieldTable::default())
        .await?;
    Ok(())
}

/// The exchange, the queue with its bindings, and the two queues beside it.
pub(super) async fn declare(
    amqp: &lapin::Channel,
    settings: &Settings,
    channel: &Channel,
) -> Result<(), DeclareError> {
    declare_exchange(amqp, settings).await?;
    for beside in [&channel.dead_letters, &channel.invalid_messages] {
        declare_queue(amqp, beside.as_str(), FieldTable::default()).await?;
    }
    // We set messages aside ourselves, with a reason. This is for those that the broker does: by a limit of
    // length, time or deliveries that a policy of the broker sets.
    let arguments = dead_letter_to(channel.dead_letters.as_str());
    declare_queue(amqp, channel.name.as_str(), arguments).await?;
    for key in &channel.routing_keys {
        amqp.queue_bind(
            short("channel name", channel.name.as_str())?,
            short("exchange name", &settings.exchange)?,
            short("routing key", key.as_str())?,
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    }
    Ok(())
}

/// A queue whose messages go to `queue` after so many milliseconds.
pub(super) async fn declare_delay(
    amqp: &lapin::Channel,
    name: &str,
    queue: &str,
    milliseconds: u32,
) -> Result<(), DeclareError> {
    let mut arguments = dead_letter_to(queue);
    arguments.insert(
        "x-message-ttl".into(),
        AMQPValue::LongLongInt(milliseconds.into()),
    );
    declare_queue(amqp, name, arguments).await
}

async fn declare_queue(amqp: &lapin::Channel, name: &str, arguments: FieldTable) -> Result<(), DeclareError> {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    amqp.queue_declare(short("channel name", name)?, options, arguments)
        .await?;
    Ok(())
}

/// Straight to one queue, through the default exchange: nobody else gets a copy.
fn dead_letter_to(queue: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments
        .insert(
            "x-dead-letter-exchange".into(),
            AMQPValue::LongString(LongString::from("")),
        )
        .insert(
            "x-dead-letter-routing-key".into(),
            AMQPValue::LongString(LongString::from(queue)),
        );
    arguments
}
