//! The transport under a [`Dispatcher`]: what makes a broker of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::ending_streams::EndingStreams;
use crate::dispatcher::Dispatcher;
use crate::handler::Handler;
use crate::in_memory::outbox::InMemoryOutbox;
use crate::pipeline::{HandlerPipeline, HandlerService, Pipeline, Wiring};
use crate::processor::CommandProcessor;
use crate::subscription::Subscription;
use brighter_conformance::transport::Harness;
use brighter_conformance::transport::tools::*;
use brighter_core::channel::{Broker, Channel};
use brighter_core::context::Context;
use brighter_core::error::BoxError;
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, Postable};
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter_core::request::{Event, Request, RequestKind};

const TOPIC: &str = "Note";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    key: usize,
    number: usize,
}

impl Request for Note {
    type Reply = ();
    const KIND: RequestKind = RequestKind::Event;
}

impl Event for Note {}

impl Postable for Note {
    const TOPIC: &'static str = TOPIC;
    type Mapper = JsonMapper;
}

fn message(key: usize, number: usize) -> Message {
    let header = MessageHeader::new(MessageId::new(), TOPIC, MessageType::Event);
    Message::new(
        header,
        MessageBody::new(format!(r#"{{"key":{key},"number":{number}}}"#)),
    )
}

/// Notes what it handles, when it is let, and fails as often as it is told.
#[derive(Clone)]
struct Clerk {
    done: Arc<Mutex<Vec<(usize, usize)>>>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    /// How often a note fails before it works.
    failures: fn(&Note) -> u32,
}

impl Clerk {
    fn new(failures: fn(&Note) -> u32) -> Self {
        let clerk = Self::gated();
        clerk.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        Self { failures, ..clerk }
    }

    fn gated() -> Self {
        Self {
            done: Arc::default(),
            now: Arc::default(),
            most: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            failures: |_| 0,
        }
    }

    fn done(&self) -> Vec<(usize, usize)> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn until_done<H: Harness>(&self, harness: &H, count: usize) {
        answer(harness, &format!("{count} are handled"), async || {
            (self.done().len() >= count).then_some(())
        })
        .await;
    }

    async fn until_now<H: Harness>(&self, harness: &H, count: usize) {
        answer(harness, &format!("{count} are being handled"), async || {
            (self.now.load(Ordering::Relaxed) == count).then_some(())
        })
        .await;
    }
}

/// One more is being handled.
struct HandlingCount(Arc<AtomicUsize>);

impl Drop for HandlingCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handler<Note> for Clerk {
    type Error = BoxError;

    async fn handle(&self, note: &Note, cx: &Context) -> Result<(), BoxError> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let _counted = HandlingCount(Arc::clone(&self.now));
        self.most.fetch_max(now, Ordering::Relaxed);
        self.gate.acquire().await?.forget();
        if cx.attempt() <= (self.failures)(note) {
            return Err("not yet".into());
        }
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push((note.key, note.number));
        Ok(())
    }
}

impl HandlerPipeline<Note> for Clerk {
    fn pipeline(handler: Arc<Self>, _: &mut Wiring<'_>) -> Pipeline<Note> {
        Pipeline::new(HandlerService::new(handler))
    }
}

/// A subscription to this channel.
fn subscription(channel: &Channel) -> Subscription<Note> {
    let subscription = Subscription::new("notes")
        .channel(&channel.name)
        .routing_keys(channel.routing_keys.iter())
        .dead_letters(&channel.dead_letters)
        .invalid_messages(&channel.invalid_messages)
        .delays([Duration::ZERO]);
    match channel.queue_type {
        Some(queue_type) => subscription.queue_type(queue_type),
        None => subscription,
    }
}

/// A dispatcher of this subscription, consuming.
async fn consuming<H: Harness>(harness: &H, clerk: &Clerk, subscription: Subscription<Note>) -> Dispatcher {
    consuming_from(harness, harness.connect().await, clerk, subscription).await
}

/// Consumes from this broker.
async fn consuming_from<H: Harness>(
    harness: &H,
    broker: impl Broker,
    clerk: &Clerk,
    subscription: Subscription<Note>,
) -> Dispatcher {
    let processor = CommandProcessor::builder()
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .handler(clerk.clone())
        .build()
        .expect("a processor");
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap_or_else(|errors| panic!("no dispatcher can be had on this transport: {errors}"));
    dispatcher.receive();
    within(
        harness,
        "the dispatcher consumes",
        dispatcher.wait_until_consuming(),
    )
    .await;
    dispatcher
}

/// A message whose handler fails comes again, each attempt counted, and is a dead letter after the last.
pub async fn an_error_brings_a_message_again_until_it_is_a_dead_letter<H: Harness>(harness: &H) {
    let clerk = Clerk::new(|note| match note.number {
        0 => 2,
        1 => u32::MAX,
        _ => 0,
    });
    let channel = harness.channel("retried", TOPIC);
    let dispatcher = consuming(harness, &clerk, subscription(&channel).attempts(3)).await;
    let broker = harness.connect().await;
    let sent = [message(0, 0), message(0, 1), message(0, 2)];
    publish(harness, &broker, &sent).await;
    let beside = Channel::existing(channel.dead_letters.clone());
    let mut dead = consume(harness, &broker, &beside).await;
    let letters = take(harness, &mut dead, 1).await;
    assert_same("the dead letter", &letters, &sent[1..2]);
    assert_eq!(letters[0].header.handled_count, 2, "attempts before the last");
    clerk.until_done(harness, 2).await;
    let mut done = clerk.done();
    done.sort_unstable();
    assert_eq!(done, [(0, 0), (0, 2)]);
    nothing(harness, &mut dead, "the others work").await;
    dispatcher.end().await;
}

/// The messages of each key are handled in their order, though some fail and come again.
pub async fn the_order_of_each_key_holds<H: Harness>(harness: &H) {
    const KEYS: usize = 4;
    const EACH: usize = 25;
    const BLOCK: usize = 5;
    let clerk = Clerk::new(|note| u32::from(note.number % 10 == note.key));
    let channel = harness.channel("by-key", TOPIC);
    let subscription = subscription(&channel)
        .ordered_by(|note: &Note| note.key)
        .concurrency(KEYS);
    let dispatcher = consuming(harness, &clerk, subscription).await;
    let broker = harness.connect().await;
    // Neighbours of one key, so that a broker that swaps two is found out.
    let blocks = (0..EACH).step_by(BLOCK).flat_map(|first| {
        (0..KEYS).flat_map(move |key| (first..first + BLOCK).map(move |number| message(key, number)))
    });
    publish(harness, &broker, &blocks.collect::<Vec<_>>()).await;
    clerk.until_done(harness, KEYS * EACH).await;
    let done = clerk.done();
    for key in 0..KEYS {
        let of_key = done
            .iter()
            .filter(|(of, _)| *of == key)
            .map(|(_, number)| *number);
        assert!(
            of_key.clone().eq(0..EACH),
            "key {key}: {:?}",
            of_key.collect::<Vec<_>>()
        );
    }
    dispatcher.end().await;
}

/// Performers are added and taken away while messages are handled: none is lost, none is handled twice.
pub async fn performers_are_added_and_taken_away_while_it_runs<H: Harness>(harness: &H) {
    let clerk = Clerk::gated();
    let channel = harness.channel("scaled", TOPIC);
    let dispatcher = consuming(harness, &clerk, subscription(&channel).buffer(1)).await;
    let broker = harness.connect().await;
    let numbers = 0..200;
    let sent: Vec<_> = numbers.clone().map(|number| message(0, number)).collect();
    publish(harness, &broker, &sent).await;
    clerk.until_now(harness, 1).await;
    dispatcher.scale("notes", 4).expect("there is one of this name");
    clerk.until_now(harness, 4).await;
    clerk.gate.add_permits(8);
    clerk.until_done(harness, 8).await;
    dispatcher.scale("notes", 1).expect("there is one of this name");
    // Whether one that is to end had begun another is not said; that it ends is.
    answer(harness, "one performer is left", async || {
        if clerk.now.load(Ordering::Relaxed) > 1 {
            clerk.gate.add_permits(1);
            return None;
        }
        (dispatcher.status()[0].performers.len() == 1).then_some(())
    })
    .await;
    assert!(clerk.done().len() < sent.len(), "it ended while there was work");
    clerk.gate.add_permits(sent.len());
    clerk.until_done(harness, sent.len()).await;
    let report = within(harness, "the end", dispatcher.end()).await;
    assert!(report.interrupted.is_empty(), "{report:?}");
    let mut done = clerk.done();
    done.sort_unstable();
    assert!(
        done.iter().map(|(_, number)| *number).eq(numbers),
        "handled: {done:?}"
    );
    assert_eq!(clerk.most.load(Ordering::Relaxed), 4, "at once at most");
}

/// How many messages a performer handles at once is raised and lowered while it runs.
pub async fn concurrency_is_raised_and_lowered_while_it_runs<H: Harness>(harness: &H) {
    let clerk = Clerk::gated();
    let channel = harness.channel("throttled", TOPIC);
    let dispatcher = consuming(harness, &clerk, subscription(&channel).buffer(10)).await;
    let broker = harness.connect().await;
    let sent: Vec<_> = (0..20).map(|number| message(0, number)).collect();
    publish(harness, &broker, &sent).await;
    clerk.until_now(harness, 1).await;
    let throttle = |concurrency| {
        let told = dispatcher.throttle("notes", |throttle| throttle.concurrency = concurrency);
        told.expect("there is one of this name");
    };
    throttle(5);
    clerk.until_now(harness, 5).await;
    throttle(2);
    clerk.gate.add_permits(5);
    clerk.until_done(harness, 5).await;
    clerk.until_now(harness, 2).await;
    clerk.gate.add_permits(sent.len());
    clerk.until_done(harness, sent.len()).await;
    let mut done = clerk.done();
    done.sort_unstable();
    assert!(
        done.iter().map(|(_, number)| *number).eq(0..sent.len()),
        "handled: {done:?}"
    );
    dispatcher.end().await;
}

/// Stopping finishes what is being handled, and gives back what was not begun.
pub async fn stopping_completes_what_runs_and_gives_back_the_rest<H: Harness>(harness: &H) {
    let clerk = Clerk::gated();
    let channel = harness.channel("stopped", TOPIC);
    let dispatcher = consuming(harness, &clerk, subscription(&channel).buffer(10)).await;
    let broker = harness.connect().await;
    let sent: Vec<_> = (0..4).map(|number| message(0, number)).collect();
    publish(harness, &broker, &sent).await;
    clerk.until_now(harness, 1).await;
    let (report, ()) = within(harness, "the stop", async {
        tokio::join!(dispatcher.stop("notes"), async {
            tokio::task::yield_now().await;
            clerk.gate.add_permits(1);
        })
    })
    .await;
    let report = report.expect("there is one of this name");
    assert!(report.interrupted.is_empty(), "{report:?}");
    let done = clerk.done();
    assert_eq!(
        done.len(),
        1,
        "what was being handled, and nothing else: {done:?}"
    );
    let mut consumer = consume(harness, &broker, &channel).await;
    let rest = take(harness, &mut consumer, sent.len() - 1).await;
    let handled = |message: &&Message| message.body.as_bytes() != body_of(done[0]).as_bytes();
    let expected: Vec<_> = sent.iter().filter(handled).cloned().collect();
    assert_same("what was not begun", &rest, &expected);
    nothing(harness, &mut consumer, "the first was acked").await;
    broker.close().await;
}

/// A stream that ends without an error, which no broker should, is consumed again, and what it had taken comes.
pub async fn a_stream_that_ends_without_an_error_is_consumed_again<H: Harness>(harness: &H) {
    let clerk = Clerk::new(|_| 0);
    let channel = harness.channel("ending", TOPIC);
    let broker = EndingStreams(harness.connect().await);
    let subscription = subscription(&channel).buffer(10);
    let dispatcher = consuming_from(harness, broker, &clerk, subscription).await;
    let broker = harness.connect().await;
    let numbers = 0..7;
    let sent: Vec<_> = numbers.clone().map(|number| message(0, number)).collect();
    publish(harness, &broker, &sent).await;
    answer(harness, "all are handled", async || {
        let done: BTreeSet<_> = clerk.done().into_iter().map(|(_, number)| number).collect();
        done.into_iter().eq(numbers.clone()).then_some(())
    })
    .await;
    dispatcher.end().await;
}

fn body_of((key, number): (usize, usize)) -> String {
    format!(r#"{{"key":{key},"number":{number}}}"#)
}
