//! A dispatcher that is steered under traffic: G13.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brighter::channel::Rate;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What, order};
use brighter_faults::capture;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::Place;
use brighter_faults::scale::{Choices, report, size};
use brighter_faults::traffic::Traffic;
use brighter_faults::wait::until_answer;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

const CONFIRM: Duration = Duration::from_secs(30);
/// How long from one change to the next: shorter than consuming takes on a busy broker.
const PAUSE: Duration = Duration::from_millis(150);
const PERFORMERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g13_control_under_traffic_leaves_no_message_or_consumer() {
    let node = node::shared().await;
    let (seeds, changes) = size((1, 60), (5, 600));
    for seed in 0..seeds {
        let choices = Choices::seeded(&format!("G13 {seed}"));
        steered(&node, &choices, changes).await;
    }
    capture::assert_no_password();
}

async fn steered(node: &Node, choices: &Choices, changes: usize) {
    let place = Place::new(node);
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let queue = place.queue("g13");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("g13")
        .performers(PERFORMERS)
        .buffer(16);
    let app = App::start(broker.clone(), &ledger, [subscription]);
    app.wait_until_consuming().await;

    let ordering = Arc::new(AtomicBool::new(true));
    let ordered = tokio::spawn({
        let (traffic, ordering) = (Traffic::new(broker, &ledger, CONFIRM), Arc::clone(&ordering));
        async move {
            let mut number = 0;
            while ordering.load(Ordering::SeqCst) {
                // Most are done at once; some take longer than a change.
                let takes = if number % 16 == 0 { 200 } else { number % 8 };
                order(&traffic, "g13", [What::Sleep(takes)]).await;
                number += 1;
            }
        }
    });
    let dispatcher = &app.dispatcher;
    for _ in 0..changes {
        let some = 1 + usize::try_from(choices.below(PERFORMERS as u64)).unwrap();
        match choices.below(8) {
            0 => dispatcher.pause(queue.as_str()).unwrap(),
            1 | 2 => dispatcher.resume(queue.as_str()).unwrap(),
            3 | 4 => dispatcher.scale(queue.as_str(), some).unwrap(),
            5 | 6 => dispatcher
                .throttle(queue.as_str(), |throttle| throttle.concurrency = 4 * some)
                .unwrap(),
            _ => {
                let rate = choices.once_in(2).then(|| Rate::per_second(200));
                dispatcher
                    .throttle(queue.as_str(), |throttle| throttle.rate = rate)
                    .unwrap();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    ordering.store(false, Ordering::SeqCst);
    ordered.await.unwrap();
    dispatcher.scale(queue.as_str(), PERFORMERS).unwrap();
    dispatcher
        .throttle(queue.as_str(), |throttle| {
            (throttle.paused, throttle.rate) = (false, None);
        })
        .unwrap();

    let published = ledger.distinct(Entry::Acknowledged);
    until_answer("handled", published, async || app.doer.handled()).await;
    until_answer("consuming", PERFORMERS, async || {
        dispatcher.status()[0].consuming()
    })
    .await;
    let raw = Connection::connect(place.url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = raw.create_channel().await.unwrap();
    until_answer("consumers at the broker", PERFORMERS, async || {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
        queue.await.unwrap().consumer_count() as usize
    })
    .await;
    until_answer("messages at the broker", (0, 0), async || {
        node.depth(&queue).await
    })
    .await;
    raw.close(200, "done".into()).await.unwrap();
    let verdict = ledger.verdict();
    verdict.check("G13");
    report(
        "G13",
        format_args!(
            "{changes} changes, seed {}: {published} published and handled, {PERFORMERS} consumers for {PERFORMERS} performers",
            choices.seed()
        ),
    );
    app.end().await;
}
