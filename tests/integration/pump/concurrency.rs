//! Several messages at once in one performer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use brighter::channel::Rate;
use brighter::dispatcher::PerformerState;
use brighter::policy::CircuitBreaker;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled};
use brighter_tests::wait::{until, until_eq};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_performer_handles_up_to_its_concurrency() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes().concurrency(4)).await;
    post(&dispatcher, (0..10).map(|number| note(0, number))).await;
    until_eq("four at once", 4, || clerk.now()).await;
    clerk.let_go(3);
    until_eq("three done and others in their place", (3, 4), || {
        (clerk.done().len(), clerk.now())
    })
    .await;
    clerk.open();
    until_eq("all done", 10, || clerk.done().len()).await;
    assert_eq!(clerk.most(), 4);
    assert_eq!(dispatcher.status()[0].performers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_keeps_the_order() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes()).await;
    post(&dispatcher, (0..100).map(|number| note(0, number))).await;
    until_eq("all done", 100, || clerk.done().len()).await;
    assert!(clerk.done().is_sorted());
    assert_eq!(clerk.most(), 1);
}

#[tokio::test]
async fn a_slow_handler_does_not_hold_back_the_fast_ones() {
    let stuck = Arc::new(AtomicBool::new(true));
    struct OneIsSlow(Arc<AtomicBool>, Clerk);
    #[handler]
    impl Handler<Note> for OneIsSlow {
        async fn handle(&self, note: &Note, cx: &Context) -> Result<(), BoxError> {
            while note.number == 0 && self.0.load(Ordering::Relaxed) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Handler::handle(&self.1, note, cx).await
        }
    }
    let clerk = Clerk::new(|_, _| Ok(()));
    let broker = InMemoryBroker::new();
    let slow = OneIsSlow(Arc::clone(&stuck), clerk.clone());
    let dispatcher = receiving(broker, slow, notes().concurrency(2));
    dispatcher.wait_until_consuming().await;
    post(&dispatcher, (0..10_000).map(|number| note(0, number))).await;
    until_eq("the fast ones done", 9_999, || clerk.done().len()).await;
    assert!(stuck.swap(false, Ordering::Relaxed));
    until_eq("the slow one done", 10_000, || clerk.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn concurrency_changes_while_it_runs_also_beyond_the_buffer() {
    let notes_of = |count| (0..count).map(|number| Came::Message(message(&note(0, number))));
    let broker = Scripted::new([
        Consume::Gives(notes_of(2).collect()),
        Consume::Gives(notes_of(20).collect()),
    ]);
    let clerk = Clerk::gated(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes().buffer(2));
    until_eq("one", 1, || clerk.now()).await;
    dispatcher
        .throttle("notes", |throttle| throttle.concurrency = 2)
        .unwrap();
    until_eq("two at once", 2, || clerk.now()).await;
    dispatcher
        .throttle("notes", |throttle| throttle.concurrency = 7)
        .unwrap();
    until_eq("seven at once, with those of before", 7, || clerk.now()).await;
    assert_eq!(broker.buffers(), [2, 7], "a larger buffer for them");
    dispatcher
        .throttle("notes", |throttle| throttle.concurrency = 1)
        .unwrap();
    clerk.let_go(6);
    until_eq("one again", (6, 1), || (clerk.done().len(), clerk.now())).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_spans_performers_and_changes_at_run_time() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    let subscription = notes().performers(3).rate(Rate::new(1, 10 * SECOND));
    let dispatcher = consuming(&broker, &clerk, subscription).await;
    let began = tokio::time::Instant::now();
    post(&dispatcher, (0..5).map(|number| note(0, number))).await;
    tokio::time::sleep(20 * SECOND - SECOND / 2).await;
    until_eq("two begun", 2, || clerk.done().len()).await;
    until_eq("the third, at its time", 3, || clerk.done().len()).await;
    assert!(began.elapsed() >= 20 * SECOND);
    dispatcher
        .throttle("notes", |throttle| throttle.rate = None)
        .unwrap();
    let freed = tokio::time::Instant::now();
    until_eq("all", 5, || clerk.done().len()).await;
    assert!(freed.elapsed() < SECOND, "nobody waits for the old rate");
}

#[tokio::test(start_paused = true)]
async fn a_pause_finishes_messages_in_flight_and_returns_others() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes().concurrency(2)).await;
    post(&dispatcher, (0..6).map(|number| note(0, number))).await;
    until_eq("two at once", 2, || clerk.now()).await;
    dispatcher.pause("notes").unwrap();
    until("the others are back", || broker.messages("notes").len() == 4).await;
    clerk.open();
    until_eq("those in hand done", 2, || clerk.done().len()).await;
    assert_eq!(broker.messages("notes").len(), 4);
    dispatcher.resume("notes").unwrap();
    until_eq("all done", 6, || clerk.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_performer_consumes_again_after_a_pause() {
    let first = Came::Message(message(&note(0, 0)));
    let broker = Scripted::new([Consume::Gives(vec![first])]);
    let clerk = Clerk::gated(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("one in hand", 1, || clerk.now()).await;
    dispatcher.pause("notes").unwrap();
    let paused = || dispatcher.status()[0].performers == [PerformerState::Paused];
    until("paused", paused).await;
    dispatcher.resume("notes").unwrap();
    // Time goes on when nobody has anything to do.
    tokio::time::sleep(SECOND).await;
    assert_eq!(
        broker.consumed(),
        1,
        "what it took would wait here, and others are free"
    );
    clerk.open();
    until_eq("again", 2, || broker.consumed()).await;
}

/// A handler whose downstream is away until it is told otherwise, behind a circuit breaker.
#[derive(Clone, Default)]
struct Downstream {
    asked: Arc<AtomicU32>,
    back: Arc<AtomicBool>,
}

#[handler]
impl Handler<Note> for Downstream {
    #[use_policy(circuit_breaker, step = 1)]
    async fn handle(&self, _: &Note) -> Result<(), BoxError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.back.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err("away".into())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_pauses_only_its_subscription() {
    #[derive(Debug, Clone, Serialize, Deserialize, Message)]
    #[message(topic = "Other", kind = "event")]
    struct Other;
    #[derive(Clone, Default)]
    struct Counts(Arc<AtomicU32>);
    #[handler]
    impl Handler<Other> for Counts {
        async fn handle(&self, _: &Other) -> Result<(), BoxError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
    let (broker, downstream, others) = (InMemoryBroker::new(), Downstream::default(), Counts::default());
    let policies =
        PolicyRegistry::default().insert("circuit_breaker", CircuitBreaker::consecutive(5, 60 * SECOND));
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .policies(policies)
        .handler(downstream.clone())
        .handler(others.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes().buffer(100).concurrency(10))
        .subscription(Subscription::<Other>::new("others"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    post(&dispatcher, (0..1000).map(|number| note(0, number))).await;
    // Five failures open the circuit; those that were at it meanwhile are all that is asked for a minute.
    tokio::time::sleep(50 * SECOND).await;
    assert!(downstream.asked.load(Ordering::Relaxed) <= 10);
    let waiting = broker.messages("notes").len();
    assert!(waiting >= 900, "{waiting} wait in the channel, untouched");
    for _ in 0..10 {
        dispatcher.processor().post(Other).await.unwrap();
    }
    until_eq("the others", 10, || others.0.load(Ordering::Relaxed)).await;
    downstream.back.store(true, Ordering::Relaxed);
    let all = async {
        while downstream.asked.load(Ordering::Relaxed) < 1000 || dispatcher.status()[0].in_hand() > 0 {
            tokio::time::sleep(SECOND).await;
        }
    };
    tokio::time::timeout(600 * SECOND, all).await.unwrap();
    assert!(broker.messages("notes.dlq").is_empty(), "no attempt was used up");
}

/// What is kept forever looks to a broker like a consumer that hangs.
#[tokio::test(start_paused = true)]
async fn an_open_circuit_holds_a_message_five_minutes_uncounted() {
    let policies =
        PolicyRegistry::default().insert("circuit_breaker", CircuitBreaker::consecutive(1, 3600 * SECOND));
    let (opens, waits) = (message(&note(1, 1)), message(&note(2, 2)));
    let others = [3, 4, 5, 6, 7, 8].map(|number| message(&note(number, number)));
    let came = [opens.clone(), waits.clone()].into_iter().chain(others);
    let broker = Scripted::new([Consume::Gives(came.map(Came::Message).collect())]);
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .policies(policies)
        .handler(Downstream::default())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes().concurrency(5))
        .build()
        .unwrap();
    dispatcher.receive();
    until_eq("the one that fails", 1, || broker.settled().len()).await;
    assert_eq!(broker.settled()[0].0, opens.header.id);
    tokio::time::sleep(299 * SECOND).await;
    assert_eq!(broker.settled().len(), 1, "it is kept");
    let in_hand = dispatcher.status()[0].in_hand();
    assert!(
        in_hand <= 2,
        "and of the others none but what was taken already: {in_hand}"
    );
    tokio::time::sleep(2 * SECOND).await;
    let again = Settled::Requeue(300 * SECOND, 0);
    assert_eq!(broker.settled()[1], (waits.header.id, again));
}
