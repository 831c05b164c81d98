//! Starts a consumer, on the shared connection or on the channel's own.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::live_consumers::LiveConsumers;
use super::started_consumer::StartedConsumer;
use crate::connection::{ConnectionHandle, OpenConnection, OwnedChannel};
use crate::connections::Connections;
use crate::topology::{self, ANSWER, DeclareError, DeclareFailure, Topology, answered, answered_within};
use crate::wire;
use brighter_core::channel::{Channel, ChannelError};

/// A node of several may take this long to begin a consumer: one that is cut off from the queue lets us wait in vain.
const AMONG_SEVERAL: Duration = Duration::from_secs(5);

/// Declares a channel, and starts to consume it. If this future is dropped at any point, the AMQP channel is closed,
/// and the consumer with it.
pub(super) async fn start(
    connections: &Connections,
    live: &LiveConsumers,
    channel: &Channel,
    topology: &Topology,
) -> Result<StartedConsumer, ChannelError> {
    let name = &channel.name;
    let turn = connections.starts.turn(name).await?;
    // A queue that already serves one consumer accepts another, so these starts need not wait for each other.
    let is_served = live.count(name) > 0;
    let _turn = (!is_served).then_some(turn);
    let isolated = connections.isolated(name)?;
    let _permit = match is_served || isolated.is_some() {
        true => None,
        false => Some(connections.starts.permit().await?),
    };
    let handle = isolated.as_deref().unwrap_or(&connections.consuming);
    let limit = match connections.settings.address.are_several() {
        true => AMONG_SEVERAL,
        false => ANSWER,
    };
    let (open, consumed) = loop {
        let open = handle.current().await?;
        let consuming = open.while_up(consume(handle, &open, channel, topology, limit));
        tokio::select! {
            biased;
            consumed = consuming => break (open, consumed?),
            // Its node may never answer, and there is another now.
            () = open.until_retired() => {}
        }
    };
    match consumed {
        Ok((amqp, incoming)) => {
            connections.isolated.started(name);
            Ok(StartedConsumer {
                amqp,
                incoming,
                open,
                isolated,
            })
        }
        Err(failure) => Err(failed(
            connections,
            live,
            &open,
            isolated.is_some(),
            channel,
            failure,
        )),
    }
}

async fn consume(
    handle: &ConnectionHandle,
    open: &OpenConnection,
    channel: &Channel,
    topology: &Topology,
    limit: Duration,
) -> Result<(OwnedChannel, lapin::Consumer), DeclareFailure> {
    let about = |error: DeclareError| error.about(topology.messages());
    let amqp = answered("channel.open", handle.open_channel(open));
    let amqp = amqp.await.map_err(about)?;
    topology::declare(handle, open, &amqp, topology).await?;
    let consuming = async {
        let options = BasicQosOptions::default();
        let limited = amqp.basic_qos(channel.buffer.get(), options);
        answered("basic.qos", limited).await?;
        let queue = wire::short("channel name", channel.name.as_str())?;
        let options = BasicConsumeOptions::default();
        let incoming = amqp.basic_consume(queue, "".into(), options, FieldTable::default());
        answered_within(limit, "basic.consume", incoming).await
    };
    let incoming = consuming.await.map_err(about)?;
    Ok((amqp, incoming))
}

/// Isolates a failed channel if that protects the others, and returns the error.
fn failed(
    connections: &Connections,
    live: &LiveConsumers,
    open: &Arc<OpenConnection>,
    is_isolated: bool,
    channel: &Channel,
    failure: DeclareFailure,
) -> ChannelError {
    let unanswered = failure.unanswered();
    let error = connections.failed(&channel.name, open, is_isolated, failure);
    if let Some(request) = unanswered {
        connections.questions.doubt(&channel.name, 1);
        // Opening a channel concerns the connection; any other request may concern the queue.
        if request == "channel.open" || live.on(open) == 0 {
            open.give_up(error.to_string());
        } else if !is_isolated {
            connections.isolated.suspect(&channel.name, &error.to_string());
        }
    }
    error
}
