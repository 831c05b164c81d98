//! Consuming: one AMQP channel for each consumer, which lives until its last delivery is settled.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;
use super::receipt::Receipt;
use super::redeliveries::{self, Redeliveries};
use crate::connections::Connections;
use crate::error::{ConnectError, of_channel, reply_text};
use crate::topology::{self, DeclareError};
use crate::wire::{self, Original};
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

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
        counting: FuturesUnordered::new(),
        counted: VecDeque::new(),
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
    /// Those that are being replaced by a copy that says how often they were delivered. What cannot be replaced comes as
    /// it is.
    counting: FuturesUnordered<oneshot::Receiver<Receipt>>,
    /// Those that came meanwhile. They wait: if one of them ended the process, there would be two of each that has a copy
    /// already.
    counted: VecDeque<Delivery>,
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
        let came = loop {
            if this.counting.is_empty()
                && let Some(delivery) = this.counted.pop_front()
            {
                return Poll::Ready(Some(Ok(delivery)));
            }
            match incoming.poll_next_unpin(task) {
                Poll::Ready(Some(Ok(delivery))) => match deliver(&this.consumer, delivery) {
                    receipt if receipt.is_uncounted() => this.counting.push(redeliveries::count(receipt)),
                    receipt => this.counted.push_back(receipt.delivery()),
                },
                Poll::Ready(end) => break end,
                Poll::Pending => match ready!(this.counting.poll_next_unpin(task)) {
                    Some(Ok(uncounted)) => this.counted.push_back(uncounted.delivery()),
                    Some(Err(_)) => {}
                    None => return Poll::Pending,
                },
            }
        };
        let end = match came {
            _ if this.consumer.connections.closing.is_cancelled() => None,
            // Is returned above.
            Some(Ok(_)) => None,
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
        let copying = consumer.copies();
        let counted = std::mem::take(&mut self.counted);
        io.spawn(async move {
            let amqp = consumer.amqp();
            let cancelled = amqp.basic_cancel(incoming.tag(), BasicCancelOptions::default());
            let _ = timeout(ENDING, cancelled).await;
            drop(counted);
            // All that the broker had sent before it confirmed has arrived before the confirmation.
            while let Some(Some(Ok(delivery))) = incoming.next().now_or_never() {
                drop(deliver(&consumer, delivery));
            }
            drop(copying);
            if !gone.is_closed() {
                // Somebody waits until the broker has taken them back.
                let _ = timeout(ENDING, consumer.flush()).await;
                let _ = gone.send(());
            }
        });
    }
}

fn deliver(consumer: &Arc<ConsumerChannel>, delivery: lapin::message::Delivery) -> Receipt {
    let lapin::message::Delivery {
        delivery_tag: tag,
        exchange,
        routing_key,
        redelivered,
        properties,
        data,
        ..
    } = delivery;
    let original = Original {
        routing_key,
        properties,
        body: data.into(),
    };
    let redeliveries = Redeliveries::of(consumer, exchange.as_str(), redelivered, &original);
    consumer.track(tag);
    Receipt::new(Arc::clone(consumer), tag, original, redeliveries)
}
