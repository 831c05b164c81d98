//! Consuming: one AMQP channel for each consumer, which lives until its last delivery is settled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use lapin::types::AMQPValue;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;
use super::receipt::Receipt;
use super::silence::{self, Silence};
use super::start::start;
use crate::connections::Connections;
use crate::error::{closes_connection, of_channel, reply_text};
use crate::wire::{self, Original};
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

/// Writing what is given back takes this long at most, when somebody waits for it.
const ENDING: Duration = Duration::from_secs(5);

pub(crate) async fn consume(
    connections: &Arc<Connections>,
    live: &Arc<LiveConsumers>,
    channel: &Channel,
) -> Result<Consumer, ChannelError> {
    let topology = connections.settings.topology(channel)?;
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let started = start(connections, live, channel, &topology).await?;
    let (consumer, incoming) =
        ConsumerChannel::begin(started, channel.clone(), topology, Arc::clone(connections));
    live.add(&consumer);
    let silence = Arc::<Silence>::default();
    let watched = (Arc::clone(&silence), Arc::downgrade(&consumer), Arc::clone(live));
    connections
        .io
        .spawn(silence::watch(watched.0, watched.1, watched.2));
    let (gone, ended) = oneshot::channel();
    let deliveries = Consumer::new(Incoming {
        consumer,
        silence,
        incoming: Some((incoming, gone)),
    });
    // An error says that the consumer had ended before.
    Ok(deliveries.gone_when(async { drop(ended.await) }))
}

/// The stream behind a [`Consumer`].
struct Incoming {
    consumer: Arc<ConsumerChannel>,
    silence: Arc<Silence>,
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
        let came = match incoming.poll_next_unpin(task) {
            Poll::Ready(came) => came,
            Poll::Pending => {
                let Some(reason) = this.silence.waits(task.waker()) else {
                    return Poll::Pending;
                };
                this.stop();
                return Poll::Ready(Some(Err(ChannelError::Unavailable { reason })));
            }
        };
        let end = match came {
            Some(Ok(delivery)) => {
                this.silence.heard();
                return Poll::Ready(Some(Ok(deliver(&this.consumer, delivery))));
            }
            _ if this.consumer.connections.closing.is_cancelled() => None,
            Some(Err(error)) if of_channel(&error).is_some() => Some(ChannelError::Lost {
                reason: reply_text(&error),
            }),
            Some(Err(error)) if is_unreadable(&error) => {
                let reason = format!(
                    "the connection broke over something that is no valid AMQP ({error}); if it was a message of \
                     `{}`, with the name of a header or a short text that is not UTF-8, it comes again and again: \
                     take it out of the queue",
                    this.consumer.channel.name
                );
                // Any of them may have brought it. The others go on when each has its own connection.
                this.consumer.suspect(&reason);
                Some(ChannelError::Lost { reason })
            }
            // Nobody else was on it. On one that is shared, the channel that was being started has cost it.
            Some(Err(error)) if closes_connection(&error) && this.consumer.isolated.is_some() => {
                let name = &this.consumer.channel.name;
                let reason = format!(
                    "the broker closed the connection over `{name}`: {}",
                    reply_text(&error)
                );
                this.consumer.suspect(&reason);
                Some(ChannelError::Unavailable { reason })
            }
            Some(Err(error)) => Some(ChannelError::Disconnected(error.into())),
            None => Some(ChannelError::Lost {
                reason: format!(
                    "the broker cancelled the consumer of `{}`; its queue may have been deleted",
                    this.consumer.channel.name
                ),
            }),
        };
        this.incoming = None;
        this.consumer.ended();
        Poll::Ready(end.map(Err))
    }
}

/// Whether lapin could not make sense of what came. It ends the connection over it, and does not say which
/// message it was.
fn is_unreadable(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ParsingError(_))
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.silence.over();
        self.stop();
    }
}

impl Incoming {
    /// Stops the consumer, then gives back what it had taken and nobody has seen. What is being handled can still
    /// be settled: it holds the channel.
    fn stop(&mut self) {
        let Some((mut incoming, gone)) = self.incoming.take() else {
            return;
        };
        // At once: a delivery that is dropped after this must not come to this consumer again.
        self.consumer.begin_cancel();
        let consumer = Arc::clone(&self.consumer);
        let io = consumer.connections.io.clone();
        io.spawn(async move {
            if consumer.cancel(incoming.tag()).await {
                // All that the broker had sent before it confirmed has arrived before the confirmation.
                while let Some(Some(Ok(delivery))) = incoming.next().now_or_never() {
                    drop(deliver(&consumer, delivery));
                }
            }
            if !gone.is_closed() {
                // Somebody waits until the broker has taken them back.
                let _ = timeout(ENDING, consumer.flush()).await;
                let _ = gone.send(());
            }
        });
    }
}

fn deliver(consumer: &Arc<ConsumerChannel>, delivery: lapin::message::Delivery) -> Delivery {
    let original = Original {
        routing_key: delivery.routing_key,
        properties: delivery.properties,
        body: delivery.data.into(),
    };
    let redeliveries = if delivery.redelivered && consumer.counts {
        delivery_count(&original)
    } else {
        0
    };
    let message = wire::message(&original);
    consumer.track(delivery.delivery_tag);
    let settle = Box::new(Receipt::new(
        Arc::clone(consumer),
        delivery.delivery_tag,
        original,
    ));
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
