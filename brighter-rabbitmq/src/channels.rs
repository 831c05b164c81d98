//! Declares and removes the queues of a channel, without consuming.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeleteOptions;
use tokio::time::timeout;

use crate::connections::Connections;
use crate::topology::{self, DeclareError, DeclareFailure, answered, close};
use crate::wire::short;
use brighter_core::channel::{Channel, ChannelError, DeclareMode};
use brighter_core::message::ChannelName;

/// The deadline for all answers together.
const ANSWERS: Duration = Duration::from_secs(30);

/// Declares or checks the exchange, the queues and the bindings of a channel, as the channel says.
pub(super) async fn declare(connections: &Arc<Connections>, channel: &Channel) -> Result<(), ChannelError> {
    let topology = connections.settings.topology(channel)?;
    let asking = async {
        let _turn = connections.starts.turn(&channel.name).await?;
        let isolated = connections.isolated(&channel.name)?;
        let handle = isolated.as_deref().unwrap_or(&connections.consuming);
        let open = handle.current().await?;
        let about = |error: DeclareError| error.about(topology.messages());
        let declaring = async {
            let amqp = answered("channel.open", handle.open_channel(&open));
            let amqp = amqp.await.map_err(about)?;
            topology::declare(handle, &open, &amqp, &topology).await?;
            if topology.declare == DeclareMode::Create {
                // The queue may have been declared anew.
                connections.publisher.renew_channel();
            }
            close(amqp).await.map_err(about)
        };
        let declared: Result<(), DeclareFailure> = open.while_up(declaring).await?;
        declared.map_err(|failure| connections.failed(&channel.name, &open, isolated.is_some(), failure))
    };
    within_deadline(connections, asking).await
}

/// Removes one queue with all its messages. For RabbitMQ, a queue that does not exist counts as removed.
pub(super) async fn remove(
    connections: &Arc<Connections>,
    channel: &ChannelName,
) -> Result<(), ChannelError> {
    channel.validate()?;
    let asking = async {
        let isolated = connections.isolated(channel)?;
        let handle = isolated.as_deref().unwrap_or(&connections.consuming);
        let open = handle.current().await?;
        let removing = async {
            // A separate AMQP channel, because the broker closes it after a refusal.
            let amqp = answered("channel.open", handle.open_channel(&open)).await?;
            let queue = short("channel name", channel.as_str())?;
            let deleted = amqp.queue_delete(queue, QueueDeleteOptions::default());
            answered("queue.delete", deleted).await?;
            close(amqp).await
        };
        let removed: Result<(), DeclareError> = open.while_up(removing).await?;
        let about = |error: DeclareError| error.about(format_args!("queue `{channel}`"));
        removed.map_err(|error| connections.failed(channel, &open, isolated.is_some(), about(error)))
    };
    within_deadline(connections, asking).await
}

async fn within_deadline(
    connections: &Arc<Connections>,
    asking: impl Future<Output = Result<(), ChannelError>>,
) -> Result<(), ChannelError> {
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let after = ANSWERS;
    let answer = timeout(after, asking).await;
    answer.unwrap_or(Err(ChannelError::TimedOut { after }))
}
