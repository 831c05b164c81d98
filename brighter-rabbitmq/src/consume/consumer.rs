//! Consuming: one AMQP channel for each consumer, which stays open until its last delivery is settled.
//!
//! When its connection moves to another node, a consumer is cancelled, delivers what it had received, and starts again
//! on the new connection. Earlier deliveries are settled on the old connection, which stays open that long.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{BoxFuture, pending};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, Stream, StreamExt};
use lapin::ErrorKind;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use super::live_consumers::LiveConsumers;
use super::receipt::{Receipt, count_by_copy};
use super::silence::Silence;
use super::silence_watch::watch;
use super::start::start;
use crate::connections::Connections;
use crate::error::{closes_connection, of_channel, reply_text};
use crate::topology::Topology;
use brighter_core::__private::report;
use brighter_core::channel::{Channel, ChannelError, Consumer, DeclareMode, Delivery, SettleError};

/// The deadline for returning unhandled deliveries when a caller waits for it.
const ENDING: Duration = Duration::from_secs(5);

pub(crate) async fn consume(
    connections: &Arc<Connections>,
    live: &Arc<LiveConsumers>,
    channel: &Channel,
) -> Result<Consumer, ChannelError> {
    let topology = connections.settings.topology(channel)?;
    let (consumer, incoming) = begin(connections, live, channel, topology).await?;
    let (gone, ended) = oneshot::channel();
    let deliveries = Consumer::new(Incoming {
        retired: retired(&consumer),
        silence: watch_silence(&consumer),
        consumer,
        counting: FuturesUnordered::new(),
        counted: VecDeque::new(),
        incoming: Some((incoming, gone)),
        leaves: false,
        starting: None,
        live: Arc::clone(live),
    });
    // An error means that the consumer had ended before.
    Ok(deliveries.gone_when(async { drop(ended.await) }))
}

/// Declares everything, and begins to consume on the current connection.
async fn begin(
    connections: &Arc<Connections>,
    live: &LiveConsumers,
    channel: &Channel,
    topology: Topology,
) -> Result<(Arc<ConsumerChannel>, lapin::Consumer), ChannelError> {
    if connections.closing.is_cancelled() {
        return Err(ChannelError::Closed);
    }
    let started = start(connections, live, channel, &topology).await?;
    if topology.declare == DeclareMode::Create {
        // The queue may have been declared anew.
        connections.publisher.renew_channel();
    }
    let (consumer, incoming) =
        ConsumerChannel::begin(started, channel.clone(), topology, Arc::clone(connections));
    live.add(&consumer);
    Ok((consumer, incoming))
}

/// Starts to ask whether this consumer should hear something whenever it does not.
fn watch_silence(consumer: &Arc<ConsumerChannel>) -> Arc<Silence> {
    let silence = Arc::<Silence>::default();
    let doubted = consumer.connections.questions.doubted(&consumer.channel.name);
    let watching = watch(Arc::clone(&silence), Arc::downgrade(consumer), doubted);
    consumer.connections.io.spawn(watching);
    silence
}

/// Waits until there is another connection to continue on.
fn retired(consumer: &ConsumerChannel) -> BoxFuture<'static, ()> {
    let open = Arc::clone(&consumer.open);
    async move { open.until_retired().await }.boxed()
}

/// The stream behind a [`Consumer`].
struct Incoming {
    consumer: Arc<ConsumerChannel>,
    silence: Arc<Silence>,
    /// Deliveries that are being replaced by a copy that counts them. A delivery that cannot be replaced is delivered
    /// unchanged.
    counting: FuturesUnordered<oneshot::Receiver<Receipt>>,
    /// Deliveries that arrived meanwhile. They wait: if one of them ended the process, every message with a copy would
    /// exist twice.
    counted: VecDeque<Delivery>,
    /// `None` once the consumer has ended. The sender reports that the broker has removed the consumer.
    incoming: Option<(lapin::Consumer, oneshot::Sender<()>)>,
    retired: BoxFuture<'static, ()>,
    /// The consumer is being cancelled, to start again on another connection.
    leaves: bool,
    starting: Option<Starting>,
    live: Arc<LiveConsumers>,
}

type Starting = BoxFuture<'static, Result<(Arc<ConsumerChannel>, lapin::Consumer), ChannelError>>;

impl Incoming {
    /// Asks the broker to cancel the consumer. Messages that were sent before still arrive.
    fn leave(&mut self) {
        self.retired = pending().boxed();
        let Some((incoming, _)) = &self.incoming else {
            return;
        };
        self.leaves = true;
        self.consumer.begin_cancel();
        let (consumer, tag) = (Arc::clone(&self.consumer), incoming.tag());
        self.consumer.connections.io.spawn(async move {
            if !consumer.cancel(tag).await {
                consumer.open.give_up("`basic.cancel` was not answered in time");
            }
        });
    }

