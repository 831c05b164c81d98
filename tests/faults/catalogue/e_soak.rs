//! A long run with a random fault every few seconds: E06.

use std::time::{Duration, Instant};

use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What};
use brighter_faults::capture;
use brighter_faults::leaks::Held;
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::node::{self, Alone};
use brighter_faults::place::Place;
use brighter_faults::proxy::Proxy;
use brighter_faults::scale::{Choices, report, size};
use brighter_faults::traffic::Traffic;
use brighter_faults::wait::{in_time, until_answer};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const CONFIRM: Duration = Duration::from_secs(30);

/// How long to go on: as long as `cargo xtask faults --soak` says, or some seconds.
fn length() -> Duration {
    let told = std::env::var("BRIGHTER_SOAK")
        .ok()
        .and_then(|told| told.parse().ok());
    Duration::from_secs(told.unwrap_or(size(8, 60)))
}

/// What is done to the application or to its broker.
#[derive(Debug, Clone, Copy)]
enum Harm {
    CloseConsumers,
    ClosePublishers,
    Cut,
    Pause,
    Scale(usize),
    Stop,
}

impl Harm {
    fn choose(choices: &Choices) -> Self {
        match choices.below(6) {
            0 => Self::CloseConsumers,
            1 => Self::ClosePublishers,
            2 => Self::Cut,
            3 => Self::Pause,
            4 => Self::Scale(usize::try_from(choices.below(6)).unwrap_or(0) + 1),
            _ => Self::Stop,
        }
    }

    async fn happen(self, node: &Alone, place: &Place, proxy: &Proxy, app: &App, subscription: &str) {
        let dispatcher = &app.dispatcher;
        match self {
            Self::CloseConsumers => {
                node.close_connections(&format!("{} consumer", place.id())).await;
            }
            Self::ClosePublishers => {
                node.close_connections(&format!("{} publisher", place.id())).await;
            }
            Self::Cut => proxy.reset(),
            Self::Pause => {
                dispatcher.pause(subscription).unwrap();
                sleep(Duration::from_millis(300)).await;
                dispatcher.resume(subscription).unwrap();
            }
            Self::Scale(performers) => dispatcher.scale(subscription, performers).unwrap(),
            Self::Stop => {
                dispatcher.stop(subscription).await.unwrap();
                dispatcher.start(subscription).unwrap();
            }
        }
    }
}

/// What a handler does with the next message: mostly what it should.
fn deed(number: u64) -> What {
    match number % 50 {
        7 => What::Fail(1),
        19 => What::Fail(2),
        31 => What::Sleep(20),
        43 => What::Panic,
        _ => What::Note,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_a_soak_of_random_faults_loses_and_leaks_nothing() {
    let node = node::alone().await;
    let choices = Choices::seeded("E06");
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let ledger = Ledger::new();
    let queue = place.queue("e06");
    let subscription = Subscription::<Deed>::new(queue.as_str())
        .routing_key("e06")
        .performers(2)
        .attempts(4)
        .delays([Duration::from_millis(50)]);
    let app = App::start(broker.clone(), &ledger, [subscription]);
    app.wait_until_consuming().await;

    let stop = CancellationToken::new();
    let traffic = Traffic::new(broker.clone(), &ledger, CONFIRM);
    let publishing: Vec<_> = (0..3_u64)
        .map(|publisher| {
            let (traffic, stop) = (traffic.clone(), stop.clone());
            tokio::spawn(async move {
                let mut panics = Vec::new();
                for number in (publisher * 17).. {
                    if stop.is_cancelled() {
                        break;
                    }
                    let deed = Deed::new(deed(number));
                    if deed.what == What::Panic {
                        panics.push(deed.id.to_string());
                    }
                    traffic.publish(&deed.message("e06")).await;
                    sleep(Duration::from_millis(2)).await;
                }
                panics
            })
        })
        .collect();

    let (begun, length) = (Instant::now(), length());
    let mut harms = 0_u32;
    let mut held = None;
    let mut slowest = (Duration::ZERO, None);
    while begun.elapsed() < length {
        let harm = Harm::choose(&choices);
        harms += 1;
        ledger.fault();
        harm.happen(&node, &place, &proxy, &app, &queue).await;
        ledger.cleared();
        // Progress: something that was published from now on is handled.
        let cleared = Instant::now();
        let mark = Deed::new(What::Note);
        traffic.publish(&mark.message("e06")).await;
        let id = mark.id.to_string();
        until_answer("progress", true, async || app.doer.has_handled(&id)).await;
        slowest = std::cmp::max_by_key(slowest, (cleared.elapsed(), Some(harm)), |(took, _)| *took);
        sleep(Duration::from_millis(choices.below(size(300, 5_000)))).await;
        if harms == 3 {
            app.wait_until_consuming().await;
            held = Some(Held::now());
        }
    }
    stop.cancel();
    let mut panics = Vec::new();
    for publisher in publishing {
        panics.extend(in_time("a publisher", publisher).await.unwrap());
    }
    // All that is not doomed is handled; the others are in the dead-letter queue.
    let doomed = panics.len();
    let attempted = ledger.distinct(Entry::Attempted);
    until_answer("handled", attempted - doomed, async || app.doer.handled()).await;
    let dead_letters = format!("{queue}.dlq");
    until_answer("dead letters", true, async || {
        node.depth(&dead_letters).await.0 >= doomed
    })
    .await;
    panics.iter().for_each(|id| ledger.write(Entry::SetAside, id));
    until_answer("left in the queue", 0, async || node.depth(&queue).await.0).await;

    report(
        "E06",
        format_args!(
            "{harms} faults in {:?}, slowest progress {slowest:?}, seed {}",
            begun.elapsed(),
            choices.seed()
        ),
    );
    ledger.verdict().check("E06");
    app.dispatcher.scale(queue.as_str(), 2).unwrap();
    app.wait_until_consuming().await;
    if let Some(held) = held {
        held.all_is_back().await;
    }
    assert_eq!(proxy.open(), 2);
    app.end().await;
    until_answer("connections", 0, async || proxy.open()).await;
    until_answer("connections of the broker", 0, async || {
        node.connections(place.id()).await
    })
    .await;
    capture::assert_no_password();
}
