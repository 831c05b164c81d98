//! Commands as data: in the process, and over a topic of the broker.

use std::time::SystemTime;

use brighter::channel::{Broker, Channel, Consumer, Producer, Rate};
use brighter::dispatcher::{
    Control, ControlCommand, ControlError, ControlReport, ControlSecret, Nodes, SubscriptionState,
};
use brighter::message::{MessageBody, MessageType};
use brighter::processor::BuildError;
use brighter_tests::wait::{deadline, until_eq};

use super::*;

const TOPIC: &str = "ops";

fn secret(text: &str) -> ControlSecret {
    ControlSecret::new(text.repeat(32)).unwrap()
}

/// A node that listens to the topic, and what its desk needs.
struct Node {
    app: App,
    desk: Control,
    reports: Consumer,
}

impl Node {
    async fn new(hand: Hand) -> Self {
        let desk = Control::topic(TOPIC, secret("s"));
        let control = desk.clone().node("one");
        let app = App::built(hand, [chores(), Subscription::new("others")], |builder| {
            builder.control(control)
        });
        let reports = app.broker.consume(&Channel::new("desk", desk.reports())).await;
        app.dispatcher.receive();
        app.dispatcher.wait_until_consuming().await;
        Self {
            app,
            desk,
            reports: reports.unwrap(),
        }
    }

    /// Sends a command, and waits for what becomes of it.
    async fn told(&mut self, command: ControlCommand) -> ControlReport {
        let sent = self
            .desk
            .send(&self.app.broker, Nodes::one("one"), command.clone())
            .await
            .unwrap();
        let report = self.report().await;
        assert_eq!((&report.command_id, &report.command), (&sent, &command));
        report
    }

    async fn report(&mut self) -> ControlReport {
        let next = tokio::time::timeout(deadline(), self.reports.receive()).await;
        let delivery = next.expect("a report").unwrap().unwrap();
        let report = serde_json::from_slice(delivery.message().unwrap().body.as_bytes()).unwrap();
        delivery.ack().await.unwrap();
        report
    }

    /// Why the one command was set aside.
    async fn set_aside(&self) -> String {
        until_eq("commands set aside", 1, || self.app.waiting("ops.one.invalid")).await;
        let message = self.app.broker.inner().messages("ops.one.invalid").remove(0);
        let reason = message.header.bag.get("rejectionMessage").unwrap();
        reason.as_str().unwrap().to_owned()
    }

    fn states(&self) -> Vec<SubscriptionState> {
        let status = self.app.dispatcher.status();
        status.into_iter().map(|status| status.state).collect()
    }
}

#[tokio::test]
async fn receiving_an_all_stop_message() {
    let mut node = Node::new(Hand::allowed(0)).await;
    node.app.post(1).await;
    until_eq("both at work", 2, || node.app.hand.begun()).await;
    let allowed = Arc::clone(&node.app.hand.allowed);
    allowed.add_permits(2);
    let report = node.told(ControlCommand::StopAll).await;
    assert_eq!(node.states(), [SubscriptionState::Stopped; 2]);
    assert_eq!(node.app.hand.done(), 2, "what was in hand was finished");
    assert!(report.interrupted.is_empty() && !report.readiness.is_ready());
    // It still obeys.
    let report = node.told(ControlCommand::StartAll).await;
    assert_eq!(report.refused, None);
    assert_eq!(node.states(), [SubscriptionState::Running; 2]);
    node.app.dispatcher.end().await;
}

#[tokio::test]
async fn receiving_a_stop_message_for_a_subscription() {
    let mut node = Node::new(Hand::free()).await;
    let report = node.told(ControlCommand::Stop("chores".into())).await;
    assert_eq!(
        node.states(),
        [SubscriptionState::Stopped, SubscriptionState::Running]
    );
    assert_eq!(report.node, "one");
    assert_eq!(report.subscriptions, node.app.dispatcher.status());
    node.told(ControlCommand::Start("chores".into())).await;
    assert_eq!(node.states(), [SubscriptionState::Running; 2]);
}

#[tokio::test]
async fn every_command_does_what_the_method_of_its_name_does() {
    let mut node = Node::new(Hand::free()).await;
    node.told(ControlCommand::Pause("chores".into())).await;
    assert_eq!(node.app.status("chores").state, SubscriptionState::Paused);
    node.told(ControlCommand::Resume("chores".into())).await;
    assert_eq!(node.app.status("chores").state, SubscriptionState::Running);
    let scale = ControlCommand::Scale {
        subscription: "chores".into(),
        performers: 3.into(),
    };
    node.told(scale).await;
    assert_eq!(node.app.status("chores").wanted, 3);
    let throttle = ControlCommand::Throttle {
        subscription: "chores".into(),
        concurrency: None,
        rate: Some(Rate::per_second(5)),
    };
    node.told(throttle).await;
    assert_eq!(node.app.status("chores").throttle.rate, Some(Rate::per_second(5)));
    assert_eq!(node.app.status("chores").throttle.concurrency, 1);
    node.told(ControlCommand::Unthrottle("chores".into())).await;
    assert_eq!(node.app.status("chores").throttle.rate, None);
    let report = node.told(ControlCommand::Report).await;
    assert_eq!(report.subscriptions.len(), 2, "control itself is none of them");
    let report = node.told(ControlCommand::Stop("chroes".into())).await;
    assert_eq!(
        report.refused.as_deref(),
        Some("unknown subscription `chroes`; the dispatcher has: chores, others")
    );
}

