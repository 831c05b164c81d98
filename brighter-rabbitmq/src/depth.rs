//! How many messages wait in a channel, by asking the broker.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use super::topology::DeclareError;
use super::wire::short;
use super::{ConnectError, Shared};
use brighter_core::channel::{Channel, ChannelError};

/// An answer takes this long at most.
const ASKING: Duration = Duration::from_secs(10);

pub(super) async fn depth(shared: &Arc<Shared>, channel: &Channel) -> Result<Option<u64>, ChannelError> {
    channel.validate()?;
    if shared.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let open = shared.consuming.current().await?;
    let asking = async {
        // A channel of its own: the broker closes it when there is no such queue.
        let amqp = open.connection.create_channel().await?;
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let name = short("channel name", channel.name.as_str())?;
        let queue = amqp.queue_declare(name, options, FieldTable::default()).await?;
        amqp.close(200, "done".into()).await?;
        Ok(queue.message_count())
    };
    let depth = timeout(ASKING, asking)
        .await
        .map_err(|_| ConnectError::silent(&shared.settings.address, ASKING))?
        .map_err(|error: DeclareError| error.about(format_args!("queue `{}`", channel.name)))?;
    Ok(Some(depth.into()))
}
