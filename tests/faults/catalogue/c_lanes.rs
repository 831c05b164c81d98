//! Handlers that hold up others, or must not: A14, B08, C04, C16.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Producer, QueueType};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{InMemoryBroker, Message};
use brighter_faults::app::{App, Deed, Doer, What, order};
use brighter_faults::capture;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::scale::{Choices, report, size};
use brighter_faults::traffic::Traffic;
use brighter_faults::wait::until_answer;
use tokio::sync::watch;

const CONFIRM: Duration = Duration::from_secs(30);

/// On one thread, so that nothing but the handler can run on it.
#[tokio::test]
async fn a14_a_blocking_handler_keeps_the_connection_and_is_named() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let (heartbeat, blocked) = size((1, 5), (5, 60));
    let broker = place
        .builder()
        .heartbeat_interval(Duration::from_secs(heartbeat))
        .connect()
        .await
        .unwrap();
    let ledger = Ledger::new();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(place.queue("a14")).routing_key("a14")],
    );
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    let before = node.connection_pids(place.id()).await;
    let ids = order(&traffic, "a14", [What::Block(blocked * 1_000), What::Note]).await;
    until_answer("handled", 2, async || app.doer.handled()).await;
    assert_eq!(node.connection_pids(place.id()).await, before);
    let told = capture::lines(&["blocks its thread", &ids[0], "Doer"]);
    assert!(!told.is_empty());
    let verdict = ledger.verdict();
    verdict.check("A14");
    assert!(verdict.duplicated.is_empty());
    report(
        "A14",
        format_args!(
            "blocked for {blocked} s with a heartbeat of {heartbeat} s, told {} times",
            told.len()
        ),
    );
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b08_settings_beyond_the_consumer_timeout_fail_build() {
    let node = node::shared().await;
    let limit = Some(Duration::from_secs(5));
    let broker = Place::new(&node).builder().consumer_timeout(limit);
    let processor = CommandProcessor::builder()
        .handler(Doer::new(&Ledger::new()))
        .broker(broker.connect().await.unwrap())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<Deed>::new("b08").timeout(Duration::from_secs(20));
    let refused = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build();
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("consumer_timeout") && said.contains("5s"), "{said}");
    processor.close().await;
}

/// A broker that is stricter than the application was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b08_a_handler_beyond_the_consumer_timeout_is_dead_lettered() {
    let node = node::to_harm().await;
    if node.version().await >= (4, 3) {
        let why = "a quorum queue keeps the time-out itself from 4.3 on: 4.3.6 did not keep one within 5 min that was set while it ran";
        report("B08", format_args!("not run, for {why}"));
        return;
    }
    let limit = Duration::from_secs(size(2, 5));
    node.consumer_timeout(Some(limit)).await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let queue = place.queue("b08");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("b08")
        .queue_type(QueueType::Quorum)
        .concurrency(5)
        .redeliveries(2);
    let app = App::start(broker.clone(), &ledger, [subscription]);
    app.wait_until_consuming().await;
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    let slow = order(&traffic, "b08", [What::Wait]).await;
    order(&traffic, "b08", [What::Note; 20]).await;
    until_answer("handled", 20, async || app.doer.handled()).await;
    let dead_letters = format!("{queue}.dlq");
    until_answer("dead letters", 1, async || node.depth(&dead_letters).await.0).await;
    ledger.write(Entry::SetAside, &slow[0]);
    order(&traffic, "b08", [What::Note; 3]).await;
    until_answer("handled", 23, async || app.doer.handled()).await;
    assert!(!app.doer.has_handled(&slow[0]));
    ledger.verdict().check("B08");
    app.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c04_a_slow_handler_does_not_delay_fast_ones() {
    let ledger = Ledger::new();
    let broker = InMemoryBroker::new();
    capture::begin();
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new("c04")
            .routing_key("c04")
            .concurrency(4)
            .buffer(8)],
    );
    app.wait_until_consuming().await;
    let fast = size(999, 9_999);
    let traffic = Traffic::new(broker, &ledger, CONFIRM);
    order(&traffic, "c04", [What::Wait]).await;
    until_answer("waiting", 1, async || app.doer.waiting()).await;
    order(&traffic, "c04", (0..fast).map(|_| What::Note)).await;
    until_answer("handled", fast, async || app.doer.handled()).await;
    assert_eq!(app.doer.waiting(), 1);
    app.doer.open_gate(true);
    until_answer("handled", fast + 1, async || app.doer.handled()).await;
    ledger.verdict().check("C04");
    app.end().await;
}

