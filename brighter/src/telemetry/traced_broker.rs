//! [`TracedBroker`]: a broker whose publishing is seen in traces.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};

use super::spans;
use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError, SettleError, SilentConsumer,
};
use brighter_core::message::{ChannelName, Message};

/// Puts a [`TracedBroker`] around the broker, or nothing where there are no spans to be seen.
pub(crate) fn traced(broker: Arc<dyn Broker>) -> Arc<dyn Broker> {
    if cfg!(feature = "otel") {
        Arc::new(TracedBroker { inner: broker })
    } else {
        broker
    }
}

/// A broker whose publishing is seen in traces: each message has a span until the broker answers. All else goes to the
/// broker within, also what has a default in the trait.
struct TracedBroker {
    inner: Arc<dyn Broker>,
}

impl Producer for TracedBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            let op = spans::publish(self.inner.system(), message);
            let published = op.run(self.inner.publish(message)).await;
            published.inspect_err(|error| op.failed(error.kind()))
        }
        .boxed()
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        async move {
            let system = self.inner.system();
            let ops = messages.iter().map(|message| spans::publish(system, message));
            let ops: Vec<_> = ops.collect();
            let published = self.inner.publish_all(messages).await;
            for (op, result) in ops.iter().zip(&published) {
                if let Err(error) = result {
                    op.failed(error.kind());
                }
            }
            published
        }
        .boxed()
    }

    fn highest_priority(&self) -> Option<u8> {
        self.inner.highest_priority()
    }
}

impl Broker for TracedBroker {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        self.inner.consume(channel)
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.inner.declare(channel)
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.inner.remove(channel)
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.send_to(channel, message)
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        self.inner.depth(channel)
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        self.inner.consumer_count(channel)
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        self.inner.channels()
    }

    fn silent_consumers(&self) -> BoxFuture<'_, Result<Vec<SilentConsumer>, ChannelError>> {
        self.inner.silent_consumers()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        self.inner.bounds(channel)
    }

    fn status(&self) -> BrokerStatus {
        self.inner.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        self.inner.flush()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::in_memory::broker::InMemoryBroker;
    use brighter_core::id::MessageId;
    use brighter_core::message::{MessageBody, MessageHeader, MessageType};

    fn message(topic: &str) -> Message {
        let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
        Message::new(header, MessageBody::new(""))
    }

    #[tokio::test]
    async fn methods_with_a_default_reach_the_inner_broker() {
        let broker = InMemoryBroker::new();
        let traced = TracedBroker {
            inner: Arc::new(broker.clone()),
        };
        let mut channel = Channel::new("notes", "Note");
        channel.limits.deliveries = Some(3);
        traced.declare(&channel).await.unwrap();
        assert_eq!(traced.highest_priority(), broker.highest_priority());
        let (wanted, unwanted) = (message("Note"), message("Nobody"));
        let published = traced.publish_all(vec![&wanted, &unwanted]).await;
        assert!(
            matches!(published[..], [Ok(()), Err(PublishError::Unroutable { .. })]),
            "{published:?}"
        );
        assert_eq!(traced.depth(&channel).await.unwrap(), Some(1));
        assert_eq!(traced.consumer_count(&channel.name), Some(0));
        assert_eq!(traced.bounds(&channel), ConsumerBounds::new().deliveries(3));
        assert_eq!(traced.channels().await.unwrap(), broker.channels().await.unwrap());
        traced.remove(&channel.name).await.unwrap();
        assert_eq!(traced.depth(&channel).await.unwrap(), None);
        traced.close().await;
        assert_eq!(traced.status(), BrokerStatus::Closed);
    }
}
