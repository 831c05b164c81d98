//! What a channel of the in-memory broker may hold, who makes it, and who is woken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use brighter::channel::{
    Broker, BrokerStatus, Channel, ChannelError, Consumer, DeclareMode, Delivery, Overflow, Producer,
    PublishError, Rejection, RejectionKind, SettleError,
};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{InMemoryBroker, Message, MessageId};
use futures_util::{FutureExt, Stream};
use tokio::runtime::{Builder, Handle, Runtime};

fn message(id: &str) -> Message {
    let header = MessageHeader::new(MessageId::from(id), "t", MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

fn channel(limit: impl FnOnce(&mut Channel)) -> Channel {
    let mut channel = Channel::new("c", "t");
    limit(&mut channel);
    channel
}

async fn publish(broker: &InMemoryBroker, ids: &[&str]) {
    for id in ids {
        broker.publish(&message(id)).await.unwrap();
    }
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.receive().await.expect("not closed").expect("not lost")
}

fn id(delivery: &Delivery) -> String {
    delivery.message().unwrap().header.id.to_string()
}

fn ids(broker: &InMemoryBroker, channel: &str) -> Vec<String> {
    let messages = broker.messages(channel);
    messages
        .iter()
        .map(|message| message.header.id.to_string())
        .collect()
}

/// Why the broker itself put the message there.
fn reason(message: &Message) -> String {
    let reason = message.header.bag.get("rejectionMessage");
    reason.and_then(|reason| reason.as_str()).unwrap().to_owned()
}

fn paused() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn expired_messages_are_dead_lettered_without_a_consumer() {
    let broker = InMemoryBroker::new();
    let time = Duration::from_secs(30);
    broker
        .declare(&channel(|it| it.limits.time_to_live = Some(time)))
        .await
        .unwrap();
    let mut dead = broker.consume(&Channel::existing("c.dlq")).await.unwrap();
    let began = tokio::time::Instant::now();
    publish(&broker, &["1"]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    publish(&broker, &["2"]).await;
    for (expected, after) in [("1", 30), ("2", 40)] {
        let delivery = next(&mut dead).await;
        assert_eq!(id(&delivery), expected);
        let waited = began.elapsed();
        assert!(
            waited >= Duration::from_secs(after) && waited < Duration::from_secs(after + 1),
            "{waited:?}"
        );
        let reason = reason(delivery.message().unwrap());
        assert!(reason.contains("30s"), "{reason}");
        delivery.ack().await.unwrap();
    }
    assert!(ids(&broker, "c").is_empty());
}

#[tokio::test(start_paused = true)]
async fn released_messages_keep_their_time_and_retries_restart_it() {
    let broker = InMemoryBroker::new();
    let time = Duration::from_secs(30);
    let channel = channel(|it| it.limits.time_to_live = Some(time));
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, &["back", "again"]).await;
    let (back, again) = (next(&mut consumer).await, next(&mut consumer).await);
    tokio::time::sleep(Duration::from_secs(31)).await;
    again.requeue(Duration::ZERO, true).await.unwrap();
    back.release();
    assert_eq!(id(&next(&mut consumer).await), "again");
    assert_eq!(ids(&broker, "c.dlq"), ["back"]);
}

#[tokio::test]
async fn a_full_channel_refuses_newest_or_dead_letters_oldest() {
    for (overflow, kept, dead) in [
        (Overflow::RefuseNewest, ["1", "2"], &[][..]),
        (Overflow::DeadLetterOldest, ["2", "3"], &["1"][..]),
    ] {
        let broker = InMemoryBroker::new();
        let channel = channel(|it| {
            it.limits.length = Some(2);
            it.limits.overflow = overflow;
        });
        broker.declare(&channel).await.unwrap();
        publish(&broker, &["1", "2"]).await;
        let third = broker.publish(&message("3")).await;
        assert_eq!(
            matches!(&third, Err(PublishError::ChannelFull { channel, waiting: 2, others: 0 }) if *channel == "c"),
            overflow == Overflow::RefuseNewest,
            "{third:?}"
        );
        assert_eq!(ids(&broker, "c"), kept);
        assert_eq!(ids(&broker, "c.dlq"), dead);
    }
}

#[tokio::test(start_paused = true)]
async fn returning_messages_always_have_room() {
    let broker = InMemoryBroker::new();
    let channel = channel(|it| it.limits.length = Some(1));
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, &["1"]).await;
    let one = next(&mut consumer).await;
    publish(&broker, &["2"]).await;
    one.requeue(Duration::from_secs(1), true).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ids(&broker, "c"), ["2", "1"]);
}

