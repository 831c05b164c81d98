//! Whether what the dispatcher says of itself is true.

use brighter::channel::{Broker as _, Channel, MakeChannel};
use brighter::dispatcher::{NotReady, PerformerState};
use brighter_tests::wait::{until, until_eq};

use super::*;

#[tokio::test]
async fn a_dispatcher_is_ready_when_every_subscription_is_consumed_and_only_then() {
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
    app.dispatcher.consuming().await;
    assert!(app.dispatcher.is_ready());
    assert_eq!(app.dispatcher.readiness().to_string(), "ready");
    app.dispatcher.pause("others").unwrap();
    let paused = NotReady::Paused {
        subscription: "others".into(),
    };
    assert_eq!(app.dispatcher.readiness().reasons, [paused]);
    app.dispatcher.resume("others").unwrap();
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.consuming().await;
    assert_eq!(app.dispatcher.readiness().reasons, [stopped("chores")]);
    app.dispatcher.end().await;
    assert!(!app.dispatcher.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_subscription_without_a_live_consumer_is_not_ready_and_says_why() {
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
    app.dispatcher.consuming().await;
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
    channel.make = MakeChannel::Assume;
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
    app.dispatcher.consuming().await;
    assert!(app.dispatcher.health().await.is_ready());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(app.dispatcher.health().await.is_ready());
}

#[tokio::test]
async fn who_waits_for_a_dispatcher_that_another_starts_waits_until_it_consumes() {
    let app = App::new(Hand::free(), [chores()]);
    let waiting = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move {
            dispatcher.consuming().await;
            assert!(dispatcher.is_ready());
        }
    });
    tokio::task::yield_now().await;
    app.dispatcher.receive();
    waiting.await.unwrap();
}

#[tokio::test]
async fn what_is_in_hand_is_told() {
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
