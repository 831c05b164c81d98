//! The stream of deliveries that a consumer reads.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::oneshot;

use super::delivery_buffer::{HEADER, HeldRow};
use super::handle::BrokerHandle;
use super::receipt::Receipt;
use super::request::{EngineRequest, OpenedConsumer, SettleAction, Settled};
use super::row;
use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};

/// The deliveries of one consumer.
pub(super) struct DeliveryStream {
    handle: Arc<BrokerHandle>,
    opened: OpenedConsumer,
    /// What its deliveries name.
    channel: Arc<Channel>,
    /// Goes to the engine with the consumer, and tells that it is gone.
    gone: Option<oneshot::Sender<()>>,
}

impl DeliveryStream {
    /// The consumer with these deliveries.
    pub(super) fn consumer(handle: Arc<BrokerHandle>, opened: OpenedConsumer, channel: &Channel) -> Consumer {
        let (gone, ended) = oneshot::channel();
        let deliveries = Self {
            handle,
            opened,
            channel: Arc::new(channel.clone()),
            gone: Some(gone),
        };
        // An error says that the engine has ended, and everything with it.
        Consumer::new(deliveries).gone_when(async { drop(ended.await) })
    }

    fn delivery(&self, row: HeldRow) -> Delivery {
        let message = row::message(&row.row, HEADER);
        let redeliveries = row.redeliveries;
        let receipt = |message| Receipt {
            handle: Arc::clone(&self.handle),
            channel: Arc::clone(&self.channel),
            channel_id: self.opened.channel,
            consumer: self.opened.consumer,
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
        let row = self.opened.buffer.poll_next(task);
        row.map(|row| row.map(|row| Ok(self.delivery(row))))
    }
}

impl Drop for DeliveryStream {
    fn drop(&mut self) {
        let OpenedConsumer {
            consumer,
            channel,
            buffer,
        } = &self.opened;
        let unseen = buffer.clear();
        let (consumer, channel) = (*consumer, *channel);
        let gone = self.gone.take();
        self.handle.queue.push(|items| {
            let given_back = unseen.into_iter().map(|row| Settled {
                seq: row.seq,
                session: row.session,
                consumer,
                channel,
                action: SettleAction::Release { counted: false },
                reply: None,
            });
            items.settled.extend(given_back);
            let leave = gone.map(|gone| EngineRequest::Leave(consumer, gone));
            items.requests.extend(leave);
        });
    }
}