#[tokio::test]
async fn the_brokers_delivery_limit_dead_letters_a_message() {
    let broker = InMemoryBroker::new();
    let channel = channel(|it| it.limits.deliveries = Some(3));
    assert_eq!(broker.bounds(&channel).deliveries, Some(3));
    publish_and_drop_three(&broker, &channel).await;
    assert!(ids(&broker, "c").is_empty());
    let dead = broker.messages("c.dlq");
    assert!(reason(&dead[0]).contains("3 times"), "{}", reason(&dead[0]));
}

async fn publish_and_drop_three(broker: &InMemoryBroker, channel: &Channel) {
    let mut consumer = broker.consume(channel).await.unwrap();
    publish(broker, &["1"]).await;
    for before in 0..3 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redeliveries(), before);
        delivery.release();
    }
}

#[tokio::test]
async fn a_suspect_that_is_given_back_counts_no_further() {
    let broker = InMemoryBroker::new();
    let channel = channel(|it| {
        it.suspect_after = Some(2);
        it.limits.deliveries = Some(3);
    });
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, &["1"]).await;
    for times in [0, 1, 2, 2, 2] {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redeliveries(), times);
        delivery.release();
    }
    assert_eq!((ids(&broker, "c").len(), ids(&broker, "c.dlq").len()), (1, 0));
}

#[tokio::test]
async fn a_copy_that_comes_again_was_never_delivered() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    publish(&broker, &["1"]).await;
    next(&mut consumer).await.release();
    let again = next(&mut consumer).await;
    assert_eq!(again.redeliveries(), 1);
    again.requeue(Duration::ZERO, true).await.unwrap();
    assert_eq!(next(&mut consumer).await.redeliveries(), 0);
}

#[tokio::test]
async fn of_consumers_one_is_active_until_it_goes() {
    let broker = InMemoryBroker::new();
    let channel = channel(|it| it.limits.single_active_consumer = true);
    let mut first = broker.consume(&channel).await.unwrap();
    let mut second = broker.consume(&channel).await.unwrap();
    assert!(second.receive().now_or_never().is_none());
    publish(&broker, &["1", "2"]).await;
    assert!(second.receive().now_or_never().is_none(), "standing by");
    let one = next(&mut first).await;
    let (two, ()) = tokio::join!(next(&mut second), async {
        drop(first);
    });
    assert_eq!((id(&one), id(&two)), ("1".into(), "2".into()));
}

#[tokio::test]
async fn mismatched_limits_are_refused_with_advice() {
    let broker = InMemoryBroker::new();
    let refused = async |channel: Channel| match broker.declare(&channel).await {
        Err(ChannelError::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    };
    broker.declare(&channel(|_| ())).await.unwrap();
    let reason = refused(channel(|it| it.limits.priorities = Some(3))).await;
    assert!(reason.contains("priorities"), "{reason}");
    let reason = refused(channel(|it| it.limits.length = Some(3))).await;
    assert!(reason.contains("`c` exists with other limits"), "{reason}");
    broker.declare(&channel(|_| ())).await.unwrap();
}

#[tokio::test]
async fn assumed_channels_are_found_or_reported_missing() {
    let broker = InMemoryBroker::new();
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        let error = broker
            .consume(&channel(|it| it.declare = mode))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ChannelError::Refused { reason } if reason.contains("no channel `c`")),
            "{error:?}"
        );
    }
    assert!(matches!(
        broker.publish(&message("1")).await,
        Err(PublishError::Unroutable { .. })
    ));
    broker.declare(&channel(|_| ())).await.unwrap();
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        broker.consume(&channel(|it| it.declare = mode)).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_letter_with_nowhere_to_go_stays() {
    let broker = InMemoryBroker::new();
    broker.declare(&channel(|_| ())).await.unwrap();
    let elsewhere = channel(|it| {
        it.declare = DeclareMode::Assume;
        it.dead_letters = "nobody-made-it".into();
    });
    let mut consumer = broker.consume(&elsewhere).await.unwrap();
    publish(&broker, &["1"]).await;
    let rejection = Rejection::new(RejectionKind::DeadLetter, "wrong");
    let error = next(&mut consumer).await.reject(rejection).await.unwrap_err();
    assert!(matches!(
        error,
        SettleError::NotMoved(PublishError::Unroutable { .. })
    ));
    assert_eq!(id(&next(&mut consumer).await), "1");
}

