//! Consuming: one AMQP channel for each consumer, which lives until its last delivery is settled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::{of_channel, said};
use super::lane::Lane;
use super::settle::Lease;
use super::topology::{self, DeclareError};
use super::wire::{self, Original};
use super::{ConnectError, Shared};
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

/// Declaring everything and beginning to consume take this long at most.
const STARTING: Duration = Duration::from_secs(30);
/// Cancelling a consumer takes this long at most.
const ENDING: Duration = Duration::from_secs(5);

pub(super) async fn consume(shared: &Arc<Shared>, channel: &Channel) -> Result<Consumer, ChannelError> {
    let topology = shared.settings.topology(channel)?;
    if shared.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let open = shared.consuming.current().await?;
    let starting = async {
        let about = |error: DeclareError| error.about(topology.messages());
        let opened = open.connection.create_channel().await;
        let amqp = opened.map_err(|error| about(error.into()))?;
        topology::declare(&open.connection, &amqp, &topology).await?;
        let incoming = begin(&amqp, channel).await.map_err(about)?;
        Ok::<_, ChannelError>((amqp, incoming))
    };
    let (amqp, incoming) = timeout(STARTING, starting)
        .await
        .map_err(|_| ConnectError::silent(&shared.settings.address, STARTING))??;
    let lane = Lane::begin(
        amqp,
        open.generation,
        channel.clone(),
        topology,
        Arc::clone(shared),
    );
    let (gone, ended) = oneshot::channel();
    let consumer = Consumer::new(Incoming {
        lane,
        incoming: Some((incoming, gone)),
    });
    // An error says that the consumer had ended before.
    Ok(consumer.gone_when(async { drop(ended.await) }))
}

async fn begin(amqp: &lapin::Channel, channel: &Channel) -> Result<lapin::Consumer, DeclareError> {
    amqp.basic_qos(channel.buffer.get(), BasicQosOptions::default())
        .await?;
    let queue = wire::short("channel name", channel.name.as_str())?;
    let options = BasicConsumeOptions::default();
    let incoming = amqp.basic_consume(queue, "".into(), options, FieldTable::default());
    Ok(incoming.await?)
}

/// The stream behind a [`Consumer`].
struct Incoming {
    lane: Arc<Lane>,
    /// None once it has ended. What is beside it says that the broker no longer has the consumer.
    incoming: Option<(lapin::Consumer, oneshot::Sender<()>)>,
}

impl Stream for Incoming {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some((incoming, _)) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let end = match ready!(incoming.poll_next_unpin(task)) {
            Some(Ok(delivery)) => return Poll::Ready(Some(Ok(lend(&this.lane, delivery)))),
            _ if this.lane.shared.closing.is_cancelled() => None,
            Some(Err(error)) if of_channel(&error).is_some() => {
                Some(ChannelError::Lost { reason: said(&error) })
            }
            Some(Err(error)) if is_unreadable(&error) => Some(ChannelError::Lost {
                reason: format!(
                    "the connection broke over something that is no valid AMQP ({error}); if it was a message of \
                     `{}`, with the name of a header or a short text that is not UTF-8, it comes again and again: \
                     take it out of the queue",
                    this.lane.channel.name
                ),
            }),
            Some(Err(error)) => Some(ChannelError::Disconnected(error.into())),
            None => Some(ChannelError::Lost {
                reason: format!(
                    "the broker cancelled the consumer of `{}`; its queue may have been deleted",
                    this.lane.channel.name
                ),
            }),
        };
        this.incoming = None;
        this.lane.ended();
        Poll::Ready(end.map(Err))
    }
}

/// Whether lapin could not make sense of what came. It ends the connection over it, and does not say which
/// message it was.
fn is_unreadable(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ParsingError(_))
}

/// Stops the consumer, then gives back what it had taken and nobody has seen. What is being handled can still
/// be settled: it holds the lane.
impl Drop for Incoming {
    fn drop(&mut self) {
        let Some((mut incoming, gone)) = self.incoming.take() else {
            return;
        };
        self.lane.ended();
        let lane = Arc::clone(&self.lane);
        let runtime = lane.shared.runtime.clone();
        runtime.spawn(async move {
            let amqp = lane.amqp();
            let cancelled = amqp.basic_cancel(incoming.tag(), BasicCancelOptions::default());
            let _ = timeout(ENDING, cancelled).await;
            // All that the broker had sent before it confirmed has arrived before the confirmation.
            while let Some(Some(Ok(delivery))) = incoming.next().now_or_never() {
                drop(lend(&lane, delivery));
            }
            if !gone.is_closed() {
                // Somebody waits until the broker has taken them back.
                let _ = timeout(ENDING, lane.flush()).await;
                let _ = gone.send(());
            }
        });
    }
}

fn lend(lane: &Arc<Lane>, delivery: lapin::message::Delivery) -> Delivery {
    let original = Original {
        routing_key: delivery.routing_key,
        properties: delivery.properties,
        body: delivery.data.into(),
    };
    let redeliveries = if delivery.redelivered && lane.counts {
        delivery_count(&original)
    } else {
        0
    };
    let message = wire::message(&original);
    lane.lent(delivery.delivery_tag);
    let settle = Box::new(Lease::new(Arc::clone(lane), delivery.delivery_tag, original));
    match message {
        Ok(message) => Delivery::new(message, settle),
        Err(reason) => Delivery::malformed(reason, settle),
    }
    .with_redeliveries(redeliveries)
}

/// How often a quorum queue says that it has delivered the message before. Only for what it delivers again:
/// what comes for the first time may bring the header from a stranger.
fn delivery_count(original: &Original) -> u32 {
    let headers = original.properties.headers().as_ref();
    let count = headers.and_then(|headers| headers.inner().get("x-delivery-count"));
    match count {
        Some(AMQPValue::LongLongInt(count)) => u32::try_from(*count).unwrap_or_default(),
        _ => 0,
    }
}