#[tokio::test]
async fn a_command_in_process_needs_no_broker_and_no_secret() {
    let app = App::receiving(Hand::free(), [chores()]).await;
    app.dispatcher
        .apply(ControlCommand::Pause("chores".into()))
        .await
        .unwrap();
    assert_eq!(app.status("chores").state, SubscriptionState::Paused);
    let refused = app.dispatcher.apply(ControlCommand::Resume("no".into())).await;
    let Err(ControlError::UnknownSubscription(unknown)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(unknown.name, "no");
}

#[tokio::test]
async fn commands_are_obeyed_only_by_the_named_nodes() {
    let mut node = Node::new(Hand::free()).await;
    let other = Nodes::one("two");
    let all = ControlCommand::StopAll;
    node.desk.send(&node.app.broker, other, all).await.unwrap();
    let pause = ControlCommand::Pause("chores".into());
    node.desk.send(&node.app.broker, Nodes::All, pause).await.unwrap();
    let report = node.report().await;
    assert_eq!(report.command, ControlCommand::Pause("chores".into()));
    assert_eq!(
        node.states(),
        [SubscriptionState::Paused, SubscriptionState::Running]
    );
    assert_eq!(node.app.waiting("ops.one.invalid"), 0);
}

#[tokio::test]
async fn a_forged_command_is_set_aside_and_changes_nothing() {
    let node = Node::new(Hand::free()).await;
    let stranger = Control::topic(TOPIC, secret("t"));
    stranger
        .send(&node.app.broker, Nodes::All, ControlCommand::StopAll)
        .await
        .unwrap();
    let said = node.set_aside().await;
    assert!(said.contains("not signed, or not with the secret"), "{said}");
    assert_eq!(node.states(), [SubscriptionState::Running; 2]);
}

#[tokio::test]
async fn an_unsigned_command_is_set_aside_and_changes_nothing() {
    let node = Node::new(Hand::free()).await;
    let header = MessageHeader::new(MessageId::new(), TOPIC, MessageType::Command);
    let message = Message::new(
        header,
        MessageBody::new(r#"{"order": "\"stop_all\"", "signature": ""}"#),
    );
    node.app.broker.publish(&message).await.unwrap();
    assert!(node.set_aside().await.contains("not signed"));
    assert_eq!(node.states(), [SubscriptionState::Running; 2]);
}

#[tokio::test]
async fn a_replayed_command_is_set_aside_and_changes_nothing() {
    let mut node = Node::new(Hand::free()).await;
    let wire = Channel::new("wire", TOPIC);
    node.app.broker.inner().declare(&wire).await.unwrap();
    node.told(ControlCommand::Pause("chores".into())).await;
    node.app.dispatcher.resume("chores").unwrap();
    let seen = node.app.broker.inner().messages("wire").remove(0);
    node.app.broker.publish(&seen).await.unwrap();
    let said = node.set_aside().await;
    assert!(said.contains("a second time"), "{said}");
    assert_eq!(node.states(), [SubscriptionState::Running; 2]);
}

#[tokio::test]
async fn a_command_older_than_its_node_changes_nothing() {
    let node = Node::new(Hand::free()).await;
    node.app.dispatcher.end().await;
    let sent_at = SystemTime::now();
    node.desk
        .send(&node.app.broker, Nodes::All, ControlCommand::StopAll)
        .await
        .unwrap();
    // Another process of this name finds it in the channel. Its clock counts milliseconds.
    while sent_at.elapsed().unwrap() < Duration::from_millis(2) {
        tokio::task::yield_now().await;
    }
    let control = node.desk.clone().node("one");
    let next = App::on(node.app.broker.clone(), Hand::free(), [chores()], |builder| {
        builder.control(control)
    });
    next.dispatcher.receive();
    let said = node.set_aside().await;
    assert!(said.contains("before this node started"), "{said}");
    next.dispatcher.wait_until_consuming().await;
    assert!(next.dispatcher.is_ready());
}

/// It must not be obeyed by a node that comes back long after it was given, nor wait for one that never comes.
#[tokio::test]
async fn an_untaken_command_expires_after_its_window() {
    let window = Duration::from_millis(200);
    let desk = Control::topic(TOPIC, secret("s")).window(window);
    let control = desk.clone().node("one");
    let app = App::built(Hand::free(), [chores()], |builder| builder.control(control));
    app.dispatcher.receive();
    app.dispatcher.wait_until_consuming().await;
    app.dispatcher.end().await;
    let sent_at = std::time::Instant::now();
    desk.send(&app.broker, Nodes::All, ControlCommand::StopAll)
        .await
        .unwrap();
    let waits = app.waiting("ops.one") == 1;
    assert!(waits || sent_at.elapsed() >= window, "it has its window");
    until_eq("commands that wait", 0, || app.waiting("ops.one")).await;
}

#[test]
fn a_weak_secret_is_refused_and_a_secret_never_prints() {
    let error = ControlSecret::new("password").unwrap_err();
    assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
    let control = Control::topic(TOPIC, secret("s"));
    assert!(!format!("{control:?} {:?}", secret("s")).contains("ss"));
}

#[test]
fn build_finds_an_invalid_control_topic() {
    let control = Control::topic("o".repeat(250), secret("s")).node("one");
    let processor = CommandProcessor::builder()
        .handler::<Chore>(Hand::free())
        .broker(InMemoryBroker::new())
        .build()
        .unwrap();
    let errors = Dispatcher::builder(processor)
        .subscription(chores())
        .control(control)
        .build()
        .unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| matches!(error, BuildError::Name { .. })),
        "{errors}"
    );
}
