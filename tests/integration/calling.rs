//! `call`: a request to another process, and its reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel, Consumer, Producer, PublishError};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::processor::CallError;
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{InMemoryInbox, MessageId, SqliteBroker};
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::{DEADLINE, until, until_eq};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Invoice.Make", reply = Invoice)]
struct MakeInvoice {
    id: MessageId,
    order: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Invoice {
    number: String,
}

fn make(order: &str) -> MakeInvoice {
    MakeInvoice {
        id: MessageId::new(),
        order: order.into(),
    }
}

/// Makes invoices, and counts how often it was asked.
#[derive(Clone, Default)]
struct Accounts(Arc<AtomicUsize>);

#[handler]
impl Handler<MakeInvoice> for Accounts {
    async fn handle(&self, make: &MakeInvoice, cx: &Context) -> Result<Invoice, BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        match &*make.order {
            "fail once" if cx.attempt() == 1 => Err("no ink".into()),
            "reject" => Err(Reject::because("no such order").into()),
            order => Ok(Invoice {
                number: format!("2026-{order}"),
            }),
        }
    }
}

/// The process of the accounts, on a broker of its own or a shared one.
async fn accounts(broker: impl Broker, channel: &str) -> (Dispatcher, Accounts) {
    let accounts = Accounts::default();
    let processor = CommandProcessor::builder()
        .handler(accounts.clone())
        .broker(broker)
        .build()
        .unwrap();
    let subscription = Subscription::<MakeInvoice>::new("accounts")
        .channel(channel)
        .delays([Duration::from_millis(5)]);
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    (dispatcher, accounts)
}

fn caller(broker: impl Broker) -> CommandProcessor {
    CommandProcessor::builder().broker(broker).build().unwrap()
}

fn number(invoice: Result<Invoice, CallError>) -> String {
    invoice.unwrap().number
}

/// It is a message like any other: a person sees it among the dead letters, though its caller knows already.
#[tokio::test]
async fn a_rejected_call_is_answered_and_becomes_a_dead_letter() {
    let broker = InMemoryBroker::new();
    let (dispatcher, _) = accounts(broker.clone(), "accounts").await;
    let processor = caller(broker.clone());
    let error = processor.call(make("reject"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::Failed { .. }), "{error:?}");
    // The caller is told once the message is there.
    assert_eq!(broker.messages("accounts.dlq").len(), 1);
    dispatcher.end().await;
}

