//! Operations from end to end: a canary, a rate, a frozen selection, and a handler that fails and is mended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Channel, ChannelError, Consumer, Producer, PublishError};
use brighter::desk::{
    BulkState, BulkVerb, Desk, DeskFilter, InMemoryDesk, ItemState, NewBulk, ORIGINAL_ID, OperateError,
    PostgresDesk, Steering,
};
use brighter::message::{ChannelName, MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter_tests::databases;
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::{deadline, until};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::{bury, rows, shared, until_operation, until_rows};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed")]
struct Order {
    id: MessageId,
    number: u32,
}

/// Takes orders, once it is mended.
#[derive(Clone, Default)]
struct Ledger {
    mended: Arc<AtomicBool>,
    entries: Arc<Mutex<HashMap<u32, u32>>>,
}

#[handler]
impl Handler<Order> for Ledger {
    async fn handle(&self, order: &Order) -> Result<(), BoxError> {
        if self.mended.load(Ordering::Acquire) {
            *self.entries.lock().unwrap().entry(order.number).or_default() += 1;
            return Ok(());
        }
        let number = order.number;
        Err(match number % 3 {
            0 => format!("order {number}: no answer within {number}ms").into(),
            1 => format!("no stock for order {number}").into(),
            _ => format!("customer {number} is unknown").into(),
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_rabbitmq_600_dead_letters_are_handled_once_each() {
    let (corner, database) = (Corner::new(), databases::Postgres::new().await);
    let broker = shared(corner.connect().await);
    let channel = corner.channel("orders", "Order.Placed");
    let ledger = Ledger::default();
    let processor = CommandProcessor::builder()
        .handler(ledger.clone())
        .broker(Arc::clone(&broker))
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<Order>::new("orders")
        .channel(channel.name.clone())
        .dead_letters(channel.dead_letters.clone())
        .invalid_messages(channel.invalid_messages.clone())
        .buffer(100)
        .concurrency(20)
        .attempts(1);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let store = Arc::new(PostgresDesk::from_pool(database.pool().await).await.unwrap());
    let desk = Desk::new(Arc::clone(&broker), store).channel(&channel);
    let (end, ended) = oneshot::channel::<()>();
    let running = desk.clone();
    let running = tokio::spawn(async move { running.run_until(async { drop(ended.await) }).await });

    for number in 0..600 {
        let order = Order {
            id: MessageId::new(),
            number,
        };
        let header = MessageHeader::new(order.id.clone(), "Order.Placed", MessageType::Command);
        let body = MessageBody::new(serde_json::to_vec(&order).unwrap());
        broker.publish(&Message::new(header, body)).await.unwrap();
    }
    until_rows(desk.store(), "state=waiting", 600).await;
    let groups = desk.store().groups(10).await.unwrap();
    let seen: Vec<_> = groups.iter().map(|group| group.waiting).collect();
    assert_eq!(seen, [200; 3], "{groups:?}");
    for group in &groups {
        assert!(
            group
                .handler
                .as_deref()
                .is_some_and(|name| name.ends_with("Ledger")),
            "{group:?}"
        );
        assert_eq!(group.error_type.as_deref(), Some("failed"));
        assert_eq!(group.channel, channel.name.as_str());
    }

    // A canary fails while the handler does, and the rest is untouched.
    let retry =
        || NewBulk::new(BulkVerb::Retry, DeskFilter::default(), "ann").evidence(Duration::from_secs(1));
    let failing = desk.begin(&retry().canary(5)).await.unwrap();
    let failing = until_operation(&desk, failing.id, "stopped", |it| it.state == BulkState::Stopped).await;
    assert_eq!(
        (failing.counts.came_back, failing.counts.pending),
        (5, 595),
        "{failing:?}"
    );
    assert!(
        failing
            .outcome
            .as_deref()
            .unwrap()
            .starts_with("canary failed: 5 of 5"),
        "{failing:?}"
    );
    until_rows(desk.store(), "state=waiting", 600).await;
    until_rows(desk.store(), "deaths=2", 5).await;

    ledger.mended.store(true, Ordering::Release);
    let first = desk.begin(&retry().limit(5)).await.unwrap();
    let first = until_operation(&desk, first.id, "done", |it| it.state == BulkState::Done).await;
    assert_eq!(first.counts.done, 5, "{first:?}");
    assert_eq!(ledger.entries.lock().unwrap().len(), 5);

    let begun = Instant::now();
    let rest = desk.begin(&retry().canary(5).rate(200.0)).await.unwrap();
    let rest = until_operation(&desk, rest.id, "done", |it| it.state == BulkState::Done).await;
    assert_eq!((rest.counts.done, rest.counts.bad()), (595, 0), "{rest:?}");
    // 595 at 200 a second; no upper bound, for the machine may be slow.
    assert!(begun.elapsed() >= Duration::from_secs_f64(595.0 / 200.0 * 0.95));
    assert!(rest.canary_passed);
    assert!(desk.store().groups(10).await.unwrap().is_empty());
    let entries = ledger.entries.lock().unwrap().clone();
    assert_eq!(entries.len(), 600);
    assert!(entries.values().all(|times| *times == 1), "{entries:?}");
    drop(end);
    running.await.unwrap();
    dispatcher.end().await;
}

/// A desk in memory with so many dead letters of a channel, which nobody consumes.
async fn desk_of(messages: u32) -> (Arc<dyn Broker>, Channel, Desk) {
    let (broker, channel) = (
        shared(InMemoryBroker::new()),
        Channel::new("orders", "Order.Placed"),
    );
    bury(
        &*broker,
        &channel,
        (0..messages).map(|number| format!("no {number}")),
    )
    .await;
    let desk = Desk::new(Arc::clone(&broker), Arc::new(InMemoryDesk::new())).channel(&channel);
    let taken = desk.take_waiting().await.unwrap();
    assert_eq!(taken.new, u64::from(messages));
    (broker, channel, desk)
}

fn quick(verb: BulkVerb) -> NewBulk {
    NewBulk::new(verb, DeskFilter::default(), "ann").evidence(Duration::from_millis(50))
}

#[tokio::test]
async fn of_150_exactly_the_100_that_were_chosen_are_sent() {
    let (broker, channel, desk) = desk_of(100).await;
    let chosen = rows(desk.store(), "").await;
    let operation = desk.begin(&quick(BulkVerb::Retry)).await.unwrap();
    bury(&*broker, &channel, (0..50).map(|number| format!("late {number}"))).await;
    assert_eq!(desk.take_waiting().await.unwrap().new, 50);
    let mut consumer = broker.consume(&channel).await.unwrap();
    let handled = tokio::spawn(async move {
        let mut handled = 0;
        while let Ok(Some(Ok(delivery))) = timeout(Duration::from_secs(1), consumer.receive()).await {
            delivery.ack().await.unwrap();
            handled += 1;
        }
        handled
    });
    let done = desk.work(operation.id).await.unwrap();
    assert_eq!((done.state, done.counts.done), (BulkState::Done, 100));
    assert_eq!(handled.await.unwrap(), 100);
    assert_eq!(rows(desk.store(), "state=handled").await, chosen);
    assert_eq!(rows(desk.store(), "state=waiting").await.len(), 50);
}

/// Counts how often somebody asks whether messages wait in a channel.
struct LooksCounted {
    inner: Arc<dyn Broker>,
    looks: Arc<AtomicUsize>,
}

impl Producer for LooksCounted {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.publish(message)
    }
}

impl Broker for LooksCounted {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        self.inner.consume(channel)
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.send_to(channel, message)
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.inner.depth(channel)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

#[tokio::test]
async fn a_message_that_waits_does_not_count_as_handled() {
    let broker = shared(InMemoryBroker::new());
    let channel = Channel::new("orders", "Order.Placed");
    bury(&*broker, &channel, ["no stock".to_owned()]).await;
    let looks = Arc::new(AtomicUsize::new(0));
    let counting = LooksCounted {
        inner: Arc::clone(&broker),
        looks: Arc::clone(&looks),
    };
    let desk = Desk::new(Arc::new(counting), Arc::new(InMemoryDesk::new())).channel(&channel);
    assert_eq!(desk.take_waiting().await.unwrap().new, 1);
    let operation = desk.begin(&quick(BulkVerb::Retry).canary(1)).await.unwrap();
    let (working, id) = (desk.clone(), operation.id);
    let work = tokio::spawn(async move { working.work(id).await });
    until_operation(&desk, id, "sent", |it| it.counts.sent == 1).await;
    // Each look but the first comes longer after the sending than the time of the evidence.
    let before = looks.load(Ordering::Relaxed);
    until("it has looked", || looks.load(Ordering::Relaxed) >= before + 4).await;
    let waits = desk.store().operation(id).await.unwrap().unwrap();
    assert_eq!((waits.counts.sent, waits.canary_passed), (1, false));
    let mut consumer = broker.consume(&channel).await.unwrap();
    consumer.receive().await.unwrap().unwrap().ack().await.unwrap();
    let done = timeout(deadline(), work).await.unwrap().unwrap().unwrap();
    assert_eq!((done.counts.done, done.canary_passed), (1, true));
}

#[tokio::test]
async fn a_channel_that_is_gone_fails_and_the_message_waits() {
    let (broker, channel, desk) = desk_of(2).await;
    broker.remove(&channel.name).await.unwrap();
    let operation = desk.begin(&quick(BulkVerb::Retry).canary(1)).await.unwrap();
    let stopped = desk.work(operation.id).await.unwrap();
    assert_eq!(stopped.state, BulkState::Stopped);
    assert_eq!((stopped.counts.failed, stopped.counts.pending), (1, 1));
    let items = desk.store().items(operation.id, None, 1).await.unwrap();
    assert_eq!(items[0].state, ItemState::Failed);
    assert!(
        items[0].note.as_deref().unwrap().contains("no channel is bound"),
        "{items:?}"
    );
    assert_eq!(rows(desk.store(), "state=waiting").await.len(), 2);
}

#[tokio::test]
async fn an_edited_message_has_a_new_id_beside_its_original() {
    let (broker, channel, desk) = desk_of(1).await;
    let row = rows(desk.store(), "").await[0];
    let verb = || BulkVerb::Edit {
        id: "mended".into(),
        body: b"{\"mended\":true}".to_vec(),
    };
    let plan = NewBulk::new(verb(), DeskFilter::of_row(row), "ann")
        .limit(1)
        .evidence(Duration::from_millis(50));
    let refused = desk.begin(&plan).await.unwrap_err();
    assert!(matches!(refused, OperateError::EditsNotAllowed), "{refused:?}");
    let desk = desk.allow_edits();
    let refused = desk
        .begin(&NewBulk::new(verb(), DeskFilter::default(), "ann"))
        .await
        .unwrap_err();
    assert!(matches!(refused, OperateError::Invalid(_)), "{refused:?}");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let received = tokio::spawn(async move {
        let delivery = consumer.receive().await.unwrap().unwrap();
        let message = delivery.message().unwrap().clone();
        delivery.ack().await.unwrap();
        message
    });
    let operation = desk.begin(&plan).await.unwrap();
    assert_eq!(desk.work(operation.id).await.unwrap().counts.done, 1);
    let received = received.await.unwrap();
    let kept = desk.store().read(row).await.unwrap().unwrap();
    assert_eq!(received.header.id, "mended".into());
    let original = received.header.bag.get(ORIGINAL_ID).unwrap().as_str().unwrap();
    assert_eq!(original, kept.row.message_id.to_string());
    assert_eq!(received.body.as_bytes(), b"{\"mended\":true}");
    assert_eq!(kept.message.body.as_bytes(), b"{}");
}

#[tokio::test]
async fn redirected_messages_go_to_one_channel_alone() {
    let (broker, channel, desk) = desk_of(3).await;
    let other = Channel::new("elsewhere", "Order.Placed");
    broker.declare(&other).await.unwrap();
    let to = other.name.clone();
    let operation = desk.begin(&quick(BulkVerb::Redirect { to })).await.unwrap();
    let done = desk.work(operation.id).await.unwrap();
    assert_eq!((done.state, done.counts.done), (BulkState::Done, 3));
    assert_eq!(broker.depth(&other).await.unwrap(), Some(3));
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_person_stops_an_operation_that_runs() {
    let (broker, channel, desk) = desk_of(100).await;
    let operation = desk.begin(&quick(BulkVerb::Retry).rate(20.0)).await.unwrap();
    let (working, id) = (desk.clone(), operation.id);
    let work = tokio::spawn(async move { working.work(id).await });
    until_operation(&desk, id, "some are sent", |it| it.counts.sent >= 4).await;
    assert!(desk.store().steer(id, Steering::Stop, "bob").await.unwrap());
    let mut consumer = broker.consume(&channel).await.unwrap();
    let handling = tokio::spawn(async move {
        while let Some(Ok(delivery)) = consumer.receive().await {
            delivery.ack().await.unwrap();
        }
    });
    timeout(deadline(), work).await.unwrap().unwrap().unwrap();
    let stopped = until_operation(&desk, id, "settled", |it| it.counts.sent == 0).await;
    assert_eq!(stopped.state, BulkState::Stopped);
    assert!(stopped.counts.pending > 50, "{stopped:?}");
    assert_eq!(stopped.counts.done + stopped.counts.pending, 100);
    handling.abort();
}

/// A channel that several reject to: the header tells which has.
#[tokio::test]
async fn the_header_tells_messages_of_shared_dead_letters_apart() {
    let broker = shared(InMemoryBroker::new());
    let mut channels = [
        Channel::new("orders", "Order.Placed"),
        Channel::new("bills", "Bill.Due"),
    ];
    for channel in &mut channels {
        channel.dead_letters = "graveyard".into();
        broker.declare(channel).await.unwrap();
    }
    let mut header = MessageHeader::new(MessageId::new(), "Bill.Due", MessageType::Event);
    header.bag.insert("rejectedBy", "{\"bills\":1}");
    let told = Message::new(header, MessageBody::new("{}"));
    let header = MessageHeader::new(MessageId::new(), "Bill.Due", MessageType::Event);
    let untold = Message::new(header, MessageBody::new("{}"));
    for message in [told, untold] {
        broker.send_to(&"graveyard".into(), &message).await.unwrap();
    }
    let desk = Desk::new(Arc::clone(&broker), Arc::new(InMemoryDesk::new()));
    let desk = channels.iter().fold(desk, Desk::channel);
    assert_eq!(desk.take_waiting().await.unwrap().new, 2);
    assert_eq!(rows(desk.store(), "channel=bills").await.len(), 1);
    let operation = desk.begin(&quick(BulkVerb::Retry)).await.unwrap();
    let mut consumer = broker.consume(&channels[1]).await.unwrap();
    let handling = tokio::spawn(async move { consumer.receive().await.unwrap().unwrap().ack().await });
    let done = desk.work(operation.id).await.unwrap();
    assert_eq!((done.counts.done, done.counts.failed), (1, 1));
    handling.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unkeepable_message_stays_and_holds_nothing_up() {
    let (broker, channel) = (InMemoryBroker::new(), Channel::new("orders", "Order.Placed"));
    broker.declare(&channel).await.unwrap();
    let mut header = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event);
    header.bag.insert("x", f64::NAN);
    let odd = Message::new(header, MessageBody::new("{}"));
    broker.send_to(&channel.dead_letters, &odd).await.unwrap();
    bury(&broker, &channel, ["no".to_owned()]).await;
    let desk = Desk::new(shared(broker.clone()), Arc::new(InMemoryDesk::new())).channel(&channel);
    let taken = desk.take_waiting().await.unwrap();
    assert_eq!((taken.new, taken.left), (1, 1));
    until("it is back", || {
        broker.messages(channel.dead_letters.clone()).len() == 1
    })
    .await;
}
