//! What becomes of batches when a subscription stops, pauses, or loses its messages.

use brighter_tests::scripted::{Came, Consume, Scripted};
use brighter_tests::wait::{until, until_eq};
use tokio::time::Instant;

use super::*;

/// Waits far longer than a test.
#[derive(Clone)]
struct Patient(Store);

#[handler(batch(max = 10, within = "1m"))]
impl Handler<Row> for Patient {
    async fn handle(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        self.0.call(batch).await
    }
}

async fn patient(broker: InMemoryBroker, store: &Store) -> Dispatcher {
    let processor = CommandProcessor::builder()
        .handler(Patient(store.clone()))
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(table())
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher
}

fn in_flight(dispatcher: &Dispatcher) -> usize {
    let status = dispatcher.status();
    let performers = status.iter().flat_map(|one| &one.performers);
    performers.map(|performer| performer.in_hand.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_gathering_batch_is_handled_when_the_dispatcher_ends() {
    let store = Store::new(|_| Ok(()));
    let broker = InMemoryBroker::new();
    let dispatcher = patient(broker.clone(), &store).await;
    post(&dispatcher, rows(3)).await;
    until_eq("all in hand", 3, || in_flight(&dispatcher)).await;
    assert!(store.calls().is_empty());
    let began = Instant::now();
    let report = dispatcher.end().await;
    assert!(report.interrupted.is_empty(), "{report:?}");
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert_eq!(store.calls(), [[0, 1, 2]]);
    assert!(broker.messages("rows").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_call_gives_all_its_messages_back() {
    let store = Store::gated(|_| Ok(()));
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(broker.clone(), &store, table().performers(2)).await;
    post(&dispatcher, rows(10)).await;
    until_eq("one call", vec![10], || store.sizes()).await;
    let report = dispatcher.end().await;
    assert_eq!(report.interrupted.len(), 10, "{report:?}");
    assert_eq!(broker.messages("rows").len(), 10);
    // Its permits are free: the call is gone with its messages.
    assert_eq!(Arc::strong_count(&store.gate), 2, "the handler's and the test's");
}

#[tokio::test(start_paused = true)]
async fn a_pause_lets_the_batch_finish_and_takes_no_more() {
    let store = Store::gated(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table()).await;
    post(&dispatcher, rows(15)).await;
    until_eq("one call", vec![10], || store.sizes()).await;
    dispatcher.pause("rows").unwrap();
    store.gate.add_permits(10);
    until_eq("nothing in hand", 0, || in_flight(&dispatcher)).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!(store.sizes(), [10]);
    dispatcher.resume("rows").unwrap();
    until_eq("the others", vec![10, 5], || store.sizes()).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_on_when_the_channel_is_lost() {
    let store = Store::gated(|_| Ok(()));
    let message = |row: &Row| {
        let header = MessageHeader::new(MessageId::new(), "Row", brighter::message::MessageType::Event);
        let body = serde_json::to_vec(row).unwrap();
        Came::Message(Message::new(header, brighter::message::MessageBody::new(body)))
    };
    let came: Vec<_> = rows(4).map(|row| message(&row)).chain([Came::Lost]).collect();
    let broker = Scripted::new([Consume::GivesAndEnds(came)]);
    let dispatcher = Dispatcher::builder(processor(broker.clone(), store.clone()))
        .subscription(table())
        .build()
        .unwrap();
    dispatcher.receive();
    until_eq("one call", vec![4], || store.sizes()).await;
    store.gate.add_permits(1);
    until("all are settled", || broker.settled().len() == 4).await;
    until_eq("nothing in hand", 0, || in_flight(&dispatcher)).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_batch_that_times_out_every_message_comes_again() {
    let store = Store::gated(|_| Ok(()));
    let dispatcher = consuming(InMemoryBroker::new(), &store, table().timeout(SECOND)).await;
    post(&dispatcher, rows(10)).await;
    until_eq("one call", vec![10], || store.sizes()).await;
    tokio::time::sleep(2 * SECOND).await;
    store.gate.add_permits(1_000);
    until_eq("all again", 20, || store.sizes().iter().sum()).await;
    until_eq("nothing in hand", 0, || in_flight(&dispatcher)).await;
}
