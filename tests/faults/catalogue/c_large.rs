//! Messages that are too large, and more of them than there is memory for: C11, C13.

use std::time::Duration;

use brighter::channel::{Broker, Producer, PublishError};
use brighter::message::MessageBody;
use brighter_faults::app::{Deed, What};
use brighter_faults::consumer::Orders;
use brighter_faults::frames::Kind;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::place::{Place, message};
use brighter_faults::process::Process;
use brighter_faults::proxy::{Direction, Proxy};
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{Traffic, consume, handle_all};
use brighter_faults::wait::{in_time, until_answer};
use brighter_faults::{capture, node};
use futures_util::future::join_all;

/// As many bytes as the library takes, unless it is told otherwise.
const LARGEST: usize = 16 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c11_an_oversized_message_is_refused_before_sending() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    drop(consume(&broker, &place.channel("c11", "c11")).await);
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    traffic.one("c11").await;
    let before = proxy.seen(Direction::ToBroker, Kind::PUBLISH);
    let connections = node.connection_pids(place.id()).await;
    let mut large = message("c11", "large");
    large.body = MessageBody::new(vec![7; LARGEST + 1]);
    let error = broker.publish(&large).await.unwrap_err();
    assert!(
        matches!(error, PublishError::TooLarge { bytes, limit: LARGEST } if bytes == LARGEST + 1),
        "{error:?}"
    );
    assert_eq!(proxy.seen(Direction::ToBroker, Kind::PUBLISH), before);
    traffic.one("c11").await;
    assert_eq!(traffic.failed(), 0);
    assert_eq!(node.connection_pids(place.id()).await, connections);
    broker.close().await;
}

/// Who was not told of the broker's limit meets it there: it closes the channel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c11_an_oversized_message_fails_alone() {
    let node = node::to_harm().await;
    node.max_message_size(Some(100_000)).await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let channel = place.channel("c11", "c11");
    drop(consume(&broker, &channel).await);
    let connections = node.connection_pids(place.id()).await;
    let ledger = Ledger::new();
    let messages: Vec<_> = (0..50)
        .map(|number| {
            let mut message = message("c11", &number.to_string());
            if number == 20 {
                message.body = MessageBody::new(vec![7; 100_001]);
            }
            message
        })
        .collect();
    let publishing = join_all(messages.iter().map(|message| broker.publish(message)));
    for (number, outcome) in in_time("all of them", publishing).await.into_iter().enumerate() {
        match outcome {
            Ok(()) if number != 20 => {
                ledger.write(Entry::Attempted, &number.to_string());
                ledger.write(Entry::Acknowledged, &number.to_string());
            }
            Err(PublishError::Refused { reason }) if number == 20 => {
                assert!(reason.contains("size"), "{reason}");
            }
            other => panic!("{number}: {other:?}"),
        }
    }
    handle_all(&broker, &channel, &ledger, messages.len() - 1).await;
    ledger.verdict().check("C11");
    assert_eq!(node.connection_pids(place.id()).await, connections);
    broker.close().await;
    capture::assert_no_password();
}

/// How much memory the process may take.
const MEMORY: usize = 64 * 1024 * 1024;
const BUFFER: u16 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c13_prefetch_bounds_memory_with_a_slow_handler() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let channel = place.channel("c13", "c13");
    drop(consume(&broker, &channel).await);
    let (messages, bytes) = size((10_000, 16 * 1024), (1_000_000, 1024));
    assert!(messages * bytes > 2 * MEMORY, "or nothing would be shown");
    let padding = "x".repeat(bytes);
    let make = || {
        let deed = Deed::new(What::Sleep(5));
        let mut message = deed.message("c13");
        let mut body = serde_json::to_value(&deed).unwrap();
        body["padding"] = padding.as_str().into();
        message.body = MessageBody::new(body.to_string());
        message
    };
    let mut left = messages;
    while left > 0 {
        let some: Vec<_> = (0..left.min(500)).map(|_| make()).collect();
        for published in broker.publish_all(some.iter().collect()).await {
            published.unwrap();
        }
        left -= some.len();
    }
    broker.close().await;
    let mut orders = Orders::new(&place, "c13", &ledger);
    orders.performers = 2;
    orders.buffer = BUFFER;
    let mut child = Process::start(env!("CARGO_BIN_EXE_faults-consumer"), &orders, "");
    for handled in (500..=size(500, 5_000)).step_by(500) {
        until_answer("handled", true, async || ledger.count(Entry::Handled) >= handled).await;
    }
    let most = child.most_memory();
    child.kill().await;
    // A million takes longer than a call into the broker may.
    node.ctl(&["delete_queue", channel.name.as_str()]).await;
    report(
        "C13",
        format_args!(
            "{messages} messages of {bytes} bytes wait, {BUFFER} are taken ahead twice over: {} MB at most",
            most / 1024 / 1024
        ),
    );
    assert!(most < MEMORY, "{most} bytes");
}
