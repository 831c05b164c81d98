//! The process dies, at every step and at random: D01.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::mapper::Postable;
use brighter_faults::books::{Books, Order, Orders, Receipt, Role};
use brighter_faults::node::{self, Node};
use brighter_faults::place::Place;
use brighter_faults::process::Process;
use brighter_faults::scale::{Choices, full, report, size};
use brighter_faults::traffic::consume;
use brighter_faults::wait::deadline;
use brighter_faults::{capture, mariadb, postgres};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep};

const PROGRAM: &str = env!("CARGO_BIN_EXE_faults-books");
/// How many applications die beside each other.
const AT_ONCE: usize = 6;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];

    async fn books(self) -> Books {
        match self {
            Self::Sqlite => Books::sqlite().await,
            Self::Postgres => Books::postgres(postgres::shared().await).await,
            Self::MariaDb => Books::mariadb(mariadb::shared().await).await,
        }
    }
}

/// A place with both queues, so that whatever is sent has somewhere to go.
async fn place(node: &Node) -> Place {
    let place = Place::new(node);
    let broker = place.connect().await;
    drop(consume(&broker, &place.channel("orders", Order::TOPIC)).await);
    drop(consume(&broker, &place.channel("receipts", Receipt::TOPIC)).await);
    broker.close().await;
    place
}

