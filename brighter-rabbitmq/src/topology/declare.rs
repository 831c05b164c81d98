//! Declaring walks the data, and looks at it or leaves it alone where it was told to.

use lapin::ErrorKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::model::{Argument, Binding, Exchange, ExchangeKind, Queue, Topology};
use crate::error::{of_channel, reply_text};
use crate::wire::short;
use brighter_core::channel::{ChannelError, MakeChannel};
use brighter_core::message::NameError;

/// Why a declaration failed.
pub(crate) enum DeclareError {
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

impl DeclareError {
    /// What it means to a caller that wants to consume, with the form of what was declared.
    pub(crate) fn about(self, what: impl ToString) -> ChannelError {
        match self {
            Self::Name(error) => error.into(),
            Self::Broker(error) => of_declaring(error, &what.to_string()),
        }
    }

    fn is_not_found(&self) -> bool {
        match self {
            Self::Broker(error) => matches!(of_channel(error), Some(AMQPSoftError::NOTFOUND)),
            Self::Name(_) => false,
        }
    }
}

/// The exchange of a publisher, by the mode that the builder was given.
pub(crate) async fn declare_exchange(
    amqp: &lapin::Channel,
    make: MakeChannel,
    described: &Exchange,
) -> Result<(), DeclareError> {
    match make {
        MakeChannel::Create => exchange(amqp, described, false).await,
        MakeChannel::Validate => exchange(amqp, described, true).await,
        _ => Ok(()),
    }
}

/// What a channel needs, by the mode that the channel was given.
pub(crate) async fn declare(
    connection: &lapin::Connection,
    amqp: &lapin::Channel,
    topology: &Topology,
) -> Result<(), ChannelError> {
    match topology.make {
        MakeChannel::Create => create(amqp, topology).await,
        MakeChannel::Validate => validate(connection, topology).await,
        MakeChannel::Assume => Ok(()),
        _ => Err(ChannelError::Unsupported("this way to make a channel")),
    }
}

async fn create(amqp: &lapin::Channel, topology: &Topology) -> Result<(), ChannelError> {
    let made = exchange(amqp, &topology.exchange, false).await;
    made.map_err(|error| error.about(&topology.exchange))?;
    for each in &topology.queues {
        let made = queue(amqp, each, false).await;
        made.map_err(|error| error.about(each))?;
    }
    for each in &topology.bindings {
        let bound = bind(amqp, &topology.exchange.name, each).await;
        bound.map_err(|error| error.about(format_args!("queue `{}`", each.queue)))?;
    }
    Ok(())
}

/// Looks at everything, so that all that is missing is told at once. AMQP cannot look at a binding.
async fn validate(connection: &lapin::Connection, topology: &Topology) -> Result<(), ChannelError> {
    let scratch = || async { connection.create_channel().await.map_err(DeclareError::from) };
    let mut missing = Vec::new();
    let mut amqp = scratch().await.map_err(|error| error.about(&topology.exchange))?;
    let looked = exchange(&amqp, &topology.exchange, true).await;
    let first = (topology.exchange.to_string(), looked);
    let mut results = vec![first];
    for each in &topology.queues {
        if !amqp.status().connected() {
            // The broker closes the channel over what it does not find.
            amqp = scratch().await.map_err(|error| error.about(each))?;
        }
        results.push((each.to_string(), queue(&amqp, each, true).await));
    }
    for (what, looked) in results {
        match looked {
            Ok(()) => {}
            Err(error) if error.is_not_found() => missing.push(what),
            Err(error) => return Err(error.about(what)),
        }
    }
    if amqp.status().connected() {
        amqp.close(200, "done".into())
            .await
            .map_err(|error| DeclareError::from(error).about("the channel that looks"))?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(ChannelError::Refused {
        reason: format!(
            "the broker does not have {}; make what is missing, or let the consumer do it with \
             `make_channel(MakeChannel::Create)`",
            missing.join(" and ")
        ),
    })
}

/// A queue for a delay, on a channel that may go: what is refused closes it.
pub(crate) async fn declare_delay(amqp: &lapin::Channel, delay: &Queue) -> Result<(), DeclareError> {
    queue(amqp, delay, false).await
}

async fn exchange(amqp: &lapin::Channel, exchange: &Exchange, passive: bool) -> Result<(), DeclareError> {
    let kind = match exchange.kind {
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
    };
    let options = ExchangeDeclareOptions {
        durable: exchange.durable,
        passive,
        ..ExchangeDeclareOptions::default()
    };
    let name = short("exchange name", &exchange.name)?;
    amqp.exchange_declare(name, kind, options, FieldTable::default())
        .await?;
    Ok(())
}

async fn queue(amqp: &lapin::Channel, queue: &Queue, passive: bool) -> Result<(), DeclareError> {
    let options = QueueDeclareOptions {
        durable: queue.durable,
        exclusive: queue.exclusive,
        auto_delete: queue.auto_delete,
        passive,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    for (name, value) in &queue.arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(LongString::from(text.as_str())),
            Argument::Number(number) => AMQPValue::LongLongInt(*number),
            Argument::Flag(flag) => AMQPValue::Boolean(*flag),
        };
        arguments.insert(short("argument", name)?, value);
    }
    amqp.queue_declare(short("channel name", &queue.name)?, options, arguments)
        .await?;
    Ok(())
}

async fn bind(amqp: &lapin::Channel, exchange: &str, binding: &Binding) -> Result<(), DeclareError> {
    amqp.queue_bind(
        short("channel name", &binding.queue)?,
        short("exchange name", exchange)?,
        short("routing key", &binding.routing_key)?,
        QueueBindOptions::default(),
        FieldTable::default(),
    )
    .await?;
    Ok(())
}

/// Why a channel could not be declared or consumed: by the kind of the error, whose text is only shown.
fn of_declaring(error: lapin::Error, what: &str) -> ChannelError {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(protocol) => advice(protocol.kind()),
        _ => None,
    };
    match advice {
        Some(advice) => ChannelError::Refused {
            reason: format!("{what}: {}; {advice}", reply_text(&error)),
        },
        None => ChannelError::Disconnected(error.into()),
    }
}

fn advice(kind: &AMQPErrorKind) -> Option<&'static str> {
    let AMQPErrorKind::Soft(kind) = kind else {
        return None;
    };
    match kind {
        AMQPSoftError::PRECONDITIONFAILED => Some(
            "it was declared as `received`, and exists as `current`: say of the channel what it is, give it \
             another name, or let it run empty and delete it",
        ),
        AMQPSoftError::ACCESSREFUSED => Some(
            "grant the user `configure`, `write` and `read` on it, or see whether another consumer has it \
             for itself",
        ),
        AMQPSoftError::RESOURCELOCKED => {
            Some("another connection has it for itself: stop that, or name another")
        }
        AMQPSoftError::NOTFOUND => Some(
            "make it, or let the consumer do it with `make_channel(MakeChannel::Create)`; if it does, somebody \
             deleted it in this moment: start again",
        ),
        AMQPSoftError::CONTENTTOOLARGE | AMQPSoftError::NOROUTE | AMQPSoftError::NOCONSUMERS => None,
    }
}
