//! A broker that is chosen at run time: `Arc<dyn Broker>` is a [`Broker`] as well.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError, SettleError, SilentConsumer,
};
use crate::message::{ChannelName, Message};

impl<B: Producer + ?Sized> Producer for Arc<B> {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        (**self).publish(message)
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        (**self).publish_all(messages)
    }

    fn highest_priority(&self) -> Option<u8> {
        (**self).highest_priority()
    }
}

impl<B: Broker + ?Sized> Broker for Arc<B> {
    fn system(&self) -> &'static str {
        (**self).system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        (**self).consume(channel)
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        (**self).declare(channel)
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        (**self).remove(channel)
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        (**self).send_to(channel, message)
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        (**self).depth(channel)
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        (**self).consumer_count(channel)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        (**self).channels()
    }

    fn silent_consumers(&self) -> BoxFuture<'_, Result<Vec<SilentConsumer>, ChannelError>> {
        (**self).silent_consumers()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        (**self).bounds(channel)
    }

    fn status(&self) -> BrokerStatus {
        (**self).status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        (**self).flush()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        (**self).close()
    }
}