/// Every point that one order passes on its way.
async fn points(node: &Node, kind: Kind) -> Vec<String> {
    let (place, books) = (place(node).await, kind.books().await);
    let process = Process::start(PROGRAM, &Orders::new(&place, &books), "");
    books.done(1).await;
    let said = process.end().await;
    books.check("D01 without a fault", 1).await;
    let passed = said.iter().filter_map(|line| line.strip_prefix("passed "));
    passed
        .filter_map(|line| line.split_once(' '))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// One order, and processes that die at these points, one after the other. Says how many did: a point may not be
/// passed again. The last one passes what it likes.
async fn die_at(node: &Node, kind: Kind, points: &[String]) -> usize {
    let fault = format!("D01 {kind:?} {}", points.join(", then "));
    let (place, books) = (place(node).await, kind.books().await);
    let orders = Orders::new(&place, &books);
    let mut died = 0;
    for point in points {
        let mut process = Process::start(PROGRAM, &orders, &format!("{point}=kill"));
        let begun = Instant::now();
        while process.has_ended().is_none() {
            if books.are_done(1).await {
                break;
            }
            assert!(begun.elapsed() < deadline(), "{fault}: neither dead nor done");
            sleep(Duration::from_millis(20)).await;
        }
        died += usize::from(process.has_ended().is_some_and(|status| !status.success()));
    }
    let mut process = Process::start(PROGRAM, &orders, "");
    books.done(1).await;
    process.kill().await;
    books.check(&fault, 1).await;
    died
}

async fn at_every_step(kind: Kind, is_chosen: impl Fn(&str) -> bool) {
    let node = node::shared().await;
    let points = points(&node, kind).await;
    for step in [
        "order.begun",
        "outbox.row",
        "order.commit",
        "order.committed",
        "sweep.read",
        "sweep.claimed",
        "relay.publish",
        "relay.confirm",
        "relay.mark",
        "database.committed",
        "pump.receive",
        "pump.map",
        "inbox.claim",
        "inbox.claimed",
        "handler.before",
        "effect.begun",
        "effect.done",
        "inbox.complete_in",
        "effect.commit",
        "effect.committed",
        "handler.after",
        "settle.before",
        "settle.after",
    ] {
        assert!(
            points.iter().any(|point| point == step),
            "{step} is not among {points:?}"
        );
    }
    let chosen: Vec<_> = points.iter().filter(|point| is_chosen(point)).collect();
    let died: Vec<usize> = stream::iter(chosen.iter().map(|point| std::slice::from_ref(*point)))
        .map(|point| die_at(&node, kind, point))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let died: usize = died.iter().sum();
    report(
        "D01",
        format_args!("{kind:?}: died at {died} of {} steps", chosen.len()),
    );
    // Whether one is passed may depend on who is faster, as with what is sent at once or swept.
    assert!(died + 3 >= chosen.len(), "died at {died} of {chosen:?}");
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_sqlite_death_at_every_step_has_one_effect() {
    at_every_step(Kind::Sqlite, |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_postgres_death_at_every_step_has_one_effect() {
    at_every_step(Kind::Postgres, |_| true).await;
}

/// The code is that of PostgreSQL but for the SQL: so where nothing new is on the disk is left to the full size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_mariadb_death_at_every_stage_has_one_effect() {
    at_every_step(Kind::MariaDb, |point| full() || STAGES.contains(&point)).await;
}

/// The steps after which something else is on the disk, or with the broker, than before. Who has died between two of
/// them leaves what he had left at the first: so as first deaths these stand for all others, which were each tried
/// alone. Who has died before `order.committed` has left nothing.
const STAGES: [&str; 7] = [
    "order.committed",
    "sweep.claimed",
    "relay.confirm",
    "relay.marked",
    "inbox.claimed",
    "effect.committed",
    "settle.after",
];

/// Every stage with every step at full size; a few that are chosen by a seed else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_two_deaths_lose_nothing_and_have_one_effect() {
    let node = node::shared().await;
    let choices = Choices::seeded("D01 in pairs");
    for kind in Kind::ALL {
        let points = points(&node, kind).await;
        let mut pairs: Vec<[String; 2]> = Vec::new();
        for stage in STAGES {
            assert!(points.iter().any(|point| point == stage), "{stage}: {points:?}");
            pairs.extend(points.iter().map(|second| [stage.to_owned(), second.clone()]));
        }
        let all = pairs.len();
        if !full() {
            let chosen = (0..5).map(|_| usize::try_from(choices.below(all as u64)).unwrap_or(0));
            pairs = chosen.map(|index| pairs[index].clone()).collect();
        }
        let begun = Instant::now();
        let twice = stream::iter(&pairs)
            .map(|pair| die_at(&node, kind, pair))
            .buffer_unordered(AT_ONCE)
            .filter(|died| std::future::ready(*died == 2))
            .count()
            .await;
        report(
            "D01",
            format_args!(
                "{kind:?}: {} of {all} pairs in {:.0?}, in {twice} died twice, seed {}",
                pairs.len(),
                begun.elapsed(),
                choices.seed()
            ),
        );
    }
}

/// Kills the producer, the sweeper and the consumer in random order, and starts each again at once.
async fn kill_at_random(kind: Kind) {
    let node = node::shared().await;
    let choices = Choices::seeded(&format!("D01 at random, {kind:?}"));
    let kills = size(12, 200);
    let (place, books) = (place(&node).await, kind.books().await);
    let mut orders = Orders::new(&place, &books);
    orders.total = size(80, 3_000);
    orders.rest = size(20, 30);
    let start = |role| {
        let orders = Orders {
            role,
            ..orders.clone()
        };
        Process::start(PROGRAM, &orders, "")
    };
    let roles = [Role::Producer, Role::Sweeper, Role::Consumer];
    let mut processes = roles.map(start);
    let mut killed = [0; 3];
    for _ in 0..kills {
        let victim = usize::try_from(choices.below(3)).unwrap_or(0);
        processes[victim].says("up", 1).await;
        // When it is killed is chance, and decides nothing.
        sleep(Duration::from_millis(choices.below(300))).await;
        processes[victim].kill().await;
        killed[victim] += 1;
        processes[victim] = start(roles[victim]);
    }
    let stored = books.numbers("orders").await.len();
    books.done(orders.total).await;
    books
        .check(
            &format!("D01 at random, {kind:?}, BRIGHTER_SEED={}", choices.seed()),
            orders.total,
        )
        .await;
    report(
        "D01",
        format_args!(
            "{kind:?}: killed producer, sweeper, consumer {killed:?} times, {stored} of {} orders stored meanwhile; \
             each has one effect and one receipt",
            orders.total
        ),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_sqlite_random_kills_have_each_effect_once() {
    kill_at_random(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d01_postgres_random_kills_have_each_effect_once() {
    kill_at_random(Kind::Postgres).await;
}
