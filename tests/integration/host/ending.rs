//! SIGTERM and ctrl-c: warm, soft and hard.

use std::time::Duration;

use brighter::channel::Producer;
use brighter::dispatcher::SubscriptionState;
use brighter::host::HostError;
use brighter::mapper::{JsonMapper, MessageMapper};
use brighter::message::{Message, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter_tests::errand::Errand;
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::until;

use super::Process;

struct Stubborn;

#[handler]
impl Handler<Errand> for Stubborn {
    async fn handle(&self, _: &Errand) -> Result<(), BoxError> {
        std::future::pending().await
    }
}

/// Runs a host until its handler has this many errands in hand, which it has no time to finish.
async fn run_until_in_hand(errands: usize) -> (Dispatcher, Result<(), HostError>) {
    let processor = CommandProcessor::builder()
        .handler(Stubborn)
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Errand>::new("errands"))
        .drain_timeout(Duration::ZERO)
        .build()
        .unwrap();
    let watched = dispatcher.clone();
    let told = async move {
        watched.wait_until_consuming().await;
        for _ in 0..errands {
            let id = MessageId::new();
            processor.post(Errand { id, blocks: false }).await.unwrap();
        }
        until("the errands are in hand", || {
            watched.status()[0].in_hand() == errands
        })
        .await;
    };
    let ended = host::run_until(dispatcher.clone(), told).await;
    (dispatcher, ended)
}

#[tokio::test]
async fn a_future_ends_a_host_that_listens_for_no_signals() {
    let (dispatcher, ended) = run_until_in_hand(0).await;
    ended.unwrap();
    assert_eq!(dispatcher.status()[0].state, SubscriptionState::Stopped);
    let (_, ended) = run_until_in_hand(1).await;
    let Err(HostError::Interrupted { report }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(report.interrupted.len(), 1);
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_hand_and_ends_with_0() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&[("CHILD_POST", "2")]);
        process.says("begun", 1).await;
        process.signal(signal).await;
        // A handler that looks is told that the process is ending.
        process.says("cancelled", 1).await;
        process.allow(2).await;
        let (code, said) = process.ends().await;
        assert_eq!(code, 0);
        assert_eq!(said.len(), 1, "the second was not begun any more: {said:?}");
        assert!(said[0].starts_with("done"));
    }
}

#[tokio::test]
async fn an_idle_process_ends_at_once() {
    let mut process = Process::start(&[]);
    process.says("receiving", 1).await;
    process.signal("TERM").await;
    assert_eq!(process.ends().await, (0, vec![]));
}

#[tokio::test]
async fn an_exceeded_drain_exits_with_75_and_names_the_rest() {
    let mut process = Process::start(&[("CHILD_POST", "1"), ("CHILD_DRAIN", "0")]);
    process.says("begun", 1).await;
    process.signal("TERM").await;
    let (code, said) = process.ends().await;
    assert_eq!(code, 75);
    let said = said.last().unwrap();
    assert!(
        said.starts_with("the handling of 1 messages was cancelled"),
        "{said}"
    );
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (signal, expected) in [("TERM", 143), ("INT", 130)] {
        let mut process = Process::start(&[("CHILD_POST", "1"), ("CHILD_DRAIN", "1000000")]);
        process.says("begun", 1).await;
        process.signal("TERM").await;
        process.says("cancelled", 1).await;
        process.signal(signal).await;
        let (code, said) = process.ends().await;
        assert_eq!(code, expected);
        assert!(
            said[0].starts_with("ended at once by a second signal"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn a_second_signal_ends_a_blocked_process() {
    let mut process = Process::start(&[("CHILD_POST", "1"), ("CHILD_BLOCKS", "yes")]);
    process.says("begun", 1).await;
    process.signal("INT").await;
    process.signal("TERM").await;
    let (code, said) = process.ends().await;
    // Two signals that come close together may be heard in either order.
    assert!([130, 143].contains(&code), "{code}");
    assert!(said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn c02_shutdown_finishes_3_of_20_and_returns_17() {
    let (corner, raw) = (Corner::new(), Raw::connect().await);
    let queue = corner.channel("errands", "Errand").name.to_string();
    let mut process = Process::start(&[
        ("CHILD_EXCHANGE", &corner.exchange()),
        ("CHILD_QUEUE", &queue),
        ("CHILD_PERFORMERS", "20"),
        ("CHILD_DRAIN", "10"),
    ]);
    process.says("receiving", 1).await;
    let broker = corner.connect().await;
    for _ in 0..25 {
        let errand = Errand {
            id: MessageId::new(),
            blocks: false,
        };
        let header = MessageHeader::new(errand.id.clone(), "Errand", MessageType::Command);
        let message: Message = JsonMapper.to_message(&errand, header).unwrap();
        broker.publish(&message).await.unwrap();
    }
    process.says("begun", 20).await;
    process.signal("TERM").await;
    // It takes no more before any of them is done.
    process.says("cancelled", 20).await;
    process.allow(3).await;
    let (code, said) = process.ends().await;
    assert_eq!(code, 75, "{said:?}");
    let counted = |begin: &str| said.iter().filter(|line| line.starts_with(begin)).count();
    assert_eq!(counted("done"), 3);
    assert_eq!(
        counted("the handling of 17 messages was cancelled"),
        1,
        "{said:?}"
    );
    raw.until_depth(&queue, 22).await;
    assert_eq!(raw.depth(&format!("{queue}.dlq")).await, 0);
}
