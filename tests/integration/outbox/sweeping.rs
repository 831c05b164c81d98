//! When the sweeper looks, and for what.

use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::message::Message;
use brighter::outbox::{Arrival, Arrivals, Claim, Inspection, MessageState, Outbox, Scheduling};
use brighter::prelude::*;
use brighter::testing::outbox::some_message;
use brighter::testing::{FaultyBroker, PublishFault};
use brighter::{MessageId, SqliteOutbox, Sweeper};
use brighter_tests::wait::{until, until_eq};
use futures_util::{FutureExt, stream};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::Instant;

use super::watched::Watched;
use crate::log::Log;

const SECOND: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_hours(1);

/// A processor that sweeps so, over a broker with a channel for whatever `some_message` makes.
fn faulty(outbox: impl Outbox, sweeper: Sweeper) -> (FaultyBroker, CommandProcessor) {
    let inner = InMemoryBroker::new();
    inner
        .declare(&Channel::new("all", "#"))
        .now_or_never()
        .unwrap()
        .unwrap();
    let broker = FaultyBroker::new(inner);
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox)
        .sweeper(sweeper)
        .build()
        .unwrap();
    (broker, processor)
}

fn id(message: &Message) -> MessageId {
    message.header.id.clone()
}

fn sent(broker: &InMemoryBroker) -> Vec<MessageId> {
    let messages = broker.messages("all").into_iter();
    messages.map(|message| message.header.id).collect()
}

#[tokio::test(start_paused = true)]
async fn claims_of_a_dead_process_are_swept_next() {
    let outbox = InMemoryOutbox::new();
    let message = some_message();
    let claimed_for = Some(10 * SECOND);
    outbox
        .deposit(std::slice::from_ref(&message), claimed_for)
        .await
        .unwrap();
    let (broker, _processor) = faulty(outbox.clone(), Sweeper::default().interval(100 * SECOND));
    // Give or take a tenth.
    tokio::time::sleep(85 * SECOND).await;
    assert_eq!(sent(broker.inner()), [], "nobody says when a claim has ended");
    tokio::time::sleep(30 * SECOND).await;
    until_eq("sent", vec![message.header.id], || sent(broker.inner())).await;
}

#[tokio::test(start_paused = true)]
async fn messages_are_swept_only_at_their_minimum_age() {
    let outbox = InMemoryOutbox::new();
    let (broker, _processor) = faulty(
        outbox.clone(),
        Sweeper::default().interval(NEVER).min_age(60 * SECOND),
    );
    tokio::time::sleep(SECOND).await;
    let message = some_message();
    outbox
        .deposit(std::slice::from_ref(&message), None)
        .await
        .unwrap();
    tokio::time::sleep(59 * SECOND).await;
    assert_eq!(sent(broker.inner()), []);
    tokio::time::sleep(2 * SECOND).await;
    until_eq("sent", vec![message.header.id], || sent(broker.inner())).await;
}

/// A processor whose outbox is watched, over a broker that may be away.
fn watched(outbox: Watched<InMemoryOutbox>, interval: Duration) -> (FaultyBroker, CommandProcessor) {
    faulty(outbox, Sweeper::default().interval(interval))
}

