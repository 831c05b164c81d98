//! Very many messages while brokers, connections and consumers are killed by chance: E07.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use brighter::RabbitMq;
use brighter::channel::{Broker, Producer, PublishError, QueueType};
use brighter_faults::capture;
use brighter_faults::consumer::Orders;
use brighter_faults::ledger::Ledger;
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::process::Process;
use brighter_faults::proxy::Proxy;
use brighter_faults::scale::{Choices, report, size};
use brighter_faults::tally;
use brighter_faults::wait::{deadline, until_answer};
use tokio::task::JoinSet;
use tokio::time::sleep;

const PUBLISHERS: usize = 2;
const CONSUMERS: usize = 3;
/// How many messages are handed over at once.
const BATCH: usize = 500;
const TOPIC: &str = "e07";

#[derive(Debug, Clone, Copy)]
enum Harm {
    KillBroker,
    CloseConsumers,
    ClosePublishers,
    Cut,
    KillConsumer(usize),
}

impl Harm {
    fn choose(choices: &Choices) -> Self {
        match choices.below(8) {
            0 => Self::KillBroker,
            1 | 2 => Self::CloseConsumers,
            3 => Self::ClosePublishers,
            4 => Self::Cut,
            _ => Self::KillConsumer(usize::try_from(choices.below(CONSUMERS as u64)).unwrap_or(0)),
        }
    }
}

/// The processes that consume, each with its tally.
struct Consumers {
    orders: Vec<Orders>,
    children: Vec<Process>,
    _folder: tempfile::TempDir,
}

impl Consumers {
    fn start(place: &Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let orders: Vec<_> = (0..CONSUMERS)
            .map(|number| {
                let mut orders = Orders::new(place, TOPIC, &Ledger::open(&folder.path().join("unused")));
                orders.ledger = folder.path().join(format!("tally-{number}"));
                orders
            })
            .collect();
        Self {
            children: orders.iter().map(start).collect(),
            orders,
            _folder: folder,
        }
    }

    async fn kill(&mut self, number: usize) {
        self.children[number].kill().await;
        self.children[number] = start(&self.orders[number]);
    }

    fn tallies(&self) -> impl Iterator<Item = &PathBuf> {
        self.orders.iter().map(|orders| &orders.ledger)
    }

    /// How many handlings there are by now.
    fn count(&self) -> usize {
        self.tallies().map(|path| tally::count(path)).sum()
    }
}

fn start(orders: &Orders) -> Process {
    Process::start(env!("CARGO_BIN_EXE_faults-counter"), orders, "")
}

