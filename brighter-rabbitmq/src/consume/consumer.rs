//! Consuming: one AMQP channel for each consumer, which lives until its last delivery is settled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tracing::warn;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;
use super::receipt::Receipt;
use crate::connections::Connections;
use crate::error::{ConnectError, of_channel, reply_text};
use crate::topology::{self, DeclareError};
use crate::wire::{self, Original};
use brighter_core::__private::report;
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery, SettleError};
use brighter_core::message::Message;

/// Declaring everything and beginning to consume take this long at most.
const STARTING: Duration = Duration::from_secs(30);
/// Cancelling a consumer takes this long at most.
const ENDING: Duration = Duration::from_secs(5);

pub(crate) async fn consume(
    connections: &Arc<Connections>,
    live: &LiveConsumers,
    channel: &Channel,
) -> Result<Consumer, ChannelError> {
    let topology = connections.settings.topology(channel)?;
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let open = connections.consuming.current().await?;
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
        .map_err(|_| ConnectError::silent(&connections.settings.address, STARTING))??;
    let consumer = ConsumerChannel::begin(
        amqp,
        open.generation,
        channel.clone(),
        topology,
        Arc::clone(connections),
    );
    live.add(&consumer);
    let (gone, ended) = oneshot::channel();
    let deliveries = Consumer::new(Incoming {
        consumer,
        incoming: Some((incoming, gone)),
    });
    // An error says that the consumer had ended before.
    Ok(deliveries.gone_when(async { drop(ended.await) }))
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
    consumer: Arc<ConsumerChannel>,
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
            Some(Ok(delivery)) => {
                let Some(delivery) = receive(&this.consumer, delivery).deliver(&this.consumer) else {
                    // It is not due yet; there may be others.
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                };
                return Poll::Ready(Some(Ok(delivery)));
            }
            _ if this.consumer.connections.closing.is_cancelled() => None,
            Some(Err(error)) if of_channel(&error).is_some() => Some(ChannelError::Lost {
                reason: reply_text(&error),
            }),
            Some(Err(error)) if is_unreadable(&error) => Some(ChannelError::Lost {
                reason: format!(
                    "the connection broke over something that is no valid AMQP ({error}); if it was a message of \
                     `{}`, with the name of a header or a short text that is not UTF-8, it comes again and again: \
                     take it out of the queue",
                    this.consumer.channel.name
                ),
            }),
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

/// Stops the consumer, then gives back what it had taken and nobody has seen. What is being handled can still
/// be settled: it holds the channel.
impl Drop for Incoming {
    fn drop(&mut self) {
        let Some((mut incoming, gone)) = self.incoming.take() else {
            return;
        };
        self.consumer.ended();
        let consumer = Arc::clone(&self.consumer);
        let io = consumer.connections.io.clone();
        io.spawn(async move {
            let amqp = consumer.amqp();
            let cancelled = amqp.basic_cancel(incoming.tag(), BasicCancelOptions::default());
            let _ = timeout(ENDING, cancelled).await;
            // All that the broker had sent before it confirmed has arrived before the confirmation.
            while let Some(Some(Ok(delivery))) = incoming.next().now_or_never() {
                drop(receive(&consumer, delivery));
            }
            if !gone.is_closed() {
                // Somebody waits until the broker has taken them back.
                let _ = timeout(ENDING, consumer.flush()).await;
                let _ = gone.send(());
            }
        });
    }
}

/// What has come, on loan from the broker. Dropped, it goes back.
struct Received {
    receipt: Receipt,
    message: Result<Message, String>,
    redeliveries: u32,
    /// How long it is not due yet.
    waits: Option<Duration>,
}

impl Received {
    /// The delivery; or `None` for a message that is not due yet, which is put where it waits on.
    fn deliver(self, consumer: &ConsumerChannel) -> Option<Delivery> {
        let Self {
            receipt,
            message,
            redeliveries,
            waits,
        } = self;
        let delivery = match (message, waits) {
            (Ok(_), Some(left)) => {
                let channel = consumer.channel.name.clone();
                consumer.connections.io.spawn(async move {
                    match receipt.wait_on(left).await {
                        Ok(()) | Err(SettleError::Stale) => {}
                        Err(error) => {
                            let error = report(&error);
                            warn!(%channel, error, "a message that is not due yet was given back, and comes again");
                        }
                    }
                });
                return None;
            }
            (Ok(message), None) => Delivery::new(message, Box::new(receipt)),
            (Err(reason), _) => {
                let rounds = receipt.rounds();
                Delivery::malformed(reason, Box::new(receipt)).with_rounds(rounds)
            }
        };
        Some(delivery.with_redeliveries(redeliveries))
    }
}

fn receive(consumer: &Arc<ConsumerChannel>, delivery: lapin::message::Delivery) -> Received {
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
    consumer.track(delivery.delivery_tag);
    Received {
        message: wire::message(&original),
        redeliveries,
        waits: wire::still_waits(&original, SystemTime::now),
        receipt: Receipt::new(Arc::clone(consumer), delivery.delivery_tag, original),
    }
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