/// On any broker: many calls at once, each with its own reply, and what goes wrong told at once.
async fn calls_are_answered(here: impl Broker, there: impl Broker, channel: &str) {
    let (dispatcher, _) = accounts(there, channel).await;
    let processor = caller(here);
    let calls = (0..20).map(|order| {
        let processor = processor.clone();
        async move { number(processor.call(make(&order.to_string()), DEADLINE).await) }
    });
    let numbers = futures_util::future::join_all(calls).await;
    let expected: Vec<_> = (0..20).map(|order| format!("2026-{order}")).collect();
    assert_eq!(numbers, expected);

    // Only after success.
    assert_eq!(
        number(processor.call(make("fail once"), DEADLINE).await),
        "2026-fail once"
    );
    match processor.call(make("reject"), DEADLINE).await {
        Err(CallError::Failed { reason }) => assert!(reason.contains("no such order"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(processor.call_stats().in_flight, 0);
    dispatcher.end().await;
    processor.close().await;
    let error = processor.call(make("late"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error}");
}

#[tokio::test]
async fn calling_a_server_via_the_command_processor() {
    let broker = InMemoryBroker::new();
    calls_are_answered(broker.clone(), broker, "accounts").await;
}

#[tokio::test]
async fn sqlite_calls_are_answered_without_leftovers_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let here = SqliteBroker::open(&path).await.unwrap();
    let there = SqliteBroker::open(&path).await.unwrap();
    calls_are_answered(here, there.clone(), "accounts").await;
    // Its processor is gone, and so is its channel.
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("SELECT name FROM brighter_broker_channels WHERE name LIKE 'brighter.reply%'")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(left, [""; 0]);
    pool.close().await;
    there.close().await;
}

#[tokio::test]
async fn on_rabbitmq_calls_are_answered() {
    let corner = Corner::new();
    let channel = corner.channel("accounts", "Invoice.Make");
    calls_are_answered(
        corner.connect().await,
        corner.connect().await,
        channel.name.as_str(),
    )
    .await;
}

#[tokio::test]
async fn calls_without_timeout_broker_or_consumer_fail() {
    let broker = InMemoryBroker::new();
    let processor = caller(broker);
    let error = processor.call(make("1"), Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, CallError::NoTime), "{error}");
    let error = processor.call(make("1"), DEADLINE).await.unwrap_err();
    assert!(
        matches!(error, CallError::NotSent(PublishError::Unroutable { .. })),
        "{error}"
    );
    let alone = CommandProcessor::builder().build().unwrap();
    let error = alone.call(make("1"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::NoBroker), "{error}");
    assert_eq!(processor.call_stats().in_flight, 0);
}

/// Where requests come, and nobody handles them but the test.
async fn desk(broker: &InMemoryBroker) -> Consumer {
    broker
        .consume(&Channel::new("desk", "Invoice.Make"))
        .await
        .unwrap()
}

async fn next(desk: &mut Consumer) -> MessageHeader {
    let delivery = desk.receive().await.unwrap().unwrap();
    let header = delivery.message().unwrap().header.clone();
    delivery.ack().await.unwrap();
    header
}

fn reply_to(request: &MessageHeader, number: &str) -> Message {
    let address = request.reply_to.clone().unwrap();
    let header = MessageHeader::new(MessageId::new(), address, MessageType::Command)
        .with_correlation_id(request.correlation_id.clone().unwrap());
    Message::new(header, MessageBody::new(format!(r#"{{"number":"{number}"}}"#)))
}

#[tokio::test]
async fn posting_a_reply_message_to_the_command_processor() {
    let broker = InMemoryBroker::new();
    let (mut desk, processor) = (desk(&broker).await, caller(broker.clone()));
    let call = calls(&processor);
    let request = next(&mut desk).await;
    broker.publish(&reply_to(&request, "by hand")).await.unwrap();
    assert_eq!(number(call.await.unwrap()), "by hand");

    // A second one is for nobody.
    broker.publish(&reply_to(&request, "again")).await.unwrap();
    until_eq("dropped replies", 1, || processor.call_stats().dropped_replies).await;
}

#[tokio::test]
async fn a_reply_that_cannot_be_read_is_a_typed_error() {
    let broker = InMemoryBroker::new();
    let (mut desk, processor) = (desk(&broker).await, caller(broker.clone()));
    let call = calls(&processor);
    let mut reply = reply_to(&next(&mut desk).await, "");
    reply.body = MessageBody::new("no invoice");
    broker.publish(&reply).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unreadable { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_dropped_and_counted() {
    let broker = InMemoryBroker::new();
    let (mut desk, processor) = (desk(&broker).await, caller(broker.clone()));
    let after = Duration::from_secs(5);
    let (called, request) = tokio::join!(processor.call(make("1"), after), next(&mut desk));
    let error = called.unwrap_err();
    assert!(
        matches!(error, CallError::TimedOut { after: said } if said == after),
        "{error}"
    );
    assert_eq!(processor.call_stats().in_flight, 0);
    broker.publish(&reply_to(&request, "late")).await.unwrap();
    until_eq("dropped replies", 1, || processor.call_stats().dropped_replies).await;

    // Who gives up leaves nothing either.
    {
        let call = std::pin::pin!(processor.call(make("2"), after));
        tokio::select! {
            _ = call => panic!("nobody replies"),
            _ = next(&mut desk) => {}
        }
    }
    assert_eq!(processor.call_stats().in_flight, 0);
}

#[tokio::test]
async fn no_more_calls_wait_than_may() {
    let broker = InMemoryBroker::new();
    let mut desk = desk(&broker).await;
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .max_pending_calls(1)
        .build()
        .unwrap();
    let first = calls(&processor);
    let request = next(&mut desk).await;
    let error = processor.call(make("2"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::TooMany { limit: 1 }), "{error}");
    broker.publish(&reply_to(&request, "1")).await.unwrap();
    assert_eq!(number(first.await.unwrap()), "1");
}

#[tokio::test]
async fn closing_ends_the_calls_that_wait() {
    let broker = InMemoryBroker::new();
    let (mut desk, processor) = (desk(&broker).await, caller(broker.clone()));
    let call = calls(&processor);
    next(&mut desk).await;
    processor.close().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error}");
    assert_eq!(processor.call_stats().in_flight, 0);
}

/// A stranger may name any address; what is not one of replies gets nothing, whatever is subscribed there.
#[tokio::test]
async fn a_reply_goes_to_no_address_but_one_of_replies() {
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("payments", "Payment.Release"))
        .await
        .unwrap();
    let (dispatcher, accounts) = accounts(broker.clone(), "accounts").await;
    let header = MessageHeader::new(MessageId::new(), "Invoice.Make", MessageType::Command)
        .with_reply_to("Payment.Release");
    let body = serde_json::to_vec(&make("1")).unwrap();
    broker
        .publish(&Message::new(header, MessageBody::new(body)))
        .await
        .unwrap();
    until("it is handled", || accounts.0.load(Ordering::Relaxed) == 1).await;
    dispatcher.end().await;
    assert!(broker.messages("payments").is_empty());
    assert!(broker.messages("accounts.dlq").is_empty());
}

/// Who called is gone: the request is handled and done all the same.
#[tokio::test]
async fn requests_without_a_waiting_caller_are_handled() {
    let broker = InMemoryBroker::new();
    let (dispatcher, accounts) = accounts(broker.clone(), "accounts").await;
    let header = MessageHeader::new(MessageId::new(), "Invoice.Make", MessageType::Command)
        .with_reply_to(format!("brighter.reply.{}", MessageId::new()).as_str());
    let body = serde_json::to_vec(&make("1")).unwrap();
    broker
        .publish(&Message::new(header, MessageBody::new(body)))
        .await
        .unwrap();
    until("it is handled", || accounts.0.load(Ordering::Relaxed) == 1).await;
    dispatcher.end().await;
    assert!(broker.messages("accounts").is_empty());
    assert!(broker.messages("accounts.dlq").is_empty());
    assert_eq!(accounts.0.load(Ordering::Relaxed), 1);
}

/// The reply is sent before the ack: what an outage keeps from being sent is sent when it is over.
#[tokio::test]
async fn a_refused_reply_is_sent_again() {
    let broker = InMemoryBroker::new();
    let there = FaultyBroker::new(broker.clone());
    let (dispatcher, accounts) = accounts(there.clone(), "accounts").await;
    there.next_publishes([PublishFault::Away, PublishFault::Away]);
    let processor = caller(broker);
    assert_eq!(number(processor.call(make("1"), DEADLINE).await), "2026-1");
    // For that alone the handler is not asked again.
    assert_eq!(accounts.0.load(Ordering::Relaxed), 1);
    dispatcher.end().await;
}

struct Once(Accounts);

#[handler]
impl Handler<MakeInvoice> for Once {
    #[use_inbox(step = 1)]
    async fn handle(&self, make: &MakeInvoice, cx: &Context) -> Result<Invoice, BoxError> {
        self.0.handle(make, cx).await
    }
}

/// What stands in the place of the reply of a duplicate is not taken for one.
#[tokio::test]
async fn a_call_that_was_handled_before_says_so() {
    let broker = InMemoryBroker::new();
    let accounts = Accounts::default();
    let server = CommandProcessor::builder()
        .handler(Once(accounts.clone()))
        .inbox(InMemoryInbox::new())
        .broker(broker.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(server)
        .subscription(Subscription::<MakeInvoice>::new("accounts"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let processor = caller(broker);
    let request = make("1");
    assert_eq!(number(processor.call(request.clone(), DEADLINE).await), "2026-1");
    let error = processor.call(request, DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::HandledBefore), "{error}");
    assert_eq!(accounts.0.load(Ordering::Relaxed), 1);
    dispatcher.end().await;
}

/// Sends the reply again and again, until the call has it: what comes to nobody is lost.
async fn until_replied(
    broker: &impl Producer,
    reply: &Message,
    call: tokio::task::JoinHandle<Result<Invoice, CallError>>,
) -> String {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !call.is_finished() {
        assert!(tokio::time::Instant::now() < deadline, "nobody listens again");
        let _ = broker.publish(reply).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    number(call.await.unwrap())
}

fn calls(processor: &CommandProcessor) -> tokio::task::JoinHandle<Result<Invoice, CallError>> {
    let processor = processor.clone();
    tokio::spawn(async move { processor.call(make("1"), AN_OPERATOR_ACTS).await })
}

/// Longer than a test waits for an operator's programs, which take many seconds each on a busy machine.
const AN_OPERATOR_ACTS: Duration = DEADLINE.saturating_mul(4);

/// A call that waits outlives the connection on which its reply was to come.
#[tokio::test]
async fn a_call_waits_over_a_lost_connection() {
    let broker = InMemoryBroker::new();
    let here = FaultyBroker::new(broker.clone());
    let (mut desk, processor) = (desk(&broker).await, caller(here.clone()));
    let call = calls(&processor);
    let request = next(&mut desk).await;
    here.lose_connection();
    here.restore_connection();
    // In memory the channel goes with its consumer, and comes back with the next.
    assert_eq!(until_replied(&broker, &reply_to(&request, "1"), call).await, "1");
}

/// There the channel stays, and what came to it meanwhile.
#[tokio::test]
async fn on_rabbitmq_a_reply_waits_for_a_lost_connection() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut desk = broker
        .consume(&corner.channel("desk", "Invoice.Make"))
        .await
        .unwrap();
    let processor = caller(broker.clone());
    let call = calls(&processor);
    let request = next(&mut desk).await;
    corner.close_connection("consumer").await;
    broker.publish(&reply_to(&request, "1")).await.unwrap();
    assert_eq!(number(call.await.unwrap()), "1");
    assert_eq!(processor.call_stats().dropped_replies, 0);
    processor.close().await;
}

/// A process that was away for too long finds its channel gone, and has another made.
#[tokio::test]
async fn a_sqlite_call_survives_an_expired_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let here = SqliteBroker::open(&path).await.unwrap();
    let there = SqliteBroker::open(&path).await.unwrap();
    let channel = Channel::new("desk", "Invoice.Make");
    let mut desk = there.consume(&channel).await.unwrap();
    let processor = caller(here);
    let call = calls(&processor);
    let request = next(&mut desk).await;
    drop(desk);
    there.close().await;

    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    sqlx::query("UPDATE brighter_broker_sessions SET alive_until = 0")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let heir = SqliteBroker::open(&path).await.unwrap();
    let _consumer = heir.consume(&channel).await.unwrap();
    assert_eq!(until_replied(&heir, &reply_to(&request, "1"), call).await, "1");
    processor.close().await;
    heir.close().await;
}

/// What was listening there listens no more, and a reply to a call of the next runtime would come to nobody.
#[test]
fn a_call_from_another_runtime_waits_for_its_reply() {
    let runtime = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).enable_all().build().unwrap()
    };
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let (first, second) = (runtime(), runtime());
    let (dispatcher, _) = second.block_on(accounts(broker.clone(), "accounts"));
    let processor = caller(broker.clone());
    let invoice = first.block_on(processor.call(make("1"), DEADLINE));
    assert_eq!(number(invoice), "2026-1");
    drop(first);
    broker.lose_connection();
    let call = processor.call(make("2"), Duration::from_millis(50));
    let error = second.block_on(call).unwrap_err();
    assert!(matches!(error, CallError::NotListening { .. }), "{error:?}");
    broker.restore_connection();
    let invoice = second.block_on(processor.call(make("3"), DEADLINE));
    assert_eq!(number(invoice), "2026-3");
    second.block_on(dispatcher.end());
}
