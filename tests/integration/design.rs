//! What a user writes of posting: options on what is awaited, a context that posts, the administration of the outbox.
//! The other snippets of the design are in `snippets`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brighter::channel::{Broker, Channel};
use brighter::outbox::{MessageState, Outbox, OutboxTransaction, Scheduling};
use brighter::prelude::*;
use brighter::processor::{NoProcessor, PostError, SendError};
use brighter::trace::TraceContext;
use brighter::{MySqlOutbox, PostgresOutbox, Sweeper};
use brighter_tests::databases;
use brighter_tests::wait::until_eq;
use futures_util::FutureExt;
use tokio::sync::Notify;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Task.Reminder")]
struct TaskReminder {
    id: MessageId,
    task: String,
}

fn reminder(task: &str) -> TaskReminder {
    TaskReminder {
        id: MessageId::new(),
        task: task.into(),
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Receipt", kind = "event")]
struct Receipt {
    of: String,
}

fn broker() -> InMemoryBroker {
    let broker = InMemoryBroker::new();
    for (channel, topic) in [
        ("reminders", "Task.Reminder"),
        ("north", "orders.north"),
        ("receipts", "Receipt"),
    ] {
        let channel = Channel::new(channel, topic);
        // In memory nothing waits.
        broker.declare(&channel).now_or_never().unwrap().unwrap();
    }
    broker
}

fn unswept(broker: &InMemoryBroker, outbox: impl Outbox) -> CommandProcessor {
    let builder = CommandProcessor::builder().broker(broker.clone()).outbox(outbox);
    builder.without_sweeper().build().unwrap()
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_post_takes_options_before_it_is_awaited() -> Result<(), BoxError> {
    let broker = broker();
    let processor = unswept(&broker, InMemoryOutbox::new());
    processor
        .post(reminder("north"))
        .topic("orders.north")
        .header("tenant", "north")
        .partition_key("customer-7")
        .priority(5)
        .await?;
    let header = &broker.messages("north")[0].header;
    assert_eq!(
        header.bag.get("tenant").and_then(|tenant| tenant.as_str()),
        Some("north")
    );
    assert_eq!(
        (header.partition_key(), header.priority),
        (Some("customer-7"), Some(5))
    );
    assert_eq!(
        header.event_type(),
        "Task.Reminder",
        "it is the kind of event that it was"
    );

    let id = processor
        .post(reminder("later"))
        .after(Duration::from_secs(60))
        .await?;
    let at = SystemTime::now() + HOUR;
    let other = processor.post(reminder("at a time")).at(at).await?;
    for id in [id, other] {
        let state = processor.outbox().state(&id).await?;
        assert!(matches!(state, Some(MessageState::Scheduled { .. })), "{state:?}");
    }
    assert!(broker.messages("reminders").is_empty());

    // What is awaited may go to another task.
    let posted = tokio::spawn(processor.post(reminder("spawned")).into_future());
    posted.await??;
    assert_eq!(broker.messages("reminders").len(), 1);
    Ok(())
}

#[tokio::test]
async fn contradictory_options_are_typed_errors_and_store_nothing() {
    let (broker, outbox) = (broker(), InMemoryOutbox::new());
    let processor = unswept(&broker, outbox.clone());
    let at = SystemTime::now() + HOUR;
    let mut tx = outbox.begin();
    for refused in [
        processor.post(reminder("both")).after(HOUR).at(at).await,
        processor.post(reminder("both")).at(at).after(HOUR).await,
        processor.post(reminder("twice")).after(HOUR).after(HOUR).await,
        processor
            .deposit_post(&mut tx, reminder("both"))
            .after(HOUR)
            .at(at)
            .await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, PostError::SeveralTimes), "{error}");
    }
    for refused in [
        processor.post(reminder("nowhere")).topic("").await,
        processor.post(reminder("nowhere")).topic("").after(HOUR).await,
        processor
            .deposit_post(&mut tx, reminder("nowhere"))
            .topic("a\nb")
            .await,
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, PostError::Name { .. }), "{error}");
    }
    let refused = processor
        .deposit_posts(&mut tx, [reminder("one"), reminder("two")])
        .after(Duration::MAX)
        .await;
    assert!(matches!(refused, Err(PostError::TooFar { .. })), "{refused:?}");
    tx.commit().unwrap();
    let status = outbox.status().await.unwrap();
    assert_eq!((status.outstanding, status.scheduled), (0, 0));
}

