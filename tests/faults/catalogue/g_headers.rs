//! Headers that are nested so deep that a parser that recurses overflows its stack: G12.

use std::time::Duration;

use brighter::channel::QueueType;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What};
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, PASSWORD};
use brighter_faults::place::Place;
use brighter_faults::stranger::{Stranger, deep_headers, deepest};
use brighter_faults::wait::until_answer;

use super::c_handling::set_aside;

type IsList = fn(usize) -> bool;

/// Which levels are lists, and the others tables.
const PATTERNS: [(&str, IsList); 3] = [
    ("tables", |_| false),
    ("lists", |_| true),
    ("both", |level| level % 3 == 1),
];

/// How deep our reader takes headers.
const ALLOWED: usize = 32;

/// The process lives, and so do its connections: each such message is set aside once, with a reason; those before it
/// and behind it are handled.
async fn deep_headers_are_set_aside(queue_type: QueueType) {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let queue = place.queue("g12");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("g12")
        .queue_type(queue_type)
        .attempts(2)
        .delays([Duration::from_millis(20)]);
    let app = App::start(broker.clone(), &ledger, [subscription]);
    app.wait_until_consuming().await;

    let mut stranger = Stranger::connect(node.address(), "tester", PASSWORD).await;
    let (mut good, mut deep) = (0, Vec::new());
    for (form, pattern) in PATTERNS {
        let levels = |depth: usize| (0..depth).map(pattern).collect::<Vec<_>>();
        let most = deepest(MessageId::new().to_string().as_str(), pattern);
        assert!(most > 18_000, "{form}: {most}");
        for depth in [ALLOWED + 1, ALLOWED + 2, 500, 1_000, 5_000, 18_000, most] {
            // What is as deep as it may be goes through a copy, too, for it fails once.
            for (what, allowed) in [(What::Note, 0), (What::Fail(1), ALLOWED)] {
                let deed = Deed::new(what);
                let id = deed.id.to_string();
                ledger.write(Entry::Attempted, &id);
                ledger.write(Entry::Acknowledged, &id);
                let body = serde_json::to_vec(&deed).unwrap();
                stranger
                    .write(&queue, &id, &deep_headers(&levels(allowed)), &body)
                    .await;
                good += 1;
            }
            let id = MessageId::new().to_string();
            let body = format!("{form} {depth}");
            stranger
                .write(&queue, &id, &deep_headers(&levels(depth)), body.as_bytes())
                .await;
            deep.push((id, body));
        }
    }
    let last = Deed::new(What::Note);
    let id = last.id.to_string();
    ledger.write(Entry::Attempted, &id);
    ledger.write(Entry::Acknowledged, &id);
    let body = serde_json::to_vec(&last).unwrap();
    stranger.write(&queue, &id, &deep_headers(&[]), &body).await;
    good += 1;
    stranger.close().await;

    until_answer("handled", good, async || ledger.distinct(Entry::Handled)).await;
    let mut aside = set_aside(&place, &format!("{queue}.invalid"), deep.len()).await;
    aside.sort();
    deep.sort();
    for ((id, reason, found), (sent, body)) in aside.iter().zip(&deep) {
        assert_eq!((id, found.as_slice()), (sent, body.as_bytes()));
        let said = "the header \"deep\" holds tables or lists nested more than 32 deep";
        assert!(reason.starts_with(said), "{reason}");
    }
    until_answer("left", 0, async || node.depth(&queue).await.0).await;
    assert_eq!(node.depth(&format!("{queue}.invalid")).await.0, 0);
    assert_eq!(node.depth(&format!("{queue}.dlq")).await.0, 0);
    app.end().await;
    ledger.verdict().check("G12");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g12_deep_headers_are_rejected_and_block_no_message() {
    deep_headers_are_set_aside(QueueType::Quorum).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g12_deep_headers_in_a_classic_queue_are_rejected() {
    deep_headers_are_set_aside(QueueType::Classic).await;
}
