//! An outbox of a third party that can do what is required, and nothing else.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::message::{Message, RoutingKey};
use brighter::outbox::{
    Claim, Claimed, Failure, Outbox, OutboxError, OutboxStatus, OutboxTransaction, Selection,
};
use brighter::prelude::*;
use brighter::processor::{BuildError, BuildErrors, CommandProcessorBuilder, PostError};
use brighter::testing::{FaultyBroker, PublishFault, eventually};
use brighter::{Archiver, MessageId, Sweeper};
use futures_util::future::{BoxFuture, FutureExt, ready};
use tokio::time::Instant;

type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

/// Six methods over a list.
#[derive(Clone, Default)]
struct ListOutbox(Arc<Mutex<Vec<Row>>>);

struct Row {
    message: Message,
    deposited: Instant,
    attempts: u32,
    not_before: Instant,
    claimed_until: Option<Instant>,
    state: RowState,
}

#[derive(Clone, Copy, PartialEq)]
enum RowState {
    Outstanding,
    Dispatched,
    Dead,
}

/// A time that is further away than any test lasts is as good as never.
fn after(time: Duration) -> Instant {
    Instant::now() + time.min(Duration::from_hours(24))
}

impl Row {
    fn id(&self) -> &MessageId {
        &self.message.header.id
    }

    fn topic(&self) -> &RoutingKey {
        &self.message.header.topic
    }

    fn is_free(&self) -> bool {
        let now = Instant::now();
        self.state == RowState::Outstanding && self.claimed_until.is_none_or(|until| until <= now)
    }

    fn is_due(&self, min_age: Duration) -> bool {
        self.is_free() && self.not_before <= Instant::now() && self.deposited.elapsed() >= min_age
    }
}

impl ListOutbox {
    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.0.lock().unwrap()
    }

    fn change(&self, ids: &[MessageId], mut change: impl FnMut(&mut Row)) {
        let mut rows = self.rows();
        let outstanding = rows.iter_mut().filter(|row| row.state == RowState::Outstanding);
        outstanding
            .filter(|row| ids.contains(row.id()))
            .for_each(&mut change);
    }
}

impl Outbox for ListOutbox {
    fn deposit<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Done<'a, Vec<MessageId>> {
        let mut rows = self.rows();
        let (mut new, mut known) = (Vec::<&Message>::new(), Vec::new());
        for message in messages {
            let id = &message.header.id;
            let before = new.iter().find(|other| other.header.id == *id).copied();
            let before = before.or(rows.iter().find(|row| row.id() == id).map(|row| &row.message));
            match before {
                None => new.push(message),
                Some(same) if same.is_same(message) => known.push(id.clone()),
                Some(_) => return ready(Err(OutboxError::IdInUse { id: id.clone() })).boxed(),
            }
        }
        let new: Vec<_> = new.into_iter().cloned().collect();
        rows.extend(new.into_iter().map(|message| Row {
            message,
            deposited: Instant::now(),
            attempts: 0,
            not_before: Instant::now(),
            claimed_until: lease.map(after),
            state: RowState::Outstanding,
        }));
        ready(Ok(known)).boxed()
    }

    fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
        let mut rows = self.rows();
        let mut claimed = Vec::new();
        for row in rows.iter_mut().filter(|row| row.state == RowState::Outstanding) {
            let (is_wanted, limit) = match which {
                Claim::Ids { ids, except } => {
                    let is_asked = ids.contains(row.id()) && !except.contains(row.topic());
                    (is_asked && row.is_free(), usize::MAX)
                }
                Claim::Oldest {
                    limit,
                    min_age,
                    except,
                } => (row.is_due(min_age) && !except.contains(row.topic()), limit),
                Claim::OfTopic {
                    topic,
                    limit,
                    min_age,
                } => (row.topic() == topic && row.is_due(min_age), limit),
                Claim::InOrder {
                    topic,
                    limit,
                    min_age,
                } if row.topic() == topic => {
                    if !row.is_due(min_age) {
                        break;
                    }
                    (true, limit)
                }
                Claim::InOrder { .. } => (false, usize::MAX),
                _ => return ready(Err(OutboxError::Unsupported("this kind of claim"))).boxed(),
            };
            if is_wanted && claimed.len() < limit {
                row.claimed_until = Some(after(lease));
                claimed.push(Claimed::new(row.message.clone(), row.attempts));
            }
        }
        ready(Ok(claimed)).boxed()
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.change(ids, |row| row.state = RowState::Dispatched);
        ready(Ok(())).boxed()
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
        for failure in failures {
            self.change(std::slice::from_ref(&failure.id), |row| {
                row.attempts += 1;
                row.not_before = after(failure.retry_delay);
                row.claimed_until = None;
                if failure.is_last {
                    row.state = RowState::Dead;
                }
            });
        }
        ready(Ok(())).boxed()
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.change(ids, |row| row.claimed_until = None);
        ready(Ok(())).boxed()
    }

    fn status(&self) -> Done<'_, OutboxStatus> {
        let rows = self.rows();
        let of = |state| rows.iter().filter(move |row| row.state == state);
        let oldest = of(RowState::Outstanding)
            .next()
            .map(|row| row.deposited.elapsed());
        let status = OutboxStatus::new(of(RowState::Outstanding).count() as u64, oldest);
        ready(Ok(status.with_dead(of(RowState::Dead).count() as u64))).boxed()
    }
}