#[tokio::test]
async fn it_says_how_many_wait_and_whether_it_is_there() {
    let broker = InMemoryBroker::new();
    let channel = channel(|_| ());
    assert_eq!(broker.depth(&channel).await.unwrap(), None);
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, &["1", "2", "3"]).await;
    let _held = next(&mut consumer).await;
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(2));
    assert_eq!(broker.status(), BrokerStatus::Connected);
    broker.close().await;
    assert_eq!(broker.status(), BrokerStatus::Closed);
    assert!(matches!(broker.depth(&channel).await, Err(ChannelError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_delays_share_one_task_and_keep_order() {
    const MESSAGES: usize = 1_000;
    let broker = InMemoryBroker::new();
    let mut consumer = broker
        .consume(&channel(|it| it.buffer = 1_000.try_into().unwrap()))
        .await
        .unwrap();
    for number in 0..MESSAGES {
        publish(&broker, &[&number.to_string()]).await;
    }
    let before = Handle::current().metrics().num_alive_tasks();
    for number in 0..MESSAGES {
        let delay = Duration::from_secs((MESSAGES - number) as u64);
        next(&mut consumer).await.requeue(delay, true).await.unwrap();
    }
    assert!(Handle::current().metrics().num_alive_tasks() <= before + 1);
    for number in (0..MESSAGES).rev() {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), number.to_string());
        delivery.ack().await.unwrap();
    }
}

#[test]
fn a_delay_outlives_its_runtime() {
    for first_is_dropped in [true, false] {
        let broker = InMemoryBroker::new();
        let first = paused();
        first.block_on(async {
            let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
            publish(&broker, &["1"]).await;
            let delay = Duration::from_secs(5);
            next(&mut consumer).await.requeue(delay, true).await.unwrap();
        });
        let _stands_still = (!first_is_dropped).then_some(first);
        paused().block_on(async {
            let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
            assert_eq!(id(&next(&mut consumer).await), "1");
        });
    }
}

/// How often a task was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Consumers that wait, each with its count.
async fn waiting(broker: &InMemoryBroker, consumers: usize, buffer: u16) -> Vec<(Consumer, Arc<Woken>)> {
    let channel = channel(|it| it.buffer = buffer.try_into().unwrap());
    let mut waiting = Vec::new();
    for _ in 0..consumers {
        let mut consumer = broker.consume(&channel).await.unwrap();
        let woken = Arc::new(Woken::default());
        assert!(poll(&mut consumer, &woken).is_none());
        waiting.push((consumer, woken));
    }
    waiting
}

fn poll(consumer: &mut Consumer, woken: &Arc<Woken>) -> Option<Delivery> {
    let waker = Waker::from(Arc::clone(woken));
    match Pin::new(consumer).poll_next(&mut Context::from_waker(&waker)) {
        std::task::Poll::Pending => None,
        std::task::Poll::Ready(delivery) => Some(delivery.unwrap().unwrap()),
    }
}

fn woken(consumers: &[(Consumer, Arc<Woken>)]) -> Vec<usize> {
    let woken = consumers.iter().enumerate();
    woken
        .filter(|(_, (_, woken))| woken.0.load(Ordering::Relaxed) > 0)
        .map(|(index, _)| index)
        .collect()
}

#[tokio::test]
async fn a_message_wakes_one_of_a_thousand_consumers_in_turn() {
    let broker = InMemoryBroker::new();
    let mut consumers = waiting(&broker, 1_000, 10).await;
    publish(&broker, &["1"]).await;
    assert_eq!(woken(&consumers), [0]);
    publish(&broker, &["2"]).await;
    assert_eq!(woken(&consumers), [0, 1]);
    let (first, count) = &mut consumers[0];
    poll(first, count).unwrap().ack().await.unwrap();
    assert_eq!(woken(&consumers), [0, 1], "an ack is nobody's business");
}

#[tokio::test]
async fn a_woken_consumer_that_leaves_wakes_the_next() {
    let broker = InMemoryBroker::new();
    let mut consumers = waiting(&broker, 3, 10).await;
    publish(&broker, &["1"]).await;
    drop(consumers.remove(0));
    assert_eq!(woken(&consumers), [0]);
    let (second, count) = &mut consumers[0];
    let delivery = poll(second, count).unwrap();
    drop(delivery);
    assert_eq!(woken(&consumers), [0, 1], "what is given back wakes one too");
}

#[tokio::test]
async fn a_full_consumer_wakes_only_by_its_own_settling() {
    let broker = InMemoryBroker::new();
    let mut consumers = waiting(&broker, 1, 1).await;
    publish(&broker, &["1", "2"]).await;
    let (consumer, count) = &mut consumers[0];
    let one = poll(consumer, count).unwrap();
    assert!(poll(consumer, count).is_none());
    let before = count.0.load(Ordering::Relaxed);
    publish(&broker, &["3"]).await;
    assert_eq!(count.0.load(Ordering::Relaxed), before);
    one.ack().await.unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), before + 1);
    assert_eq!(id(&poll(consumer, count).unwrap()), "2");
}