    /// Starts again on the current connection.
    fn start_again(&mut self) {
        self.leaves = false;
        self.silence.over();
        drop(
            self.silence
                .fetched()
                .map(|delivery| Receipt::of(&self.consumer, delivery)),
        );
        let (consumer, live) = (Arc::clone(&self.consumer), Arc::clone(&self.live));
        self.starting = Some(
            async move {
                let (connections, channel) = (Arc::clone(&consumer.connections), consumer.channel.clone());
                let topology = consumer.topology.clone();
                // The old connection stays open for its deliveries, and not for this.
                drop(consumer);
                begin(&connections, &live, &channel, topology).await
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
                    this.silence = watch_silence(&consumer);
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
        let came = loop {
            if this.counting.is_empty()
                && let Some(delivery) = this.counted.pop_front()
            {
                return Poll::Ready(Some(Ok(delivery)));
            }
            let came = match this.silence.fetched() {
                Some(delivery) => Poll::Ready(Some(Ok(delivery))),
                None => incoming.poll_next_unpin(task).map(|came| {
                    if matches!(came, Some(Ok(_))) {
                        this.silence.heard();
                    }
                    came
                }),
            };
            match came {
                Poll::Ready(Some(Ok(delivery))) => {
                    let receipt = Receipt::of(&this.consumer, delivery);
                    if let Some(left) = receipt.waits() {
                        wait_on(receipt, left);
                    } else if receipt.is_uncounted() {
                        this.counting.push(count_by_copy(receipt));
                    } else {
                        this.counted.push_back(receipt.delivery());
                    }
                }
                Poll::Ready(end) => break end,
                Poll::Pending => match this.counting.poll_next_unpin(task) {
                    Poll::Ready(Some(Ok(uncounted))) => this.counted.push_back(uncounted.delivery()),
                    Poll::Ready(Some(Err(_))) => {}
                    Poll::Ready(None) | Poll::Pending => {
                        let Some(verdict) = this.silence.waits(task.waker()) else {
                            return Poll::Pending;
                        };
                        let reason = verdict.carry_out(&this.consumer, &this.live);
                        this.stop();
                        return Poll::Ready(Some(Err(ChannelError::Unavailable { reason })));
                    }
                },
            }
        };
        let end = match came {
            _ if this.consumer.connections.closing.is_cancelled() => None,
            None if this.leaves => {
                this.start_again();
                return self.poll_next(task);
            }
            // Returned in the loop above.
            Some(Ok(_)) => None,
            Some(Err(error)) if of_channel(&error).is_some() => Some(ChannelError::Lost {
                reason: reply_text(&error),
            }),
            Some(Err(error)) if is_unreadable(&error) => {
                let reason = format!(
                    "the connection was closed after invalid AMQP data ({error}); if a message of `{}` has the name of a \
                     header or a short text that is not UTF-8, it is delivered again each time: remove it from the queue",
                    this.consumer.channel.name
                );
                // Any channel of the connection may have received it. The others recover once each has its own
                // connection.
                this.consumer.suspect(&reason);
                Some(ChannelError::Lost { reason })
            }
            // No other channel was on this connection. On a shared connection, the channel that was starting is the
            // cause.
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

/// Returns whether lapin could not parse the data. lapin then closes the connection, and does not name the message.
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
    /// Stops the consumer, then returns the deliveries that it had taken and that were not received. A delivery that is
    /// being handled can still be settled: it keeps the channel open.
    fn stop(&mut self) {
        let Some((mut incoming, gone)) = self.incoming.take() else {
            return;
        };
        // Called first: a delivery that is dropped from now on must not return to this consumer.
        self.consumer.begin_cancel();
        let consumer = Arc::clone(&self.consumer);
        let io = consumer.connections.io.clone();
        let copying = consumer.copies();
        let counted = std::mem::take(&mut self.counted);
        let fetched = self.silence.fetched();
        io.spawn(async move {
            let cancelled = consumer.cancel(incoming.tag()).await;
            drop(counted);
            drop(fetched.map(|delivery| Receipt::of(&consumer, delivery)));
            if cancelled {
                // All that the broker sent before it confirmed the cancellation has arrived before the confirmation.
                while let Some(Some(Ok(delivery))) = incoming.next().now_or_never() {
                    drop(Receipt::of(&consumer, delivery));
                }
            }
            drop(copying);
            if !gone.is_closed() {
                // A caller waits until the broker has taken them back.
                let _ = timeout(ENDING, consumer.flush()).await;
                let _ = gone.send(());
            }
        });
    }
}

/// Delays a message that is not due yet once more, in a task of its own.
fn wait_on(receipt: Receipt, left: Duration) {
    let consumer = Arc::clone(receipt.consumer());
    let channel = consumer.channel.name.clone();
    consumer.connections.io.spawn(async move {
        match receipt.wait_on(left).await {
            Ok(()) | Err(SettleError::Stale) => {}
            Err(error) => {
                let error = report(&error);
                tracing::warn!(%channel, error, "cannot delay a message that is not due yet; it was returned to the queue");
            }
        }
    });
}
