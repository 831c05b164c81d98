//! Whether what the dispatcher says of itself is true.

use brighter::channel::{Broker, Channel, ChannelError, Consumer, DeclareMode, Producer, PublishError};
use brighter::dispatcher::{NotReady, PerformerState};
use brighter_tests::wait::{until, until_eq};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream;

use super::*;

#[tokio::test]
async fn a_dispatcher_is_ready_once_all_subscriptions_consume() {
    let app = App::new(Hand::free(), [chores(), Subscription::new("others")]);
    let stopped = |name: &str| NotReady::Stopped {
        subscription: name.into(),
    };
    let readiness = app.dispatcher.readiness();
    assert_eq!(readiness.reasons, [stopped("chores"), stopped("others")]);
    assert_eq!(
        readiness.to_string(),
        "not ready: the subscription `chores` is stopped; the subscription `others` is stopped"
    );
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    assert!(app.dispatcher.is_ready());
    assert_eq!(app.dispatcher.readiness().to_string(), "ready");
    app.dispatcher.pause("others").unwrap();
    let paused = NotReady::Paused {
        subscription: "others".into(),
    };
    assert_eq!(app.dispatcher.readiness().reasons, [paused]);
    app.dispatcher.resume("others").unwrap();
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.wait_until_consuming().await;
    assert_eq!(app.dispatcher.readiness().reasons, [stopped("chores")]);
    app.dispatcher.end().await;
    assert!(!app.dispatcher.is_ready());
}

#[tokio::test(start_paused = true)]
async fn an_unconsumed_subscription_is_not_ready_with_a_reason() {
    let app = App::new(Hand::free(), [chores().performers(2)]);
    app.broker.lose_connection();
    app.dispatcher.receive();
    app.until("chores", |status| {
        status.performers == [PerformerState::Waiting, PerformerState::Waiting]
    })
    .await;
    let said = "no connection to the broker: the connection is lost";
    let no_consumer = NotReady::NoConsumer {
        subscription: "chores".into(),
        last_error: Some(said.into()),
    };
    let no_broker = NotReady::NoBroker {
        reason: "the connection is lost".into(),
    };
    assert_eq!(app.dispatcher.readiness().reasons, [no_broker, no_consumer]);
    app.broker.restore_connection();
    app.dispatcher.wait_until_consuming().await;
    assert!(app.dispatcher.is_ready());
    let status = app.status("chores");
    assert_eq!(
        status.last_error.as_deref(),
        Some(said),
        "it stays when all is well"
    );
    assert_eq!(status.performers[0].last_error, None);
    assert_eq!(status.restarts, 0, "the performers themselves went on");
}

#[tokio::test(start_paused = true)]
async fn health_tells_of_consumers_that_no_performer_uses() {
    let app = App::receiving(Hand::free(), [chores().performers(2)]).await;
    let mut channel = Channel::new("chores", "Chore");
    channel.declare = DeclareMode::Assume;
    let left_over = app.broker.consume(&channel).await.unwrap();
    assert!(
        app.dispatcher.health().await.is_ready(),
        "performers may be about to end"
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    let health = app.dispatcher.health().await;
    let said = health.to_string();
    assert!(
        !health.is_ready() && said.contains("2 consumers") && said.contains("3 that are alive"),
        "{said}"
    );
    drop(left_over);
    assert!(app.dispatcher.health().await.is_ready());
    app.dispatcher.scale("chores", 3).unwrap();
    app.dispatcher.wait_until_consuming().await;
    assert!(app.dispatcher.health().await.is_ready());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(app.dispatcher.health().await.is_ready());
}

#[tokio::test]
async fn waiters_wait_until_another_starter_consumes() {
    let app = App::new(Hand::free(), [chores()]);
    let waiting = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move {
            dispatcher.wait_until_consuming().await;
            assert!(dispatcher.is_ready());
        }
    });
    tokio::task::yield_now().await;
    app.dispatcher.receive();
    waiting.await.unwrap();
}

#[tokio::test]
async fn status_lists_messages_in_flight() {
    let app = App::receiving(Hand::allowed(0), [chores().performers(2)]).await;
    app.post(1).await;
    until_eq("at work", 1, || app.hand.begun()).await;
    let status = app.status("chores");
    assert_eq!(status.in_hand(), 1);
    let in_hand: Vec<_> = status
        .performers
        .iter()
        .flat_map(|performer| &performer.in_hand)
        .collect();
    assert_eq!(in_hand[0].subscription, "chores");
    app.hand.allowed.add_permits(1);
    until("nothing is in hand", || app.status("chores").in_hand() == 0).await;
    assert_eq!(app.hand.done.lock().unwrap()[0], in_hand[0].id);
}

#[tokio::test]
async fn the_status_can_be_sent_to_others() {
    let app = App::receiving(Hand::free(), [chores()]).await;
    let json = serde_json::to_value(app.dispatcher.status()).unwrap();
    assert_eq!(json[0]["name"], "chores");
    assert_eq!(json[0]["state"], "Running");
    let read: Vec<SubscriptionStatus> = serde_json::from_value(json).unwrap();
    assert_eq!(read, app.dispatcher.status());
}

/// A broker whose consumers are registered and get nothing, for as long as it is told.
#[derive(Clone)]
struct Deaf {
    inner: InMemoryBroker,
    is_deaf: Arc<std::sync::atomic::AtomicBool>,
}

impl Producer for Deaf {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.publish(message)
    }
}

impl Broker for Deaf {
    fn system(&self) -> &'static str {
        "deaf"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        if !self.is_deaf.load(Ordering::SeqCst) {
            return self.inner.consume(channel);
        }
        async move {
            self.inner.declare(channel).await?;
            Ok(Consumer::new(stream::pending()))
        }
        .boxed()
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        self.inner.depth(channel)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

#[tokio::test(start_paused = true)]
async fn health_says_that_consumers_are_registered_and_get_nothing() {
    let broker = Deaf {
        inner: InMemoryBroker::new(),
        is_deaf: Arc::new(true.into()),
    };
    let hand = Hand::allowed(1);
    let processor = CommandProcessor::builder()
        .handler::<Chore>(hand.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(chores().performers(2))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let second = Duration::from_secs(1);
    for _ in 0..10 {
        assert!(dispatcher.health().await.is_ready(), "nothing waits");
        tokio::time::sleep(second).await;
    }
    for _ in 0..2 {
        processor.post(Chore { id: MessageId::new() }).await.unwrap();
    }
    for _ in 0..5 {
        assert!(dispatcher.health().await.is_ready(), "it may be on its way");
        tokio::time::sleep(second).await;
    }
    let said = dispatcher.health().await.to_string();
    assert!(
        said.contains("`chores` give it nothing: 2 messages wait in its channel"),
        "{said}"
    );
    // Other consumers are well.
    broker.is_deaf.store(false, Ordering::SeqCst);
    dispatcher.stop("chores").await.unwrap();
    dispatcher.start("chores").unwrap();
    until_eq("both at work", 2, || hand.begun()).await;
    processor.post(Chore { id: MessageId::new() }).await.unwrap();
    for _ in 0..10 {
        assert!(dispatcher.health().await.is_ready(), "a performer is busy");
        tokio::time::sleep(second).await;
    }
    hand.allowed.add_permits(2);
    until_eq("all done", 3, || hand.done()).await;
}
