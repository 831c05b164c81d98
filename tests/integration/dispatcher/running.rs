//! Starting, stopping, adding, removing, ending.

use brighter::dispatcher::{PerformerState, SubscriptionState};
use brighter::processor::BuildError;
use brighter_tests::wait::until_eq;

use super::*;

#[tokio::test]
async fn a_message_dispatcher_connects_a_channel_and_handler() {
    let app = App::new(Hand::free(), [chores()]);
    assert_eq!(app.status("chores").state, SubscriptionState::Stopped);
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    let status = app.status("chores");
    assert_eq!(status.state, SubscriptionState::Running);
    assert_eq!(status.performers, [PerformerState::Consuming]);
    app.post(1).await;
    until_eq("the chore done", 1, || app.hand.done()).await;
    app.dispatcher.end().await;
    assert_eq!(app.status("chores").state, SubscriptionState::Stopped);
}

#[tokio::test]
async fn a_message_dispatcher_starts_different_types_of_performers() {
    let app = App::new(Hand::free(), [chores().performers(2)]);
    app.dispatcher.add(Subscription::<Rest>::new("rests")).unwrap();
    assert_eq!(app.status("rests").state, SubscriptionState::Stopped);
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    assert_eq!(app.status("chores").consuming(), 2);
    assert_eq!(app.status("rests").consuming(), 1);
    app.post(3).await;
    app.dispatcher.processor().post(Rest).await.unwrap();
    until_eq("all done", 4, || app.hand.done()).await;
}

#[tokio::test]
async fn a_message_dispatcher_restarts_after_all_subscriptions_have_stopped() {
    let app = App::receiving(Hand::free(), [chores(), chores_of_its_own("others")]).await;
    app.dispatcher.stop("chores").await.unwrap();
    app.dispatcher.stop("others").await.unwrap();
    for status in app.dispatcher.status() {
        assert_eq!(
            (status.state, status.performers.len()),
            (SubscriptionState::Stopped, 0)
        );
    }
    app.post(1).await;
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    until_eq("both copies done", 2, || app.hand.done()).await;
}

fn chores_of_its_own(name: &str) -> Subscription<Chore> {
    Subscription::new(name)
}

#[tokio::test]
async fn a_message_dispatcher_has_a_new_subscription_added_while_running() {
    let app = App::receiving(Hand::free(), [chores()]).await;
    let added = app
        .dispatcher
        .add(Subscription::<Rest>::new("rests").performers(2));
    added.unwrap();
    app.dispatcher.wait_until_consuming().await;
    assert_eq!(app.status("rests").consuming(), 2);
    app.dispatcher.processor().post(Rest).await.unwrap();
    until_eq("the new one's work done", 1, || app.hand.done()).await;
}

#[tokio::test]
async fn adding_an_invalid_subscription_changes_nothing() {
    let app = App::receiving(Hand::free(), [chores()]).await;
    let errors = app.dispatcher.add(chores()).unwrap_err();
    assert!(matches!(
        errors.iter().collect::<Vec<_>>()[..],
        [BuildError::SameName { .. }]
    ));
    let same_channel = Subscription::<Rest>::new("rests").channel("chores");
    let errors = app.dispatcher.add(same_channel).unwrap_err();
    assert!(matches!(
        errors.iter().collect::<Vec<_>>()[..],
        [BuildError::SameChannel { .. }]
    ));
    assert_eq!(app.dispatcher.status().len(), 1);
}

#[tokio::test]
async fn a_subscription_that_is_removed_finishes_and_is_forgotten() {
    let app = App::receiving(Hand::allowed(0), [chores(), chores_of_its_own("others")]).await;
    app.post(1).await;
    until_eq("both at work", 2, || app.hand.begun()).await;
    let removing = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move { dispatcher.remove("others").await }
    });
    app.hand.allowed.add_permits(2);
    let report = removing.await.unwrap().unwrap();
    assert!(report.interrupted.is_empty());
    assert_eq!(app.hand.done(), 2);
    assert_eq!(app.dispatcher.status().len(), 1);
    let error = app.dispatcher.start("others").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown subscription `others`; the dispatcher has: chores"
    );
    // Its name and its channel are free again.
    app.dispatcher.add(chores_of_its_own("others")).unwrap();
}

#[tokio::test]
async fn ending_a_running_dispatcher_drains_before_it_returns() {
    let app = App::receiving(Hand::allowed(0), [chores().performers(2).buffer(1)]).await;
    app.post(3).await;
    until_eq("two at work", 2, || app.hand.begun()).await;
    let ending = tokio::spawn({
        let dispatcher = app.dispatcher.clone();
        async move { dispatcher.end().await }
    });
    // The third is given back before the two are done.
    until_eq("the third given back", 1, || app.waiting("chores")).await;
    assert_eq!(app.hand.done(), 0);
    app.hand.allowed.add_permits(2);
    assert!(ending.await.unwrap().interrupted.is_empty());
    assert_eq!(app.hand.done(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_drain_exceeds_the_time_and_end_still_returns() {
    let app = App::receiving(Hand::allowed(0), [chores().performers(2)]).await;
    app.post(2).await;
    until_eq("both at work", 2, || app.hand.begun()).await;
    let began = tokio::time::Instant::now();
    let report = app.dispatcher.end().await;
    assert_eq!(report.interrupted.len(), 2, "{report:?}");
    assert!(began.elapsed() < 2 * DRAIN);
    assert_eq!(app.waiting("chores"), 2, "both were given back");
}

#[tokio::test]
async fn dispatcher_ends_at_once_after_receive_should_not_hang() {
    let app = App::new(Hand::free(), [chores().performers(4)]);
    app.dispatcher.receive();
    assert!(app.dispatcher.end().await.interrupted.is_empty());
    app.dispatcher.receive();
    app.dispatcher.stop("chores").await.unwrap();
    assert!(app.status("chores").performers.is_empty());
}

#[tokio::test]
async fn dropping_the_last_clone_returns_messages_in_flight() {
    let app = App::receiving(Hand::allowed(0), [chores()]).await;
    app.post(1).await;
    until_eq("at work", 1, || app.hand.begun()).await;
    let App {
        broker, dispatcher, ..
    } = app;
    let clone = dispatcher.clone();
    drop(dispatcher);
    assert_eq!(clone.status()[0].in_hand(), 1, "a clone keeps it running");
    drop(clone);
    until_eq("the message back", 1, || broker.inner().messages("chores").len()).await;
}
