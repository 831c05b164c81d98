//! Declaring what subscriptions need, before anything consumes.

use brighter::channel::{Broker, Channel, ChannelError, Consumer, DeclareMode, Producer, PublishError};
use brighter::message::Message;
use brighter::prelude::*;
use brighter_tests::rabbitmq::{Corner, Raw};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Declared.Late")]
struct Late;

struct Nothing;

#[handler]
impl Handler<Late> for Nothing {
    async fn handle(&self, _: &Late) -> Result<(), BoxError> {
        Ok(())
    }
}

fn dispatcher(broker: impl Broker, subscription: Subscription<Late>) -> Dispatcher {
    let processor = CommandProcessor::builder()
        .handler(Nothing)
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap()
}

#[tokio::test]
async fn messages_gather_in_declared_channels_although_consumers_only_look() {
    let broker = InMemoryBroker::new();
    let subscription = Subscription::new("late").declare_channel(DeclareMode::Validate);
    let dispatcher = dispatcher(broker.clone(), subscription);
    dispatcher.processor().post(Late).await.unwrap_err();
    dispatcher.declare().await.unwrap();
    dispatcher.declare().await.unwrap();
    dispatcher.processor().post(Late).await.unwrap();
    assert_eq!(broker.messages("late").len(), 1);
    for beside in ["late.dlq", "late.invalid"] {
        let channel = Channel::new(beside, "");
        assert_eq!(broker.depth(&channel).await.unwrap(), Some(0), "{beside}");
    }
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher.end().await;
}

#[tokio::test]
async fn on_rabbitmq_exchange_queues_and_bindings_are_declared() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("late", "Declared.Late");
    let name = channel.name.to_string();
    let subscription = Subscription::new(name.as_str()).declare_channel(DeclareMode::Assume);
    let dispatcher = dispatcher(broker.clone(), subscription);
    dispatcher.declare().await.unwrap();
    assert!(broker.consumers().is_empty(), "nothing is consumed");
    dispatcher.processor().post(Late).await.unwrap();
    let raw = Raw::connect().await;
    raw.until_depth(&name, 1).await;
    for beside in [&channel.dead_letters, &channel.invalid_messages] {
        assert_eq!(raw.depth(beside.as_str()).await, 0);
    }
    broker.close().await;
}

/// A broker that makes channels for consumers only.
struct Plain;

impl Producer for Plain {
    fn publish<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        ready(Ok(())).boxed()
    }
}

impl Broker for Plain {
    fn system(&self) -> &'static str {
        "plain"
    }

    fn consume<'a>(&'a self, _: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        ready(Err(ChannelError::Closed)).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}

#[tokio::test]
async fn a_broker_that_cannot_declare_is_said_with_the_subscription() {
    let dispatcher = dispatcher(Plain, Subscription::new("late"));
    let error = dispatcher.declare().await.unwrap_err();
    let (subscription, reason) = error.iter().next().unwrap();
    assert_eq!(subscription.as_str(), "late");
    assert!(matches!(reason, ChannelError::Unsupported(_)), "{reason:?}");
    assert_eq!(
        error.to_string(),
        "channels could not be declared: that of `late`: the broker does not support declaring channels; use a broker \
         that does"
    );
    assert!(matches!(
        Plain.remove(&"late".into()).await,
        Err(ChannelError::Unsupported(_))
    ));
    Plain.flush().await.unwrap();
}
