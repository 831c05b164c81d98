//! Declares or checks a topology, as its mode says.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use tokio::time::timeout;

use super::failure::{ANSWER, DeclareError, DeclareFailure};
use super::model::{Argument, Binding, Exchange, ExchangeKind, Queue, Topology};
use crate::connection::{ConnectionHandle, OpenConnection, OwnedChannel};
use crate::wire::short;
use brighter_core::channel::DeclareMode;

/// Waits for the broker's answer to a request.
pub(crate) async fn answered<T>(
    request: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, DeclareError> {
    answered_within(ANSWER, request, answer).await
}

/// Waits this long for the broker's answer to a request.
pub(crate) async fn answered_within<T>(
    after: Duration,
    request: &'static str,
    answer: impl Future<Output = lapin::Result<T>>,
) -> Result<T, DeclareError> {
    match timeout(after, answer).await {
        Ok(answer) => answer.map_err(|error| DeclareError::Broker { request, error }),
        Err(_) => Err(DeclareError::Unanswered { request, after }),
    }
}

/// Declares or checks the exchange of a publisher, by the mode of the builder.
pub(crate) async fn declare_exchange(
    amqp: &lapin::Channel,
    mode: DeclareMode,
    described: &Exchange,
) -> Result<(), DeclareError> {
    match mode {
        DeclareMode::Create => exchange(amqp, described, false).await,
        DeclareMode::Validate => exchange(amqp, described, true).await,
        _ => Ok(()),
    }
}

/// Declares or checks all that a channel needs, by the mode of the channel.
pub(crate) async fn declare(
    handle: &ConnectionHandle,
    open: &OpenConnection,
    amqp: &lapin::Channel,
    topology: &Topology,
) -> Result<(), DeclareFailure> {
    match topology.declare {
        DeclareMode::Create => create(amqp, topology).await,
        DeclareMode::Validate => validate(handle, open, topology).await,
        DeclareMode::Assume => Ok(()),
        _ => Err(DeclareError::Unsupported("this way to declare a channel").about(topology.messages())),
    }
}

/// The queue of the messages is declared neither last nor first. Not last: another process that finds it still has to
/// declare one more. This gives the broker time to start a quorum queue that is only registered; a consumer before that
/// ends the connection. Not first: a wrong type of all queues is reported best for a queue without other arguments.
async fn create(amqp: &lapin::Channel, topology: &Topology) -> Result<(), DeclareFailure> {
    let made = exchange(amqp, &topology.exchange, false).await;
    made.map_err(|error| error.about(&topology.exchange))?;
    let (first, rest) = topology.queues.split_at(topology.queues.len().min(1));
    for each in first.iter().chain(rest.iter().rev()) {
        let made = queue(amqp, each, false).await;
        made.map_err(|error| error.about(each))?;
    }
    for each in &topology.bindings {
        let bound = bind(amqp, &topology.exchange.name, each).await;
        bound.map_err(|error| error.about(format_args!("queue `{}`", each.queue)))?;
    }
    Ok(())
}

/// Checks everything, so that all missing items are reported at once. AMQP cannot check a binding.
async fn validate(
    handle: &ConnectionHandle,
    open: &OpenConnection,
    topology: &Topology,
) -> Result<(), DeclareFailure> {
    let scratch = || answered("channel.open", handle.open_channel(open));
    let mut missing = Vec::new();
    let mut amqp = scratch().await.map_err(|error| error.about(&topology.exchange))?;
    let looked = exchange(&amqp, &topology.exchange, true).await;
    let first = (topology.exchange.to_string(), looked);
    let mut results = vec![first];
    for each in &topology.queues {
        if !amqp.status().connected() {
            // The broker closes the channel if an item does not exist.
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
    close(amqp)
        .await
        .map_err(|error| error.about("the channel that looks"))?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(DeclareError::Missing.about(missing.join(" and ")))
}

/// Closes a channel, unless the broker has done so.
pub(crate) async fn close(amqp: OwnedChannel) -> Result<(), DeclareError> {
    if !amqp.status().connected() {
        return Ok(());
    }
    answered("channel.close", amqp.close()).await
}

/// Declares the queue of a delay on a temporary channel: a refusal closes it.
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
    let declared = amqp.exchange_declare(name, kind, options, FieldTable::default());
    answered("exchange.declare", declared).await
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
    let declared = amqp.queue_declare(short("channel name", &queue.name)?, options, arguments);
    answered("queue.declare", declared).await.map(drop)
}

async fn bind(amqp: &lapin::Channel, exchange: &str, binding: &Binding) -> Result<(), DeclareError> {
    let bound = amqp.queue_bind(
        short("channel name", &binding.queue)?,
        short("exchange name", exchange)?,
        short("routing key", &binding.routing_key)?,
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    answered("queue.bind", bound).await
}
