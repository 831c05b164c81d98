//! Consuming: one AMQP channel for each consumer, which lives until its last delivery is settled.
//!
//! When its connection moves to another node, a consumer is cancelled, hands out what it had been sent, and starts again
//! by the new connection. What was handed out is settled by the old one, which lasts for as long as that takes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;
use super::receipt::Receipt;
use crate::connections::Connections;
use crate::error::{ConnectError, of_channel, reply_text};
use crate::topology::{self, DeclareError, Topology};
use crate::wire::{self, Original};
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery, MakeChannel};

/// Declaring everything and beginning to consume take this long at most.
const STARTING: Duration = Duration::from_secs(30);
/// Cancelling a consumer takes this long at most.
const ENDING: Duration = Duration::from_secs(5);

pub(crate) async fn consume(
    connections: &Arc<Connections>,
    live: &Arc<LiveConsumers>,
    channel: &Channel,
) -> Result<Consumer, ChannelError> {
    let topology = connections.settings.topology(channel)?;
    let (consumer, incoming) = start(connections, live, channel, topology).await?;
    let (gone, ended) = oneshot::channel();
    let deliveries = Consumer::new(Incoming {
        retired: retired(&consumer),
        consumer,
        incoming: Some((incoming, gone)),
        leaves: false,
        starting: None,
        live: Arc::clone(live),
    });
    // An error says that the consumer had ended before.
    Ok(deliveries.gone_when(async { drop(ended.await) }))
}

/// Declares everything, and begins to consume by the connection that there is.
async fn start(
    connections: &Arc<Connections>,
    live: &LiveConsumers,
    channel: &Channel,
    topology: Topology,
) -> Result<(Arc<ConsumerChannel>, lapin::Consumer), ChannelError> {
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
        .map_err(|_| ConnectError::silent(open.address(), STARTING))??;
    if topology.make == MakeChannel::Create {
        // The queue may be a new one.
        connections.publisher.renew_channel();
    }
    let consumer = ConsumerChannel::begin(amqp, open, channel.clone(), topology, Arc::clone(connections));
    live.add(&consumer);
    Ok((consumer, incoming))
}

/// Waits until there is another connection to go on with.
fn retired(consumer: &ConsumerChannel) -> BoxFuture<'static, ()> {
    let open = Arc::clone(&consumer.open);
    async move { open.until_retired().await }.boxed()
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
    retired: BoxFuture<'static, ()>,
    /// It is cancelled, to start again by another connection.
    leaves: bool,
    starting: Option<Starting>,
    live: Arc<LiveConsumers>,
}

type Starting = BoxFuture<'static, Result<(Arc<ConsumerChannel>, lapin::Consumer), ChannelError>>;

impl Incoming {
    /// Has the broker cancel the consumer. What it had sent by then still comes.
    fn leave(&mut self) {
        self.retired = pending().boxed();
        let Some((incoming, _)) = &self.incoming else {
            return;
        };
        self.leaves = true;
        let (consumer, tag) = (Arc::clone(&self.consumer), incoming.tag());
        self.consumer.connections.io.spawn(async move {
            let cancelled = consumer.amqp().basic_cancel(tag, BasicCancelOptions::default());
            if timeout(ENDING, cancelled).await.is_err() {
                let reason = format!("`basic.cancel` was not answered within {ENDING:?}");
                consumer.open.give_up(reason);
            }
        });
    }

    /// Starts again by the connection that there is now.
    fn start_again(&mut self) {
        self.leaves = false;
        self.consumer.ended();
        let (consumer, live) = (Arc::clone(&self.consumer), Arc::clone(&self.live));
        self.starting = Some(
            async move {
                let (connections, channel) = (Arc::clone(&consumer.connections), consumer.channel.clone());
                let topology = consumer.topology.clone();
                // The old connection lasts for its deliveries, and not for this.
                drop(consumer);
                start(&connections, &live, &channel, topology).await
            }
            .boxed(),
        );
    }
}

impl Stream for Incoming {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(starting) = &mut this.starting {
            let started = ready!(starting.poll_unpin(task));
            this.starting = None;
            match (started, &mut this.incoming) {
                (Ok((consumer, again)), Some((incoming, _))) => {
                    this.retired = retired(&consumer);
                    this.consumer = consumer;
                    *incoming = again;
                }
                (Ok(_), None) => return Poll::Ready(None),
                (Err(error), _) => {
                    this.incoming = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        if this.retired.poll_unpin(task).is_ready() {
            this.leave();
        }
        let Some((incoming, _)) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        let end = match ready!(incoming.poll_next_unpin(task)) {
            Some(Ok(delivery)) => return Poll::Ready(Some(Ok(deliver(&this.consumer, delivery)))),
            _ if this.consumer.connections.closing.is_cancelled() => None,
            None if this.leaves => {
                this.start_again();
                return self.poll_next(task);
            }
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
                drop(deliver(&consumer, delivery));
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