async fn happen(harm: Harm, node: &Node, place: &Place, proxy: &Proxy, consumers: &mut Consumers) {
    match harm {
        Harm::KillBroker => {
            node.kill().await;
            node.start_again().await;
        }
        Harm::CloseConsumers => {
            node.close_connections(&format!("{} consumer", place.id())).await;
        }
        Harm::ClosePublishers => {
            node.close_connections(&format!("{} publisher", place.id())).await;
        }
        Harm::Cut => proxy.reset(),
        Harm::KillConsumer(number) => consumers.kill(number).await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e07_random_faults_lose_none_of_a_million_messages() {
    let node = node::to_harm().await;
    let choices = Choices::seeded("E07");
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let messages = size(20_000, 1_000_000);
    let mut channel = place.channel(TOPIC, TOPIC);
    channel.queue_type = Some(QueueType::Quorum);
    let broker = place.connect().await;
    // So that the queue is there before the first message.
    drop(broker.consume(&channel).await.unwrap());
    broker.close().await;
    // What a kill finds half declared is no queue, and none of ours.
    node.write_queues().await;

    let begun = Instant::now();
    let mut consumers = Consumers::start(&place);
    let confirmed = Arc::new(AtomicUsize::new(0));
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let broker = place.builder().without_connect_timeout().connect().await.unwrap();
        let share = (publisher..messages).step_by(PUBLISHERS).collect();
        publishers.spawn(publish(broker, share, Arc::clone(&confirmed)));
    }
    let mut harms = 0_u32;
    let mut slowest = (Duration::ZERO, None);
    // As many as there is time for, while messages come and go.
    while confirmed.load(Ordering::Relaxed) < messages || consumers.count() < messages {
        sleep(Duration::from_millis(200 + choices.below(size(300, 4_000)))).await;
        if confirmed.load(Ordering::Relaxed) == messages && consumers.count() >= messages {
            break;
        }
        let harm = Harm::choose(&choices);
        harms += 1;
        happen(harm, &node, &place, &proxy, &mut consumers).await;
        let (cleared, before) = (Instant::now(), consumers.count());
        while consumers.count() == before && before < messages {
            let stalled = cleared.elapsed();
            assert!(
                stalled < deadline(),
                "{harm:?}: nothing has been handled for {stalled:?} since"
            );
            sleep(Duration::from_millis(20)).await;
        }
        slowest = std::cmp::max_by_key(slowest, (cleared.elapsed(), Some(harm)), |(took, _)| *took);
    }
    let mut again = HashSet::new();
    for published_again in publishers.join_all().await {
        again.extend(published_again);
    }
    // What came twice is settled too, and only then is nothing left.
    until_answer("left in the queue", 0, async || {
        node.depth(channel.name.as_str()).await.0
    })
    .await;
    let took = begun.elapsed();

    let verdict = judge(&consumers, messages, &again);
    report(
        "E07",
        format_args!(
            "{messages} messages in {took:.1?} ({:.0}/s), {harms} faults, lost {}, unexpected {}, twice {} \
             (without a mark {}), slowest progress {slowest:.1?}, seed {}",
            messages as f64 / took.as_secs_f64(),
            verdict.lost,
            verdict.unexpected,
            verdict.twice,
            verdict.unmarked,
            choices.seed()
        ),
    );
    assert_eq!((verdict.lost, verdict.unexpected, verdict.unmarked), (0, 0, 0));
    assert!(harms > 0, "there was time for one at least");
    capture::assert_no_password();
}

/// Publishes all of them, each again with the same id until it is confirmed; gives those that were published again.
async fn publish(broker: RabbitMq, mut waiting: Vec<usize>, confirmed: Arc<AtomicUsize>) -> HashSet<u64> {
    let mut again = HashSet::new();
    // The first go first.
    waiting.reverse();
    while !waiting.is_empty() {
        let some = waiting.split_off(waiting.len().saturating_sub(BATCH));
        let made: Vec<_> = some
            .iter()
            .map(|number| message(TOPIC, &number.to_string()))
            .collect();
        let results = broker.publish_all(made.iter().collect()).await;
        for (number, result) in some.into_iter().zip(results) {
            match result {
                Ok(()) => {
                    confirmed.fetch_add(1, Ordering::Relaxed);
                }
                // It may have been taken. A queue that is starting may refuse for a while.
                Err(error) if error.is_outage() || matches!(error, PublishError::Refused { .. }) => {
                    again.insert(number as u64);
                    waiting.push(number);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    broker.close().await;
    again
}

#[derive(Debug, Default)]
struct Verdict {
    lost: usize,
    unexpected: usize,
    twice: usize,
    /// Handled twice, though neither the publisher nor the broker had said that it may be.
    unmarked: usize,
}

fn judge(consumers: &Consumers, messages: usize, again: &HashSet<u64>) -> Verdict {
    let mut verdict = Verdict::default();
    // How often each was handled, and how often of these unmarked by the broker.
    let mut handled = vec![(0_u32, 0_u32); messages];
    for handling in consumers.tallies().flat_map(|path| tally::read(path)) {
        let number = usize::try_from(handling.number).unwrap_or(usize::MAX);
        match handled.get_mut(number) {
            Some((all, unmarked)) => {
                *all += 1;
                *unmarked += u32::from(!handling.again);
            }
            None => verdict.unexpected += 1,
        }
    }
    for (number, (all, unmarked)) in handled.into_iter().enumerate() {
        verdict.lost += usize::from(all == 0);
        verdict.twice += usize::from(all > 1);
        verdict.unmarked += usize::from(unmarked > 1 && !again.contains(&(number as u64)));
    }
    verdict
}