/// A transaction that can deposit, and nothing else.
#[derive(Default)]
struct ListTransaction(Vec<Message>);

impl OutboxTransaction<ListOutbox> for ListTransaction {
    fn deposit<'a>(&'a mut self, _: &'a ListOutbox, messages: &'a [Message]) -> Done<'a, ()> {
        self.0.extend_from_slice(messages);
        ready(Ok(())).boxed()
    }
}

brighter::outbox_contract!(contract, async || (ListOutbox::default(), ()));

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Base.Noted")]
struct Noted {
    number: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Base.Ordered")]
struct Ordered {
    number: u32,
}

/// A broker with a channel for all that is posted, and a builder of a processor over it.
async fn over_a_faulty_broker(outbox: ListOutbox) -> (FaultyBroker, CommandProcessorBuilder) {
    let inner = InMemoryBroker::new();
    inner.declare(&Channel::new("all", "Base.*")).await.unwrap();
    let broker = FaultyBroker::new(inner);
    let builder = CommandProcessor::builder()
        .publication(Publication::<Ordered>::new().in_order())
        .broker(broker.clone())
        .outbox(outbox);
    (broker, builder)
}

fn numbers(broker: &FaultyBroker) -> Vec<u64> {
    let messages = broker.inner().messages("all").into_iter();
    let number = |message: Message| {
        let body: serde_json::Value = serde_json::from_slice(message.body.as_bytes()).unwrap();
        body["number"].as_u64().unwrap()
    };
    messages.map(number).collect()
}

#[tokio::test]
async fn posts_are_sent_now_or_by_the_sweeper() {
    let outbox = ListOutbox::default();
    let (broker, builder) = over_a_faulty_broker(outbox.clone()).await;
    let often = Sweeper::default().interval(Duration::from_millis(10));
    let processor = builder.sweeper(often).build().unwrap();
    processor.post(Noted { number: 1 }).await.unwrap();
    assert_eq!(numbers(&broker), [1]);
    let committed = processor.to_message(&Noted { number: 2 }, None).unwrap();
    outbox.deposit(&[committed], None).await.unwrap();
    eventually("the sweeper has sent it", async || {
        (numbers(&broker) == [1, 2]).then_some(())
    })
    .await;
    eventually("it is marked", async || {
        (processor.outbox().status().await.unwrap().outstanding == 0).then_some(())
    })
    .await;
    processor.close().await;
}

#[tokio::test]
async fn a_post_failing_too_often_is_dead() {
    let (broker, builder) = over_a_faulty_broker(ListOutbox::default()).await;
    let processor = builder.sweeper(Sweeper::default().attempts(1)).build().unwrap();
    broker.next_publishes([PublishFault::Refuse]);
    let refused = processor.post(Noted { number: 1 }).await;
    assert!(matches!(refused, Err(PostError::NotSent { .. })), "{refused:?}");
    let status = processor.outbox().status().await.unwrap();
    assert_eq!((status.outstanding, status.dead), (0, 1));
    processor.post(Noted { number: 2 }).await.unwrap();
    assert_eq!(numbers(&broker), [2]);
    processor.close().await;
}

/// Which of the ids are of a topic in order it cannot read, so all that wait of such topics are sent.
#[tokio::test]
async fn clearing_keeps_the_order_of_topics_without_reading_messages() {
    let outbox = ListOutbox::default();
    let (broker, builder) = over_a_faulty_broker(outbox.clone()).await;
    let processor = builder.without_sweeper().build().unwrap();
    let messages = [1, 2].map(|number| processor.to_message(&Ordered { number }, None).unwrap());
    outbox.deposit(&messages, None).await.unwrap();
    let second = std::slice::from_ref(&messages[1].header.id);
    let cleared = processor.clear_outbox(second).await.unwrap();
    assert_eq!((cleared.sent, cleared.kept.len()), (1, 0));
    assert_eq!(numbers(&broker), [1, 2]);
    processor.close().await;
}

fn unsupported<T: std::fmt::Debug>(result: Result<T, PostError>) {
    assert!(
        matches!(result, Err(PostError::Outbox(OutboxError::Unsupported(_)))),
        "{result:?}"
    );
}

#[tokio::test]
async fn unsupported_operations_are_typed_errors() {
    let (_broker, builder) = over_a_faulty_broker(ListOutbox::default()).await;
    let processor = builder.build().unwrap();
    let (id, second) = (MessageId::new(), Duration::from_secs(1));
    unsupported(processor.post(Noted { number: 1 }).after(second).await);
    unsupported(processor.outbox().cancel(&id).await);
    unsupported(processor.outbox().reschedule(&id).after(second).await);
    unsupported(processor.outbox().repost(&id).await);
    unsupported(processor.outbox().repost_all(&Selection::all()).await);
    unsupported(processor.outbox().state(&id).await);
    unsupported(processor.outbox().dead(10).await);
    unsupported(processor.outbox().scheduled(10).await);
    unsupported(processor.outbox().revive(std::slice::from_ref(&id)).await);
    unsupported(processor.outbox().archive(&Archiver::delete_after(second)).await);

    let mut transaction = ListTransaction::default();
    let later = processor
        .deposit_post(&mut transaction, Noted { number: 2 })
        .after(second);
    unsupported(later.await);
    let cancelled = processor.outbox().cancel(&id).within(&mut transaction).await;
    unsupported(cancelled);
    let outbox = ListOutbox::default();
    let cancelled = transaction.cancel(&outbox, &id).await;
    assert!(
        matches!(cancelled, Err(OutboxError::Unsupported(_))),
        "{cancelled:?}"
    );
    let rescheduled = transaction.reschedule(&outbox, &id, second).await;
    assert!(
        matches!(rescheduled, Err(OutboxError::Unsupported(_))),
        "{rescheduled:?}"
    );
    processor
        .deposit_post(&mut transaction, Noted { number: 3 })
        .await
        .unwrap();
    assert_eq!(transaction.0.len(), 1);
    processor.close().await;
}

fn only(built: Result<CommandProcessor, BuildErrors>) -> BuildError {
    let errors = built.unwrap_err();
    let mut errors = errors.iter().cloned();
    let (first, second) = (errors.next().unwrap(), errors.next());
    assert_eq!(second, None);
    first
}

struct Replays;

#[handler]
impl Handler<Noted> for Replays {
    #[use_inbox(step = 1, on_duplicate = replay)]
    async fn handle(&self, _: &Noted) -> Result<(), BoxError> {
        Ok(())
    }
}

#[tokio::test]
async fn build_refuses_an_outbox_lacking_a_capability() {
    let archiver = CommandProcessor::builder()
        .outbox(ListOutbox::default())
        .archiver(Archiver::delete_after(Duration::from_secs(1)));
    let error = only(archiver.build());
    assert_eq!(error, BuildError::OutboxCannotArchive);
    assert!(error.to_string().contains("remove `.archiver(…)`"), "{error}");

    let replays = CommandProcessor::builder()
        .handler(Replays)
        .inbox(InMemoryInbox::new())
        .outbox(ListOutbox::default());
    let error = only(replays.build()).to_string();
    assert!(error.contains("cannot send dispatched messages again"), "{error}");
}
