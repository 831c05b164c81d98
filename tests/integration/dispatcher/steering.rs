//! Pausing, resuming, scaling and throttling what runs.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use brighter::SqliteBroker;
use brighter::channel::{Broker, Channel, Rate};
use brighter::dispatcher::{PerformerState, PerformerStatus, SubscriptionState};
use brighter_tests::wait::until_eq;

use super::careless::Careless;
use super::*;

#[tokio::test]
async fn pausing_returns_unstarted_messages_and_finishes_the_others() {
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
    app.dispatcher.wait_until_consuming().await;
    app.until("chores", |status| status.performers == [PerformerState::Paused])
        .await;
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.start("chores").unwrap();
    app.until("chores", |status| status.performers == [PerformerState::Paused])
        .await;
    app.dispatcher.resume("chores").unwrap();
    app.dispatcher.wait_until_consuming().await;
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
    app.dispatcher.wait_until_consuming().await;
    assert_eq!(app.status("chores").consuming(), 3);
}

#[tokio::test]
async fn impossible_control_commands_are_refused_and_change_nothing() {
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
async fn controlling_an_unknown_subscription_lists_the_known() {
    let app = App::new(Hand::free(), [chores()]);
    let said = "unknown subscription `chore`; the dispatcher has: chores";
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
    dispatcher.wait_until_consuming().await;
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
    dispatcher.wait_until_consuming().await;
    assert_eq!(dispatcher.status()[0].performers, [PerformerState::Consuming]);
    // From now on it follows nothing.
    dispatcher.scale("chores", 2).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(dispatcher.status()[0].consuming(), 2);
}

/// One change after the other under traffic, and then a rest: everything is handled, and the broker has as many consumers as
/// there are performers.
async fn steered(broker: Careless<impl Broker>, changes: u64, pause: Duration) {
    const PERFORMERS: usize = 4;
    let hand = Hand::free();
    let processor = CommandProcessor::builder()
        .handler::<Chore>(hand.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(chores().buffer(16))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let posting = Arc::new(AtomicBool::new(true));
    let posted = tokio::spawn({
        let posting = Arc::clone(&posting);
        async move {
            let mut posted = HashSet::new();
            while posting.load(Ordering::SeqCst) {
                let chore = Chore { id: MessageId::new() };
                posted.insert(chore.id.clone());
                processor.post(chore).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            posted
        }
    });
    let mut choice = 20_u64;
    for _ in 0..changes {
        // SplitMix64, so that it is the same each time.
        choice = choice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (choice ^ (choice >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8;
        let some = usize::try_from(mixed / 8 % 8).unwrap() + 1;
        match mixed % 8 {
            0 => dispatcher.pause("chores").unwrap(),
            1 | 2 => dispatcher.resume("chores").unwrap(),
            3 | 4 => dispatcher.scale("chores", some).unwrap(),
            5 | 6 => dispatcher
                .throttle("chores", |throttle| throttle.concurrency = some * 4)
                .unwrap(),
            _ => {
                let rate = Rate::per_second(u32::try_from(some).unwrap() * 100);
                let rate = (some > 2).then_some(rate);
                dispatcher
                    .throttle("chores", |throttle| throttle.rate = rate)
                    .unwrap();
            }
        }
        tokio::time::sleep(pause).await;
    }
    dispatcher.scale("chores", PERFORMERS).unwrap();
    dispatcher
        .throttle("chores", |throttle| {
            (throttle.paused, throttle.rate) = (false, None)
        })
        .unwrap();
    posting.store(false, Ordering::SeqCst);
    let posted = posted.await.unwrap();
    let done = || hand.done.lock().unwrap().iter().cloned().collect::<HashSet<_>>();
    until_eq("how many are done", posted.len(), || done().len()).await;
    assert_eq!(done(), posted);
    until_eq("performers that consume", PERFORMERS, || {
        dispatcher.status()[0].consuming()
    })
    .await;
    assert_eq!(dispatcher.status()[0].performers.len(), PERFORMERS);
    until_eq("consumers at the broker", PERFORMERS, || broker.consumers()).await;
    let channel = Channel::new("chores", "Chore");
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
    assert!(dispatcher.end().await.interrupted.is_empty());
    until_eq("consumers at the end", 0, || broker.consumers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steering_under_traffic_strands_nothing_in_memory() {
    let broker = Careless::new(InMemoryBroker::new(), Duration::from_millis(5));
    steered(broker, 200, Duration::from_millis(8)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steering_under_traffic_strands_nothing_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    steered(
        Careless::new(broker, Duration::from_millis(5)),
        100,
        Duration::from_millis(15),
    )
    .await;
}

#[tokio::test]
async fn a_consumer_that_comes_after_the_stop_is_closed() {
    let broker = Careless::new(InMemoryBroker::new(), Duration::from_millis(50));
    let processor = CommandProcessor::builder()
        .handler::<Chore>(Hand::free())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(chores().performers(3))
        .build()
        .unwrap();
    dispatcher.receive();
    until_eq("consumers on their way", 3, || broker.consumers()).await;
    assert_eq!(dispatcher.status()[0].consuming(), 0, "nobody has them so far");
    dispatcher.end().await;
    until_eq("consumers", 0, || broker.consumers()).await;
}

#[tokio::test]
async fn a_performer_reports_consuming_only_with_a_consumer() {
    let app = App::receiving(Hand::allowed(0), [chores().performers(2).buffer(1)]).await;
    app.post(2).await;
    until_eq("both at work", 2, || app.hand.begun()).await;
    app.dispatcher.scale("chores", 1).unwrap();
    app.until("chores", |status| {
        status.performers == [PerformerState::Consuming, PerformerState::Finishing]
    })
    .await;
    app.dispatcher
        .throttle("chores", |throttle| throttle.concurrency = 2)
        .unwrap();
    app.until("chores", |status| status.consuming() == 1).await;
    // It needs a larger buffer than its consumer has, and has no room before one is done.
    app.post(1).await;
    until_eq("another at work", 3, || app.hand.begun()).await;
    let ending = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move { dispatcher.end().await }
    });
    app.until("chores", |status| {
        let finishes = |performer: &PerformerStatus| *performer == PerformerState::Finishing;
        status.performers.len() == 2 && status.performers.iter().all(finishes)
    })
    .await;
    app.hand.allowed.add_permits(3);
    assert!(ending.await.unwrap().interrupted.is_empty());
}
