//! [`EndingStreams`]: a broker whose streams end without an error.

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};

use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError, SettleError,
};
use brighter_core::message::{ChannelName, Message};

/// How many deliveries a stream gives before it ends.
const DELIVERIES: usize = 2;

/// A broker whose streams end without an error after two deliveries, in front of one whose streams do not.
pub(super) struct EndingStreams<B>(pub(super) B);

impl<B: Broker> Producer for EndingStreams<B> {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.0.publish(message)
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        self.0.publish_all(messages)
    }

    fn highest_priority(&self) -> Option<u8> {
        self.0.highest_priority()
    }
}

impl<B: Broker> Broker for EndingStreams<B> {
    fn system(&self) -> &'static str {
        self.0.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        async move {
            let consumer = self.0.consume(channel).await?;
            Ok(consumer.around(|inner| inner.take(DELIVERIES)))
        }
        .boxed()
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.0.declare(channel)
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.0.remove(channel)
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        self.0.depth(channel)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        self.0.channels()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        self.0.bounds(channel)
    }

    fn status(&self) -> BrokerStatus {
        self.0.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        self.0.flush()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}
