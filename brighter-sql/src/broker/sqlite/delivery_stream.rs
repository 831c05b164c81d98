//! [`DeliveryStream`]: the stream of deliveries of a consumer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::oneshot;

use super::consumers::given_back;
use super::delivery_buffer::{DeliveryBuffer, HEADER, HeldRow};
use super::handle::BrokerHandle;
use super::receipt::Receipt;
use super::request::EngineRequest;
use super::row;
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

/// The deliveries of one consumer.
pub(super) struct DeliveryStream {
    handle: Arc<BrokerHandle>,
    /// The number of the consumer.
    consumer: u64,
    buffer: Arc<DeliveryBuffer>,
    /// The channel that its deliveries refer to.
    channel: Arc<Channel>,
    /// Sent to the engine with the end of the consumer, which then reports the end.
    gone: Option<oneshot::Sender<()>>,
}

impl DeliveryStream {
    /// Starts to consume a channel. If this future is dropped, the engine is told that the consumer is gone, even if it
    /// has not been added yet.
    pub(super) async fn consume(
        handle: Arc<BrokerHandle>,
        channel: &Channel,
    ) -> Result<Consumer, ChannelError> {
        let (gone, ended) = oneshot::channel();
        let deliveries = Self {
            consumer: handle.next_consumer(),
            handle,
            buffer: Arc::default(),
            channel: Arc::new(channel.clone()),
            gone: Some(gone),
        };
        let asked = |reply| {
            let (consumer, buffer) = (deliveries.consumer, Arc::clone(&deliveries.buffer));
            EngineRequest::Consume(channel.clone(), consumer, buffer, reply)
        };
        deliveries.handle.ask(asked).await?;
        // An error means that the engine has ended, and all consumers with it.
        Ok(Consumer::new(deliveries).gone_when(async { drop(ended.await) }))
    }

    fn delivery(&self, row: HeldRow) -> Delivery {
        let message = row::message(&row.row, HEADER);
        let redeliveries = row.redeliveries;
        let receipt = |message| Receipt {
            handle: Arc::clone(&self.handle),
            channel: Arc::clone(&self.channel),
            channel_id: row.channel,
            consumer: self.consumer,
            seq: row.seq,
            session: row.session,
            redeliveries,
            message,
        };
        let delivery = match message {
            Ok(message) => {
                let message = Arc::new(message);
                Delivery::new(Arc::clone(&message), Box::new(receipt(message)))
            }
            Err(error) => {
                let salvaged = row::salvaged(&row.row, HEADER, self.channel.name.as_str());
                let reason = format!("the row cannot be read: {error}");
                Delivery::malformed(reason, Box::new(receipt(Arc::new(salvaged))))
            }
        };
        delivery.with_redeliveries(redeliveries)
    }
}

impl Stream for DeliveryStream {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let row = self.buffer.poll_next(task);
        row.map(|row| row.map(|row| Ok(self.delivery(row))))
    }
}

impl Drop for DeliveryStream {
    fn drop(&mut self) {
        let (unseen, consumer) = (self.buffer.clear(), self.consumer);
        let gone = self.gone.take();
        self.handle.queue.push(|items| {
            let back = unseen.iter().map(|row| given_back(row, consumer));
            items.settled.extend(back);
            let leave = gone.map(|gone| EngineRequest::Leave(consumer, gone));
            items.requests.extend(leave);
        });
    }
}
