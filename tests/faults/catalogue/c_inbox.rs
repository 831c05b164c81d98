//! The same message several times at once: C14.

use std::time::Duration;

use brighter::channel::{Broker, Producer};
use brighter::mapper::Postable;
use brighter::message::MessageBody;
use brighter::prelude::*;
use brighter::{RabbitMq, SqliteInbox};
use brighter_faults::capture;
use brighter_faults::desk::Pay;
use brighter_faults::node;
use brighter_faults::place::{Place, message};
use brighter_faults::wait::until_answer;
use tokio::sync::watch;

use super::c_handling::set_aside;

/// Pays when the gate is open.
#[derive(Clone)]
struct Cashier {
    begun: watch::Sender<Vec<i64>>,
    paid: watch::Sender<Vec<i64>>,
    gate: watch::Sender<bool>,
}

impl Cashier {
    fn new() -> Self {
        Self {
            begun: watch::Sender::default(),
            paid: watch::Sender::default(),
            gate: watch::Sender::new(false),
        }
    }

    fn begun(&self) -> Vec<i64> {
        self.begun.borrow().clone()
    }

    fn paid(&self) -> Vec<i64> {
        self.paid.borrow().clone()
    }
}

#[handler]
impl Handler<Pay> for Cashier {
    #[use_inbox(lease = "60s", step = 1)]
    async fn handle(&self, pay: &Pay) -> Result<(), BoxError> {
        self.begun.send_modify(|begun| begun.push(pay.amount));
        self.gate.subscribe().wait_for(|open| *open).await?;
        self.paid.send_modify(|paid| paid.push(pay.amount));
        Ok(())
    }
}

/// A consumer on a node of its own, which shares the inbox with the other.
async fn node_of(place: &Place, folder: &tempfile::TempDir, cashier: &Cashier) -> (RabbitMq, Dispatcher) {
    let broker = place.connect().await;
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .inbox(inbox)
        .handler(cashier.clone())
        .build()
        .unwrap();
    let subscription = Subscription::<Pay>::new(place.queue("c14"))
        .performers(3)
        .delays([Duration::from_millis(100)])
        .attempts(2);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    (broker, dispatcher)
}

fn pay(id: &str, amount: i64) -> brighter::Message {
    let pay = Pay {
        id: id.into(),
        amount,
    };
    let mut message = message(Pay::TOPIC, id);
    message.body = MessageBody::new(serde_json::to_vec(&pay).unwrap());
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_five_simultaneous_copies_have_one_effect() {
    let node = node::shared().await;
    let (place, folder, cashier) = (Place::new(&node), tempfile::tempdir().unwrap(), Cashier::new());
    let (broker, first) = node_of(&place, &folder, &cashier).await;
    let (other_broker, second) = node_of(&place, &folder, &cashier).await;
    for _ in 0..5 {
        broker.publish(&pay("c14", 7)).await.unwrap();
    }
    until_answer("begun", vec![7], async || cashier.begun()).await;
    // Four come again later, and none of them is done with: a queue holds each, this one or that of the delay.
    until_answer("put off", 4, async || {
        capture::lines(&["message will be retried", "c14"]).len().min(4)
    })
    .await;
    assert_eq!((cashier.begun(), cashier.paid()), (vec![7], vec![]));
    cashier.gate.send_replace(true);
    until_answer("paid", vec![7], async || cashier.paid()).await;
    // The others are dropped as duplicates when they come; until then a last one shows that there is no effect more.
    broker.publish(&pay("c14 last", 8)).await.unwrap();
    until_answer("paid", vec![7, 8], async || cashier.paid()).await;
    first.end().await;
    second.end().await;
    assert_eq!(cashier.paid(), [7, 8]);
    assert_eq!(node.depth(&format!("{}.dlq", place.queue("c14"))).await.0, 0);
    broker.close().await;
    other_broker.close().await;
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_a_reused_id_is_dead_lettered_with_the_reason() {
    let node = node::shared().await;
    let (place, folder, cashier) = (Place::new(&node), tempfile::tempdir().unwrap(), Cashier::new());
    cashier.gate.send_replace(true);
    let (broker, dispatcher) = node_of(&place, &folder, &cashier).await;
    broker.publish(&pay("c14", 7)).await.unwrap();
    until_answer("paid", vec![7], async || cashier.paid()).await;
    let other = pay("c14", 8);
    broker.publish(&other).await.unwrap();
    let dead = format!("{}.dlq", place.queue("c14"));
    let aside = set_aside(&place, &dead, 1).await;
    dispatcher.end().await;
    assert_eq!(cashier.paid(), [7]);
    let (id, reason, body) = &aside[0];
    assert_eq!((id.as_str(), body.as_slice()), ("c14", other.body.as_bytes()));
    assert!(reason.contains("c14"), "{reason}");
    broker.close().await;
}
