//! Pausing, resuming, scaling and throttling what runs.

use brighter::channel::Rate;
use brighter::dispatcher::{PerformerState, SubscriptionState};
use brighter_tests::wait::until_eq;

use super::*;

#[tokio::test]
async fn pausing_stops_intake_gives_back_what_was_not_begun_and_finishes_what_is_in_hand() {
    let app = App::receiving(Hand::allowed(0), [chores().buffer(10)]).await;
    app.post(3).await;
    until_eq("one at work", 1, || app.hand.begun()).await;
    app.dispatcher.pause("chores").unwrap();
    assert_eq!(app.status("chores").state, SubscriptionState::Paused);
    app.hand.allowed.add_permits(10);
    app.until("chores", |status| status.performers == [PerformerState::Paused])
        .await;
    assert_eq!(app.hand.done(), 1, "what was in hand is finished");
    assert_eq!(app.waiting("chores"), 2, "others can have the rest");
    app.post(1).await;
    app.dispatcher.resume("chores").unwrap();
    until_eq("all done", 4, || app.hand.done()).await;
    assert_eq!(app.status("chores").performers, [PerformerState::Consuming]);
}

#[tokio::test]
async fn a_pause_outlasts_a_stop_and_a_start() {
    let app = App::new(Hand::free(), [chores()]);
    app.dispatcher.pause("chores").unwrap();
    app.dispatcher.receive();
    // What is paused is not waited for.
    app.dispatcher.consuming().await;
    app.until("chores", |status| status.performers == [PerformerState::Paused])
        .await;
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.start("chores").unwrap();
    app.until("chores", |status| status.performers == [PerformerState::Paused])
        .await;
    app.dispatcher.resume("chores").unwrap();
    app.dispatcher.consuming().await;
    app.post(1).await;
    until_eq("done", 1, || app.hand.done()).await;
}

#[tokio::test]
async fn performers_are_added_while_running() {
    let app = App::receiving(Hand::allowed(0), [chores().buffer(1)]).await;
    app.post(4).await;
    until_eq("one at work", 1, || app.hand.begun()).await;
    app.dispatcher.scale("chores", 4).unwrap();
    until_eq("four at work", 4, || app.hand.begun()).await;
    assert_eq!(app.status("chores").wanted, 4);
    app.hand.allowed.add_permits(4);
    until_eq("all done", 4, || app.hand.done()).await;
}

#[tokio::test]
async fn surplus_performers_finish_what_they_have_in_hand_and_end() {
    let app = App::receiving(Hand::allowed(0), [chores().performers(3).buffer(1)]).await;
    app.post(5).await;
    until_eq("three at work", 3, || app.hand.begun()).await;
    app.dispatcher.scale("chores", 1).unwrap();
    app.hand.allowed.add_permits(3);
    app.until("chores", |status| status.performers.len() == 1).await;
    until_eq("the three done", true, || app.hand.done() >= 3).await;
    // One is left, and takes the rest one by one.
    until_eq("the next begun", 4, || app.hand.begun()).await;
    assert_eq!(app.status("chores").in_hand(), 1);
    app.hand.allowed.add_permits(2);
    until_eq("all done", 5, || app.hand.done()).await;
    assert_eq!(app.hand.begun(), 5, "nothing was interrupted");
}

#[tokio::test]
async fn a_scale_outlasts_a_stop_and_a_start() {
    let app = App::receiving(Hand::free(), [chores()]).await;
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.scale("chores", 3).unwrap();
    assert!(
        app.status("chores").performers.is_empty(),
        "it was not started by that"
    );
    app.dispatcher.start("chores").unwrap();
    app.dispatcher.consuming().await;
    assert_eq!(app.status("chores").consuming(), 3);
}

#[tokio::test]
async fn what_a_subscription_cannot_be_is_refused_and_changes_nothing() {
    let by_key = Subscription::<Chore>::new("by-key").ordered_by(|_: &Chore| 0);
    let app = App::new(Hand::free(), [chores().concurrency(2)]);
    app.dispatcher.add(by_key).unwrap();
    let before = app.status("chores").throttle;
    let none = Rate::per_second(0);
    for (refused, said) in [
        (
            app.dispatcher.scale("chores", 0),
            "invalid setting of the subscription `chores`: `performers` is 0; it must be at least 1",
        ),
        (
            app.dispatcher.scale("by-key", 2),
            "invalid setting of the subscription `by-key`: `performers` is 2; it must be 1, because the subscription keeps order by key",
        ),
        (
            app.dispatcher
                .throttle("chores", |throttle| throttle.concurrency = 0),
            "invalid setting of the subscription `chores`: `concurrency` is 0; it must be between 1 and 65535",
        ),
        (
            app.dispatcher
                .throttle("chores", |throttle| throttle.rate = Some(none)),
            "invalid setting of the subscription `chores`: `rate` is 0; it must be at least 1",
        ),
    ] {
        assert_eq!(format!("{:?}", refused.unwrap_err()), said);
    }
    assert_eq!(app.status("chores").throttle, before);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_changed_while_running() {
    let app = App::receiving(Hand::free(), [chores().performers(2)]).await;
    let hourly = Rate::new(1, Duration::from_secs(3600));
    app.dispatcher
        .throttle("chores", |throttle| throttle.rate = Some(hourly))
        .unwrap();
    assert_eq!(app.status("chores").throttle.rate, Some(hourly));
    app.post(5).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(app.hand.done(), 1, "one an hour");
    app.dispatcher
        .throttle("chores", |throttle| throttle.rate = None)
        .unwrap();
    until_eq("all done", 5, || app.hand.done()).await;
}

#[tokio::test]
async fn who_steers_what_is_not_there_is_told_what_there_is() {
    let app = App::new(Hand::free(), [chores()]);
    let said = "there is no subscription `chore`; there are: chores";
    assert_eq!(app.dispatcher.pause("chore").unwrap_err().to_string(), said);
    assert_eq!(app.dispatcher.resume("chore").unwrap_err().to_string(), said);
    assert_eq!(app.dispatcher.scale("chore", 2).unwrap_err().to_string(), said);
    assert_eq!(app.dispatcher.stop("chore").await.unwrap_err().to_string(), said);
    assert_eq!(
        app.dispatcher.remove("chore").await.unwrap_err().to_string(),
        said
    );
}

#[tokio::test(start_paused = true)]
async fn a_range_of_performers_follows_the_work() {
    let broker = InMemoryBroker::new();
    let hand = Hand::allowed(0);
    let processor = CommandProcessor::builder()
        .handler::<Chore>(hand.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(chores().performers(1..=3).buffer(1))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.consuming().await;
    assert_eq!(dispatcher.status()[0].scale, (1..=3).into());
    for _ in 0..20 {
        let chore = Chore { id: MessageId::new() };
        processor.post(chore).await.unwrap();
    }
    // The clock is paused, so this takes no time: two looks, then two more.
    until_eq("three at work", 3, || hand.begun()).await;
    assert_eq!(dispatcher.status()[0].wanted, 3);
    hand.allowed.add_permits(20);
    until_eq("all done", 20, || hand.done()).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    dispatcher.consuming().await;
    assert_eq!(dispatcher.status()[0].performers, [PerformerState::Consuming]);
    // From now on it follows nothing.
    dispatcher.scale("chores", 2).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(dispatcher.status()[0].consuming(), 2);
}