/// One of several steps that belong together.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Step")]
struct Step {
    key: u64,
    number: u64,
    fails: bool,
}

/// Takes steps, and notes in which order.
#[derive(Clone)]
struct Walker {
    taken: Arc<Mutex<HashMap<u64, Vec<u64>>>>,
    /// The first step of the first key waits for this.
    gate: watch::Sender<bool>,
}

#[handler]
impl Handler<Step> for Walker {
    async fn handle(&self, step: &Step, cx: &Context) -> Result<(), BoxError> {
        if (step.key, step.number) == (0, 0) {
            let _ = self.gate.subscribe().wait_for(|open| *open).await;
        }
        if step.fails && cx.attempt() == 1 {
            return Err("told to fail".into());
        }
        self.taken
            .lock()
            .unwrap()
            .entry(step.key)
            .or_default()
            .push(step.number);
        Ok(())
    }
}

impl Walker {
    fn taken(&self, of: impl Fn(u64) -> bool) -> usize {
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .filter(|(key, _)| of(**key))
            .map(|(_, steps)| steps.len())
            .sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c16_order_holds_and_a_key_blocks_only_itself() {
    const KEYS: u64 = 16;
    let node = node::shared().await;
    let choices = Choices::seeded("C16");
    let place = Place::new(&node);
    let broker = place.connect().await;
    let walker = Walker {
        taken: Arc::default(),
        gate: watch::Sender::new(false),
    };
    let processor = CommandProcessor::builder()
        .handler(walker.clone())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let each: u64 = size(20, 500);
    let all = usize::try_from(KEYS * each).unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(
            Subscription::<Step>::new(place.queue("c16"))
                .routing_key("c16")
                .ordered_by(|step: &Step| step.key)
                .concurrency(16)
                // Those of the key that waits, and others.
                .buffer(u16::try_from(each).unwrap() + 100)
                .delays([Duration::from_millis(20)]),
        )
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let messages: Vec<_> = (0..each)
        .flat_map(|number| (0..KEYS).map(move |key| (key, number)))
        .map(|(key, number)| {
            let step = Step {
                key,
                number,
                fails: choices.once_in(20),
            };
            let header = MessageHeader::new(MessageId::new(), "c16", MessageType::Event)
                .with_content_type("application/json");
            Message::new(header, MessageBody::new(serde_json::to_vec(&step).unwrap()))
        })
        .collect();
    for outcome in broker.publish_all(messages.iter().collect()).await {
        outcome.unwrap();
    }
    let others = all - usize::try_from(each).unwrap();
    until_answer("steps of the others", others, async || {
        walker.taken(|key| key != 0)
    })
    .await;
    assert_eq!(walker.taken(|key| key == 0), 0);
    walker.gate.send_replace(true);
    until_answer("steps", all, async || walker.taken(|_| true)).await;
    for (key, steps) in walker.taken.lock().unwrap().iter() {
        assert!(steps.is_sorted(), "key {key}: {steps:?}");
        assert_eq!(steps.len() as u64, each);
    }
    report(
        "C16",
        format_args!("{all} steps of {KEYS} keys in order, seed {}", choices.seed()),
    );
    dispatcher.end().await;
    broker.close().await;
}
