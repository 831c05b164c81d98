//! A broker that takes no messages: B12.

use std::time::{Duration, Instant};

use brighter::channel::{Broker, BrokerStatus, Producer, PublishError};
use brighter_faults::capture;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::scale::report;
use brighter_faults::traffic::{Traffic, consume, id, next};
use brighter_faults::wait::{in_time, until_answer};

const CONFIRM: Duration = Duration::from_secs(3);

async fn blocked(id_of_fault: &str, node: &Node, alarm: impl AsyncFn(bool)) {
    let place = Place::new(node);
    let broker = place.builder().confirm_timeout(CONFIRM).connect().await.unwrap();
    let mut consumer = consume(&broker, &place.channel("b12", "b12")).await;
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    for _ in 0..5 {
        traffic.one("b12").await;
    }
    ledger.fault();
    alarm(true).await;
    // The broker says so to publishers.
    let error = in_time("the deadline", async {
        loop {
            match broker.publish(&message("b12", "pushed-back")).await {
                Err(error @ PublishError::Blocked { .. }) => break error,
                // Taken before the alarm was heard of, or sent just then.
                Ok(()) => ledger.write(Entry::Attempted, "pushed-back"),
                Err(PublishError::TimedOut { .. }) => ledger.write(Entry::Attempted, "pushed-back"),
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await;
    assert!(error.is_outage());
    assert!(
        matches!(broker.status(), BrokerStatus::Blocked { .. }),
        "{:?}",
        broker.status()
    );
    // Consumers go on, and so do their acks.
    for _ in 0..5 {
        let delivery = next(&mut consumer).await;
        ledger.write(Entry::Handled, &id(&delivery));
        delivery.ack().await.unwrap();
    }
    // One waits while the alarm is cleared.
    let waiting = tokio::spawn({
        let traffic = traffic.clone();
        async move { traffic.one("b12").await }
    });
    alarm(false).await;
    ledger.cleared();
    let begun = Instant::now();
    let sent = in_time("the one that waits", waiting).await.unwrap();
    report(
        id_of_fault,
        format_args!("publishing again after {:?}", begun.elapsed()),
    );
    until_answer("status", BrokerStatus::Connected, async || broker.status()).await;
    loop {
        let delivery = next(&mut consumer).await;
        let came = id(&delivery);
        ledger.write(Entry::Handled, &came);
        delivery.ack().await.unwrap();
        if came == sent {
            break;
        }
    }
    ledger.verdict().check(id_of_fault);
    capture::assert_no_password();
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b12_a_memory_alarm_blocks_publishers_not_consumers() {
    let node = node::to_harm().await;
    blocked("B12 memory", &node, async |on| node.memory_alarm(on).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b12_a_disk_alarm_blocks_publishers_not_consumers() {
    let node = node::to_harm().await;
    blocked("B12 disk", &node, async |on| node.disk_alarm(on).await).await;
}
