//! Declaring and removing the queues of a channel, without consuming.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use tokio::time::timeout;

use crate::connections::Connections;
use crate::error::ConnectError;
use crate::topology::{self, DeclareError};
use crate::wire::short;
use brighter_core::channel::{Channel, ChannelError, MakeChannel};
use brighter_core::message::ChannelName;

/// All answers together take this long at most.
const ANSWERS: Duration = Duration::from_secs(30);

/// Makes the exchange, the queues and the bindings of a channel, or looks for them, as the channel says.
pub(super) async fn declare(connections: &Arc<Connections>, channel: &Channel) -> Result<(), ChannelError> {
    let topology = connections.settings.topology(channel)?;
    let asking = async {
        let open = connections.consuming.current().await?;
        let about = |error: lapin::Error| DeclareError::from(error).about(topology.messages());
        let amqp = open.connection.create_channel().await.map_err(about)?;
        topology::declare(&open.connection, &amqp, &topology).await?;
        if topology.make == MakeChannel::Create {
            // The queue may be a new one.
            connections.publisher.renew_channel();
        }
        amqp.close(200, "done".into()).await.map_err(about)
    };
    answered(connections, asking).await
}

/// Removes one queue with all that is in it. RabbitMQ takes a queue that does not exist for removed.
pub(super) async fn remove(
    connections: &Arc<Connections>,
    channel: &ChannelName,
) -> Result<(), ChannelError> {
    channel.validate()?;
    let asking = async {
        let open = connections.consuming.current().await?;
        let removing = async {
            // A channel of its own: the broker closes it when it refuses.
            let amqp = open.connection.create_channel().await?;
            let queue = short("channel name", channel.as_str())?;
            amqp.queue_delete(queue, QueueDeleteOptions::default()).await?;
            amqp.close(200, "done".into()).await?;
            Ok(())
        };
        let removed: Result<(), DeclareError> = removing.await;
        removed.map_err(|error| error.about(format_args!("queue `{channel}`")))
    };
    answered(connections, asking).await
}

async fn answered(
    connections: &Arc<Connections>,
    asking: impl Future<Output = Result<(), ChannelError>>,
) -> Result<(), ChannelError> {
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    match timeout(ANSWERS, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(ConnectError::silent(&connections.settings.address, ANSWERS).into()),
    }
}