/// A broker of somebody else, which knows nothing of priorities.
#[tokio::test]
async fn an_unsupported_priority_is_a_typed_error() {
    let outbox = InMemoryOutbox::new();
    let processor = unswept_over_scripted(&outbox);
    let error = processor.post(reminder("urgent")).priority(1).await.unwrap_err();
    assert!(
        matches!(
            error,
            PostError::Priority {
                priority: 1,
                highest: None,
                system: "scripted",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("leave `.priority(…)` out"), "{error}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}

fn unswept_over_scripted(outbox: &InMemoryOutbox) -> CommandProcessor {
    CommandProcessor::builder()
        .broker(brighter_tests::scripted::Scripted::new([]))
        .outbox(outbox.clone())
        .without_sweeper()
        .build()
        .unwrap()
}

#[derive(Debug, Clone, Command)]
struct Pay {
    id: MessageId,
}

#[derive(Debug, Command)]
#[command(reply = Vec<MessageId>)]
struct Book {
    id: MessageId,
}

#[derive(Debug, Clone, Event)]
struct Paid;

/// Does with its context all that a context can.
struct Payments {
    outbox: InMemoryOutbox,
}

#[handler]
impl Handler<Pay> for Payments {
    async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
        cx.post(Receipt { of: "posted".into() }).await?;
        let mut tx = self.outbox.begin();
        is_send(
            cx.deposit_post(
                &mut tx,
                Receipt {
                    of: "deposited".into(),
                },
            )
            .into_future(),
        )
        .await?;
        let several = ["one", "two"].map(|of| Receipt { of: of.into() });
        cx.deposit_posts(&mut tx, several).await?;
        tx.commit()?;
        cx.send(Book { id: pay.id.clone() }).await?;
        cx.publish(Paid).await?;
        Ok(())
    }
}

struct Books;

#[handler]
impl Handler<Book> for Books {
    #[use_inbox(step = 1)]
    async fn handle(&self, _: &Book, cx: &Context) -> Result<Vec<MessageId>, BoxError> {
        let id = cx.post(Receipt { of: "booked".into() }).await?;
        Ok(vec![id])
    }
}

struct Thanks;

#[handler]
impl Handler<Paid> for Thanks {
    async fn handle(&self, _: &Paid, cx: &Context) -> Result<(), BoxError> {
        cx.post(Receipt { of: "thanked".into() }).await?;
        Ok(())
    }
}

fn payments(broker: &InMemoryBroker) -> CommandProcessor {
    let outbox = InMemoryOutbox::new();
    CommandProcessor::builder()
        .handler(Payments {
            outbox: outbox.clone(),
        })
        .handler(Books)
        .handler(Thanks)
        .inbox(InMemoryInbox::new())
        .broker(broker.clone())
        .outbox(outbox)
        .sweeper(Sweeper::default().interval(Duration::from_millis(5)))
        .build()
        .unwrap()
}

fn receipts(broker: &InMemoryBroker) -> Vec<String> {
    let of = |message: &Message| {
        serde_json::from_slice::<Receipt>(message.body.as_bytes())
            .unwrap()
            .of
    };
    let mut of: Vec<_> = broker.messages("receipts").iter().map(of).collect();
    of.sort_unstable();
    of
}

#[tokio::test]
async fn requests_of_a_handler_inherit_cause_conversation_and_trace() {
    let broker = broker();
    let processor = payments(&broker);
    let (message, conversation) = (MessageId::new(), MessageId::new());
    let trace = TraceContext::default()
        .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_baggage("tenant=north");
    let cx = processor
        .context()
        .with_message_id(message.clone())
        .with_correlation_id(conversation.clone())
        .with_trace(trace.clone());
    cx.send(Pay { id: MessageId::new() }).await.unwrap();

    let expected = ["booked", "deposited", "one", "posted", "thanked", "two"].map(str::to_owned);
    until_eq("the receipts", expected.to_vec(), || receipts(&broker)).await;
    for receipt in broker.messages("receipts") {
        let header = receipt.header;
        // Also that of a handler that was asked by the handler, although the inbox knows its request by another id.
        assert_eq!(header.causation_id.as_ref(), Some(&message), "{header:?}");
        assert_eq!(header.correlation_id.as_ref(), Some(&conversation));
        assert_eq!(header.trace.trace_id(), trace.trace_id());
        assert_eq!(header.trace.baggage(), trace.baggage());
    }
}

/// Each has an id of its own, by which the inbox knows it.
#[tokio::test]
async fn two_commands_of_one_handling_are_no_duplicates() {
    let broker = broker();
    let processor = payments(&broker);
    let cx = processor.context().with_message_id(MessageId::new());
    let (first, second) = (MessageId::new(), MessageId::new());
    for (id, posted) in [(&first, 1), (&second, 1), (&first, 0)] {
        let given = cx.send(Book { id: id.clone() }).await.unwrap();
        assert_eq!(given.len(), posted, "the third is a duplicate of the first");
    }
}

#[tokio::test]
async fn a_context_without_a_processor_says_what_to_do() {
    let cx = Context::new();
    let error = cx.send(Pay { id: MessageId::new() }).await.unwrap_err();
    assert!(
        matches!(error, SendError::NoProcessor(NoProcessor { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("`processor.context()`"), "{error}");
    let error = cx.post(Receipt { of: "x".into() }).await.unwrap_err();
    assert!(matches!(error, PostError::NoProcessor(_)), "{error:?}");
    let outbox = InMemoryOutbox::new();
    let deposited = cx
        .deposit_post(&mut outbox.begin(), Receipt { of: "x".into() })
        .await;
    assert!(
        matches!(deposited, Err(PostError::NoProcessor(_))),
        "{deposited:?}"
    );
    let errors = cx.publish(Paid).await.unwrap_err();
    assert!(
        errors.failures[0].error.downcast_ref::<NoProcessor>().is_some(),
        "{errors}"
    );
    assert!(cx.processor().is_err());
}

/// Waits until it may post, which is after the end has begun.
struct Slow {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[handler]
impl Handler<TaskReminder> for Slow {
    async fn handle(&self, reminder: &TaskReminder, cx: &Context) -> Result<(), BoxError> {
        self.begun.notify_one();
        self.go_on.notified().await;
        cx.post(Receipt {
            of: reminder.task.clone(),
        })
        .await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_runs_while_the_process_ends_still_posts() {
    let broker = broker();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let processor = CommandProcessor::builder()
        .handler(Slow {
            begun: Arc::clone(&begun),
            go_on: Arc::clone(&go_on),
        })
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<TaskReminder>::new("reminders"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(reminder("the last")).await.unwrap();
    begun.notified().await;
    drop(processor);
    let end = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.end().await }
    });
    tokio::task::yield_now().await;
    go_on.notify_one();
    assert!(end.await.unwrap().interrupted.is_empty());
    assert_eq!(receipts(&broker), ["the last"]);
}

struct Kept(#[expect(dead_code, reason = "it is counted")] Arc<()>);

#[handler]
impl Handler<Paid> for Kept {
    async fn handle(&self, _: &Paid, cx: &Context) -> Result<(), BoxError> {
        cx.post(Receipt { of: "kept".into() }).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_posting_processor_is_dropped_with_its_last_clone() {
    let (broker, kept) = (broker(), Arc::new(()));
    let processor = CommandProcessor::builder()
        .handler(Kept(Arc::clone(&kept)))
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    processor.publish(Paid).await.unwrap();
    let cx = processor.context();
    drop(processor);
    cx.publish(Paid).await.unwrap();
    assert_eq!((receipts(&broker).len(), Arc::strong_count(&kept)), (2, 2));
    drop(cx);
    assert_eq!(Arc::strong_count(&kept), 1, "the handler went with its processor");
}

#[tokio::test]
async fn the_outbox_is_administered_in_one_place() -> Result<(), BoxError> {
    let broker = broker();
    let processor = unswept(&broker, InMemoryOutbox::new());
    let soon = processor.post(reminder("soon")).after(HOUR).await?;
    let late = processor.post(reminder("late")).after(3 * HOUR).await?;
    let listed = processor.outbox().scheduled(10).await?;
    let ids: Vec<_> = listed.iter().map(|scheduled| &scheduled.id).collect();
    assert_eq!(ids, [&soon, &late]);
    assert!(processor.outbox().reschedule(&soon).after(5 * HOUR).await?);
    assert_eq!(processor.outbox().scheduled(1).await?[0].id, late);
    assert!(processor.outbox().cancel(&late).await?);
    assert_eq!(processor.outbox().status().await?.scheduled, 1);
    assert!(processor.outbox().dead(100).await?.is_empty());
    let none = CommandProcessor::builder().build()?;
    assert!(matches!(none.outbox().dead(1).await, Err(PostError::NoOutbox)));
    Ok(())
}

/// Paid, and the reminder cancelled: both or neither.
macro_rules! in_a_transaction {
    ($module:ident, $database:ty, $outbox:ident, $place:expr, $pool:expr, $open:literal) => {
        mod $module {
            use super::*;

            /// As in a handler, which has the transaction by reference.
            async fn pay(
                tx: &mut sqlx::Transaction<'_, $database>,
                cx: &Context,
                reminder: &MessageId,
            ) -> Result<MessageId, BoxError> {
                sqlx::query("INSERT INTO payments (id) VALUES (1)")
                    .execute(&mut **tx)
                    .await?;
                let processor = cx.processor()?;
                assert!(processor.outbox().cancel(reminder).within(tx).await?);
                let receipt = cx
                    .deposit_post(tx, Receipt { of: "now".into() })
                    .priority(3);
                let receipt = is_send(receipt.into_future()).await?;
                let later = cx.deposit_post(tx, Receipt { of: "later".into() });
                later.after(HOUR).header("tenant", "north").await?;
                Ok(receipt)
            }

            #[tokio::test]
            async fn deposits_cancels_and_reschedules_commit_together() -> Result<(), BoxError> {
                let place = $place;
                let pool: sqlx::Pool<$database> = $pool(&place).await;
                sqlx::raw_sql("CREATE TABLE payments (id INTEGER)")
                    .execute(&pool)
                    .await?;
                let (broker, outbox) = (broker(), $outbox::from_pool(pool.clone()).await?);
                let processor = unswept(&broker, outbox.clone());
                let cause = MessageId::new();
                let cx = processor.context().with_message_id(cause.clone());
                let payments = async || {
                    sqlx::query_scalar::<_, i64>("SELECT count(*) FROM payments")
                        .fetch_one(&pool)
                        .await
                };
                let cancelled = processor.post(reminder("pay")).after(HOUR).await?;
                let moved = processor.post(reminder("moved")).after(HOUR).await?;

                let mut tx = pool.begin_with($open).await?;
                pay(&mut tx, &cx, &cancelled).await?;
                assert!(
                    processor
                        .outbox()
                        .reschedule(&moved)
                        .after(9 * HOUR)
                        .within(&mut tx)
                        .await?
                );
                tx.rollback().await?;
                assert_eq!(payments().await?, 0);
                let listed = processor.outbox().scheduled(10).await?;
                assert_eq!(listed.len(), 2);
                assert!(
                    listed.iter().all(|scheduled| scheduled.due_in <= HOUR),
                    "{listed:?}"
                );

                let mut tx = pool.begin_with($open).await?;
                let receipt = pay(&mut tx, &cx, &cancelled).await?;
                assert!(
                    processor
                        .outbox()
                        .reschedule(&moved)
                        .after(9 * HOUR)
                        .within(&mut tx)
                        .await?
                );
                let unknown = processor.outbox().cancel(&cause).within(&mut tx).await?;
                assert!(!unknown);
                tx.commit().await?;
                assert_eq!(payments().await?, 1);
                assert_eq!(processor.outbox().state(&cancelled).await?, None);
                let listed = processor.outbox().scheduled(10).await?;
                let [later, at_last] = &listed[..] else {
                    panic!("{listed:?}")
                };
                assert_eq!((later.topic.as_str(), &at_last.id), ("Receipt", &moved));
                assert!(at_last.due_in > HOUR, "{listed:?}");

                assert_eq!(processor.clear_outbox(&[receipt]).await?.sent, 1);
                let header = &broker.messages("receipts")[0].header;
                assert_eq!(
                    (header.priority, &header.causation_id),
                    (Some(3), &Some(cause))
                );
                Ok(())
            }

            /// A transaction of another kind of outbox is told by name.
            #[tokio::test]
            async fn a_transaction_of_another_outbox_cannot_cancel() -> Result<(), BoxError> {
                let place = $place;
                let outbox = $outbox::from_pool($pool(&place).await).await?;
                let processor = CommandProcessor::builder().outbox(outbox).build()?;
                let id = MessageId::new();
                let error = processor
                    .outbox()
                    .cancel(&id)
                    .within(&mut InMemoryOutbox::new().begin())
                    .await;
                assert!(
                    matches!(error, Err(PostError::WrongTransaction { .. })),
                    "{error:?}"
                );
                Ok(())
            }
        }
    };
}

async fn sqlite_pool(folder: &tempfile::TempDir) -> sqlx::SqlitePool {
    let outbox = SqliteOutbox::open(folder.path().join("tasks.db")).await.unwrap();
    outbox.pool().clone()
}

in_a_transaction!(
    sqlite,
    sqlx::Sqlite,
    SqliteOutbox,
    tempfile::tempdir()?,
    sqlite_pool,
    "BEGIN IMMEDIATE"
);
in_a_transaction!(
    postgres,
    sqlx::Postgres,
    PostgresOutbox,
    databases::Postgres::new().await,
    databases::Postgres::pool,
    "BEGIN"
);
in_a_transaction!(
    mysql,
    sqlx::MySql,
    MySqlOutbox,
    databases::MySql::new().await,
    databases::MySql::pool,
    "START TRANSACTION"
);

/// What a transaction in memory has changed stays as it was until it is over, as a locked row does.
#[tokio::test(start_paused = true)]
async fn an_in_memory_cancel_waits_for_its_transaction() -> Result<(), BoxError> {
    let outbox = InMemoryOutbox::new();
    let message = brighter::testing::outbox::some_message();
    let id = &message.header.id;
    outbox.schedule(&message, HOUR).await?;
    let mut tx = outbox.begin();
    assert!(tx.cancel(&outbox, id).await?);
    tokio::time::advance(2 * HOUR).await;
    assert_eq!(outbox.make_due(10).await?, 0);
    outbox.cancel(id).await.unwrap_err();
    outbox.reschedule(id, HOUR).await.unwrap_err();
    outbox.begin().cancel(&outbox, id).await.unwrap_err();
    tx.rollback();
    assert_eq!(outbox.make_due(10).await?, 1);
    Ok(())
}