#[tokio::test(start_paused = true)]
async fn an_outage_slows_the_sweeper_despite_arrivals() {
    let outbox = InMemoryOutbox::new();
    let watched_outbox = Watched::new(outbox.clone());
    let seen = watched_outbox.seen();
    outbox.deposit(&[some_message()], None).await.unwrap();
    let (broker, _processor) = watched(watched_outbox, SECOND);
    broker.every_publish(Some(PublishFault::Away));
    tokio::time::sleep(30 * SECOND).await;
    // At 0, 2, 6, 14 and 24 seconds, each wait a tenth more or less.
    assert!((5..=6).contains(&seen.looks()), "{}", seen.looks());
    for _ in 0..30 {
        outbox.deposit(&[some_message()], None).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    // Every ten seconds.
    assert!((7..=9).contains(&seen.looks()), "{}", seen.looks());
    broker.every_publish(None);
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(sent(broker.inner()).len(), 31);
}

/// Arrivals that are told of by hand.
fn announced() -> (Sender<Arrival>, Arrivals) {
    let (come, coming) = mpsc::channel(1);
    let arrivals = stream::unfold(coming, async |mut coming| Some((coming.recv().await?, coming)));
    (come, Arrivals::new(arrivals))
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_polls_for_pending_claims_at_growing_intervals() {
    let (come, arrivals) = announced();
    let outbox = Watched::new(InMemoryOutbox::new()).telling(arrivals);
    let seen = outbox.seen();
    let (_broker, _processor) = watched(outbox, 10 * SECOND);
    until_eq("the first look", 1, || seen.looks()).await;
    come.send(Arrival::ToCome).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    // After 5, 15, 35, 75, 155, 315 and 635 milliseconds.
    assert_eq!(seen.looks(), 1 + 7);
    tokio::time::sleep(60 * SECOND).await;
    // After 1.3, 2.6 and 5.1 seconds, and then every ten, each a tenth more or less.
    assert!((16..=17).contains(&seen.looks()), "{}", seen.looks());
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_stops_polling_once_the_message_came() {
    let (come, arrivals) = announced();
    let inner = InMemoryOutbox::new();
    let outbox = Watched::new(inner.clone()).telling(arrivals);
    let seen = outbox.seen();
    let (broker, _processor) = watched(outbox, 10 * SECOND);
    until_eq("the first look", 1, || seen.looks()).await;
    come.send(Arrival::ToCome).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(seen.looks(), 1 + 4);
    // It is committed, which nobody says.
    inner.deposit(&[some_message()], None).await.unwrap();
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(sent(broker.inner()).len(), 1);
    // It was found, and then that there is no more.
    assert_eq!(seen.looks(), 1 + 4 + 2);
}

#[tokio::test(start_paused = true)]
async fn due_messages_are_queried_per_interval_not_per_arrival() {
    let outbox = InMemoryOutbox::new();
    let watched_outbox = Watched::new(outbox.clone());
    let seen = watched_outbox.seen();
    let (_broker, _processor) = watched(watched_outbox, 10 * SECOND);
    tokio::time::sleep(200 * SECOND).await;
    assert_eq!(seen.looks_for_due(), seen.looks(), "at every interval");
    let before = seen.looks_for_due();
    for _ in 0..100 {
        outbox.deposit(&[some_message()], None).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    let times = seen.looks_for_due() - before;
    assert!((8..=13).contains(&times), "{times} in a hundred seconds");
}

#[tokio::test(start_paused = true)]
async fn many_due_messages_are_sent_in_one_interval() {
    let outbox = InMemoryOutbox::new();
    for _ in 0..250 {
        outbox.schedule(&some_message(), SECOND).await.unwrap();
    }
    let (broker, _processor) = watched(Watched::new(outbox), 10 * SECOND);
    tokio::time::sleep(12 * SECOND).await;
    assert_eq!(sent(broker.inner()).len(), 250);
}

#[tokio::test(start_paused = true)]
async fn while_a_topic_is_paused_nothing_of_it_is_tried() {
    let outbox = InMemoryOutbox::new();
    let sweeper = Sweeper::default().pause_topic_after(2, 60 * SECOND);
    let (broker, _processor) = faulty(outbox.clone(), sweeper);
    broker.every_publish(Some(PublishFault::Refuse));
    let message = some_message();
    outbox
        .deposit(std::slice::from_ref(&message), None)
        .await
        .unwrap();
    let attempts = async || match outbox.state(&message.header.id).await.unwrap() {
        Some(MessageState::Outstanding { attempts, .. }) => attempts,
        other => panic!("{other:?}"),
    };
    tokio::time::sleep(50 * SECOND).await;
    assert_eq!(attempts().await, 2);
    // A tenth more or less than a minute after the second.
    tokio::time::sleep(25 * SECOND).await;
    assert_eq!(attempts().await, 3, "its pause is over");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_one_message_is_retried_at_once() {
    let outbox = InMemoryOutbox::new();
    let (broker, _processor) = watched(Watched::new(outbox.clone()), NEVER);
    broker.next_publishes([PublishFault::Away]);
    let two = [some_message(), some_message()];
    let began = Instant::now();
    outbox.deposit(&two, None).await.unwrap();
    let [first, second] = &two;
    let expected = vec![id(second), id(first)];
    until_eq("both", expected, || sent(broker.inner())).await;
    let after = began.elapsed();
    assert!(after < SECOND, "after {after:?}, as if the broker were away");
}

#[tokio::test(start_paused = true)]
async fn without_pauses_no_topic_is_paused() {
    for (sweeper, paused) in [(Sweeper::default(), 1), (Sweeper::default().without_pauses(), 0)] {
        let outbox = InMemoryOutbox::new();
        let (broker, processor) = faulty(outbox.clone(), sweeper);
        broker.every_publish(Some(PublishFault::Refuse));
        for _ in 0..7 {
            outbox.deposit(&[some_message()], None).await.unwrap();
            tokio::time::sleep(SECOND / 2).await;
        }
        assert_eq!(processor.outbox().paused_topics().len(), paused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_the_order_of_a_topic() {
    let outbox = InMemoryOutbox::new();
    let messages: Vec<_> = (0..3).map(|_| some_message()).collect();
    let topic = messages[0].header.topic.clone();
    let (broker, _processor) = faulty(outbox.clone(), Sweeper::default().in_order(topic));
    broker.next_publishes([PublishFault::Refuse]);
    outbox.deposit(&messages, None).await.unwrap();
    let ids: Vec<_> = messages.iter().map(id).collect();
    until_eq("all in order", ids, || sent(broker.inner())).await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_releases_the_prefetched_batch() {
    let outbox = InMemoryOutbox::new();
    let messages: Vec<_> = (0..4).map(|_| some_message()).collect();
    outbox.deposit(&messages, None).await.unwrap();
    let (broker, _processor) = faulty(outbox.clone(), Sweeper::default().batch(2));
    broker.every_publish(Some(PublishFault::Away));
    tokio::time::sleep(5 * SECOND).await;
    broker.every_publish(None);
    // Well before its claim would end.
    tokio::time::sleep(12 * SECOND).await;
    let ids: Vec<_> = messages.iter().map(id).collect();
    assert_eq!(sent(broker.inner()), ids);
}

#[tokio::test(start_paused = true)]
async fn once_told_to_close_it_claims_nothing_more() {
    let outbox = InMemoryOutbox::new();
    outbox.deposit(&[some_message()], None).await.unwrap();
    let watched_outbox = Watched::new(outbox.clone());
    let seen = watched_outbox.seen();
    let (broker, processor) = watched(watched_outbox, NEVER);
    broker.every_publish(Some(PublishFault::Delay(SECOND)));
    until("one is claimed", || seen.looks() == 1).await;
    processor.close().await;
    assert_eq!(sent(broker.inner()).len(), 1);
    tokio::time::sleep(SECOND).await;
    assert_eq!(seen.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_only_for_messages_under_way() {
    let outbox = InMemoryOutbox::new();
    let messages: Vec<_> = (0..100).map(|_| some_message()).collect();
    outbox.deposit(&messages, None).await.unwrap();
    let (broker, processor) = faulty(outbox.clone(), Sweeper::default().batch(10));
    broker.every_publish(Some(PublishFault::Delay(SECOND)));
    until("some are sent", || !sent(broker.inner()).is_empty()).await;
    processor.close().await;
    let sent = sent(broker.inner()).len();
    assert!(sent <= 30, "{sent}");
    let left = outbox.status().await.unwrap().outstanding;
    assert_eq!(left, 100 - sent as u64);
}

#[tokio::test(start_paused = true)]
async fn broker_outage_and_return_are_logged_once_each() {
    let log = Log::default();
    let _here = log.here();
    let outbox = InMemoryOutbox::new();
    let (broker, _processor) = watched(Watched::new(outbox.clone()), SECOND);
    let lines = || ["broker unreachable", "sending again"].map(|text| log.lines_with(text).len());
    for times in 1..=2 {
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(lines(), [times - 1; 2], "nothing new while all is well");
        broker.every_publish(Some(PublishFault::Away));
        outbox.deposit(&[some_message()], None).await.unwrap();
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(lines(), [times, times - 1]);
        broker.every_publish(None);
        tokio::time::sleep(12 * SECOND).await;
        assert_eq!(lines(), [times; 2]);
    }
}

/// A broker that is away, an outbox that takes nothing back, and three messages which the sweeper has claimed and
/// cannot get rid of.
struct Stuck {
    log: Log,
    _here: tracing::subscriber::DefaultGuard,
    broker: FaultyBroker,
    outbox: SqliteOutbox,
    held: Vec<Message>,
    _processor: CommandProcessor,
    _folder: tempfile::TempDir,
}

impl Stuck {
    async fn with(sweeper: Sweeper) -> Self {
        let log = Log::default();
        let here = log.here();
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
        let no_release = "CREATE TRIGGER no_release BEFORE UPDATE OF claimed_until ON brighter_outbox \
             WHEN new.outstanding = 1 AND new.claimed_until < old.claimed_until \
             BEGIN SELECT RAISE(ABORT, 'nothing is taken back today'); END";
        sqlx::query(no_release).execute(outbox.pool()).await.unwrap();
        let held: Vec<_> = (0..3).map(|_| some_message()).collect();
        outbox.deposit(&held, None).await.unwrap();
        // Before it first looks, which is when this waits.
        let (broker, processor) = faulty(outbox.clone(), sweeper.interval(Duration::from_millis(5)));
        broker.every_publish(Some(PublishFault::Away));
        until("the outbox takes nothing back", || {
            log.has_line(&[
                "WARN",
                "sweeping the outbox failed",
                "nothing is taken back today",
            ])
        })
        .await;
        Self {
            log,
            _here: here,
            broker,
            outbox,
            held,
            _processor: processor,
            _folder: folder,
        }
    }

    /// All is well again, with one more message.
    async fn mend(&self) -> MessageId {
        let later = some_message();
        self.outbox
            .deposit(std::slice::from_ref(&later), None)
            .await
            .unwrap();
        self.broker.every_publish(None);
        let drop_trigger = "DROP TRIGGER no_release";
        sqlx::query(drop_trigger)
            .execute(self.outbox.pool())
            .await
            .unwrap();
        id(&later)
    }
}

#[tokio::test]
async fn unreleased_messages_go_before_later_ones() {
    // Their claim does not end within this test.
    let stuck = Stuck::with(Sweeper::default().lease(NEVER)).await;
    until("it was tried again", || {
        stuck.log.lines_with("could not record outcomes").len() > 2
    })
    .await;
    let later = stuck.mend().await;
    let all: Vec<_> = stuck.held.iter().map(id).chain([later]).collect();
    until_eq("all in order", all, || sent(stuck.broker.inner())).await;
    assert_eq!(
        stuck.log.lines_with("sweeping the outbox failed").len(),
        1,
        "{:?}",
        stuck.log
    );
}

#[tokio::test]
async fn messages_claimed_by_another_are_not_released() {
    let stuck = Stuck::with(Sweeper::default().lease(SECOND)).await;
    let all = Claim::Oldest {
        limit: 10,
        min_age: Duration::ZERO,
        except: &[],
    };
    let mut theirs = Vec::new();
    let deadline = tokio::time::Instant::now() + brighter_tests::wait::deadline();
    while theirs.len() < stuck.held.len() {
        assert!(tokio::time::Instant::now() < deadline, "the claims do not end");
        theirs.extend(stuck.outbox.claim(all, NEVER).await.unwrap());
    }
    let later = stuck.mend().await;
    until("sent", || !sent(stuck.broker.inner()).is_empty()).await;
    assert_eq!(sent(stuck.broker.inner()), [later], "{:?}", stuck.log);
}

/// It could wait for that forever.
#[tokio::test]
async fn failed_recording_blocks_later_messages_until_claims_end() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let no_marks = "CREATE TRIGGER no_marks BEFORE UPDATE OF outstanding ON brighter_outbox \
         WHEN new.outstanding = 0 BEGIN SELECT RAISE(ABORT, 'no marks today'); END";
    sqlx::query(no_marks).execute(outbox.pool()).await.unwrap();
    let sweeper = Sweeper::default()
        .interval(Duration::from_millis(5))
        .lease(Duration::from_millis(300));
    let (broker, _processor) = faulty(outbox.clone(), sweeper);
    for message in [some_message(), some_message()] {
        let id = id(&message);
        outbox.deposit(&[message], None).await.unwrap();
        until("it is sent", || sent(broker.inner()).contains(&id)).await;
    }
}
