//! The number of messages in a channel, from the broker.

use std::sync::Arc;

use lapin::Queue;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use crate::connection::{ConnectionHandle, OpenConnection};
use crate::connections::Connections;
use crate::topology::{DeclareError, answered, close};
use crate::wire::short;
use brighter_core::channel::{Channel, ChannelError};
use brighter_core::message::ChannelName;

pub(crate) async fn depth(
    connections: &Arc<Connections>,
    channel: &Channel,
) -> Result<Option<u64>, ChannelError> {
    channel.validate()?;
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let open = connections.consuming.current().await?;
    let handle = &connections.consuming;
    let asked = open.while_up(ask(handle, &open, &channel.name)).await?;
    let queue = asked.map_err(|error| {
        let about = error.about(format_args!("queue `{}`", channel.name));
        about.at(open.address())
    })?;
    Ok(Some(queue.message_count().into()))
}

/// Asks the broker for the messages and the consumers of a queue.
pub(super) async fn ask(
    handle: &ConnectionHandle,
    open: &OpenConnection,
    name: &ChannelName,
) -> Result<Queue, DeclareError> {
    // A separate AMQP channel, because the broker closes it if the queue does not exist.
    let amqp = answered("channel.open", handle.open_channel(open)).await?;
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let name = short("channel name", name.as_str())?;
    let declared = amqp.queue_declare(name, options, FieldTable::default());
    let queue = answered("queue.declare", declared).await?;
    close(amqp).await?;
    Ok(queue)
}