#[tokio::test]
async fn closing_ends_a_consumer_that_is_full() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker
        .consume(&channel(|it| it.buffer = 1.try_into().unwrap()))
        .await
        .unwrap();
    publish(&broker, &["1"]).await;
    let _held = next(&mut consumer).await;
    let (end, ()) = tokio::join!(consumer.receive(), broker.close());
    assert!(end.is_none());
}

fn urgent(id: &str, priority: u8) -> Message {
    let mut message = message(id);
    message.header.priority = Some(priority);
    message
}

/// In which order a message goes says nothing of how long it has waited.
#[test]
fn the_oldest_expires_and_makes_room_whatever_its_priority() {
    paused().block_on(async {
        let broker = InMemoryBroker::new();
        let limited = channel(|it| {
            it.limits.priorities = Some(9);
            it.limits.time_to_live = Some(Duration::from_secs(10));
            it.limits.length = Some(3);
            it.limits.overflow = Overflow::DeadLetterOldest;
        });
        broker.declare(&limited).await.unwrap();
        publish(&broker, &["low"]).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        for (id, priority) in [("high", 9), ("middle", 5)] {
            broker.publish(&urgent(id, priority)).await.unwrap();
        }
        assert_eq!(ids(&broker, "c"), ["high", "middle", "low"]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(ids(&broker, "c"), ["high", "middle"]);
        assert_eq!(ids(&broker, "c.dlq"), ["low"]);

        broker.publish(&urgent("higher", 9)).await.unwrap();
        broker.publish(&urgent("lowest", 0)).await.unwrap();
        assert_eq!(
            ids(&broker, "c"),
            ["higher", "middle", "lowest"],
            "the oldest makes room"
        );
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(ids(&broker, "c"), [""; 0]);
    });
}

#[tokio::test]
async fn too_high_a_priority_is_refused_by_name() {
    let broker = InMemoryBroker::new();
    broker
        .declare(&channel(|it| it.limits.priorities = Some(5)))
        .await
        .unwrap();
    broker.publish(&urgent("5", 5)).await.unwrap();
    let error = broker.publish(&urgent("6", 6)).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Refused { reason } if reason == "channel `c` has priorities up to 5, and the message has 6"),
        "{error:?}"
    );
    let error = broker
        .declare(&channel(|it| it.limits.priorities = Some(0)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the highest priority"), "{error}");
}
