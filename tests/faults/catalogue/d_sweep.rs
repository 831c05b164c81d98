//! What the outbox has to send: D03, D04, D05.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::mapper::Postable;
use brighter::outbox::{Claim, Failure, Outbox};
use brighter::prelude::*;
use brighter::{PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_faults::books::{Books, Order, Orders, Receipt, Role};
use brighter_faults::desk::Pay;
use brighter_faults::node::{self, Node};
use brighter_faults::place::{Place, message};
use brighter_faults::process::Process;
use brighter_faults::proxy::Proxy;
use brighter_faults::scale::{report, size};
use brighter_faults::traffic::{consume, next};
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, postgres};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

/// Far more than the lines of a small application need, far less than the rows do.
const MEMORY: usize = 100 << 20;

/// Numbers from 1 on, which have piled up while the broker was gone, in the order in which they came when it was back.
async fn piled_up(how: &str, sweeper: Sweeper, rows: i64) -> Vec<i64> {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::at(&node, proxy.address());
    let broker = place.connect().await;
    let channel = place.channel("d03", Pay::TOPIC);
    drop(consume(&broker, &channel).await);
    proxy.refuse(true);
    proxy.reset();
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("d03.db")).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .sweeper(sweeper.interval(Duration::from_millis(20)))
        .build()
        .unwrap();
    let mut stored = 0;
    while stored < rows {
        let some: Vec<_> = (stored + 1..=stored + 1_000).map(Pay::new).collect();
        let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        processor.deposit_posts(&mut tx, some).await.unwrap();
        tx.commit().await.unwrap();
        stored += 1_000;
    }
    let outstanding = outbox.status().await.unwrap().outstanding;
    assert_eq!(i64::try_from(outstanding), Ok(rows), "nothing was sent");
    let before = resident();
    proxy.refuse(false);
    let begun = std::time::Instant::now();
    until_sent(&outbox).await;
    let (took, grown) = (begun.elapsed(), resident().saturating_sub(before));
    report(
        "D03",
        format_args!(
            "{rows} rows sent {how} in {took:?}, {} MB more memory",
            grown >> 20
        ),
    );
    assert!(grown < MEMORY, "grown by {grown} bytes");
    // Straight, for the way through the proxy is slow.
    let straight = place.builder_at(node.url()).connect().await.unwrap();
    let mut consumer = consume(&straight, &channel).await;
    let (mut came, mut missing) = (Vec::new(), rows);
    let mut known = vec![false; usize::try_from(rows).unwrap() + 1];
    while missing > 0 {
        let delivery = next(&mut consumer).await;
        let pay: Pay = serde_json::from_slice(delivery.message().unwrap().body.as_bytes()).unwrap();
        let known = &mut known[usize::try_from(pay.amount).unwrap()];
        missing -= i64::from(!std::mem::replace(known, true));
        came.push(pay.amount);
        delivery.ack().await.unwrap();
    }
    processor.close().await;
    straight.close().await;
    capture::assert_no_password();
    came
}

/// One after the other, as each looks at the memory of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d03_the_backlog_of_an_outage_is_sent_in_order() {
    let rows = size(2_000, 100_000);
    in_order(&piled_up("in batches", Sweeper::default(), rows).await, rows);

    let rows = size(1_000, 20_000);
    let sweeper = Sweeper::default().in_order(Pay::TOPIC);
    in_order(&piled_up("one by one", sweeper, rows).await, rows);
}

fn in_order(came: &[i64], rows: i64) {
    let mut last = 0;
    for number in came {
        // One whose confirm was lost comes a second time, behind others.
        assert!(*number <= last + 1, "{number} after {last}");
        last = last.max(*number);
    }
    assert_eq!(last, rows);
}

/// As long as there is progress, however long it takes.
async fn until_sent(outbox: &SqliteOutbox) {
    let mut left = u64::MAX;
    while left > 0 {
        let before = left;
        until_answer("progress", true, async || {
            left = outbox.status().await.unwrap().outstanding;
            left < before
        })
        .await;
    }
}

/// The memory of this process in bytes; none where the system does not tell.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// A place with a queue for the orders.
async fn place(node: &Node) -> Place {
    let place = Place::new(node);
    let broker = place.connect().await;
    drop(consume(&broker, &place.channel("orders", Order::TOPIC)).await);
    drop(consume(&broker, &place.channel("receipts", Receipt::TOPIC)).await);
    broker.close().await;
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d04_three_sweepers_share_rows_and_take_over_dead_ones() {
    let program = env!("CARGO_BIN_EXE_faults-books");
    let node = node::shared().await;
    let server = postgres::shared().await;
    for books in [Books::sqlite().await, Books::postgres(server).await] {
        let place = place(&node).await;
        let mut orders = Orders::new(&place, &books);
        // The even ones are sent at once by the process that stores them.
        orders.total = size(301, 3_001);
        orders.role = Role::Producer;
        let queue = place.queue("orders");
        let total = orders.total;
        let producer = Process::start(program, &orders, "");
        until_answer("orders", usize::try_from(total).unwrap(), async || {
            books.numbers("orders").await.len()
        })
        .await;
        until_answer("unsent", total / 2 + 1, async || books.unsent().await).await;
        drop(producer);
        orders.role = Role::Sweeper;
        // It has claimed a hundred rows, and sends none.
        let mut busy = Process::start(program, &orders, "sweep.claimed=stop");
        busy.says("stopped", 1).await;
        let others = [(); 2].map(|()| Process::start(program, &orders, ""));
        until_answer("the others sent by two", true, async || {
            books.unsent().await <= 100
        })
        .await;
        busy.kill().await;
        let waited = until_answer("unsent", 0, async || books.unsent().await).await;
        drop(others);
        let expected = usize::try_from(total).unwrap();
        let (sent, _) = node.depth(&queue).await;
        assert_eq!(sent, expected, "each was sent once");
        report(
            "D04",
            format_args!("{sent} sent once each; the rows of the dead after {waited:?}"),
        );
    }
    capture::assert_no_password();
}

/// A database whose clock can be put on and back: its functions for the time are found in another place first.
async fn with_its_own_clock() -> PgPool {
    let server = postgres::shared().await;
    let url = server.url(&server.database().await);
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", "public,pg_catalog")]);
    let pool = PgPoolOptions::new()
        .max_connections(4)
        .connect_with(options)
        .await
        .unwrap();
    let clock = "CREATE TABLE clock (ahead interval NOT NULL); INSERT INTO clock VALUES ('0'); \
         CREATE FUNCTION statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS \
         'SELECT pg_catalog.statement_timestamp() + (SELECT ahead FROM clock)'";
    sqlx::raw_sql(clock).execute(&pool).await.unwrap();
    pool
}

async fn set_clock(pool: &PgPool, ahead: &str) {
    let set = AssertSqlSafe(format!("UPDATE clock SET ahead = '{ahead}'"));
    sqlx::raw_sql(set).execute(pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d05_leases_use_the_database_clock() {
    let pool = with_its_own_clock().await;
    let outbox = PostgresOutbox::from_pool(pool.clone()).await.unwrap();
    let lease = Duration::from_secs(60);
    let claim = async || {
        let all = Claim::Oldest {
            limit: 10,
            min_age: Duration::ZERO,
            except: &[],
        };
        let claimed = outbox.claim(all, lease).await.unwrap();
        claimed
            .into_iter()
            .map(|it| it.message.header.id.to_string())
            .collect::<Vec<_>>()
    };
    // Ten minutes apart from the clock of this process, in both directions.
    for ahead in ["10 min", "-10 min"] {
        set_clock(&pool, ahead).await;
        let id = format!("d05 {ahead}");
        outbox.deposit(&[message("D05", &id)], None).await.unwrap();
        assert_eq!(claim().await, std::slice::from_ref(&id));
        assert!(claim().await.is_empty(), "{ahead}: another's lease holds");
        // Just before its end, and after it.
        set_clock(&pool, &format!("{ahead} 50 sec")).await;
        assert!(claim().await.is_empty(), "{ahead}: it still holds");
        set_clock(&pool, &format!("{ahead} 61 sec")).await;
        assert_eq!(claim().await, std::slice::from_ref(&id), "{ahead}: it has ended");
        // What failed is due in a minute. The clock steps back before it is.
        outbox
            .mark_failed(&[Failure::new(id.as_str().into(), "no", lease)])
            .await
            .unwrap();
        outbox.release(&[id.as_str().into()]).await.unwrap();
        set_clock(&pool, "-1 hour").await;
        assert!(claim().await.is_empty(), "{ahead}: nothing is early");
        set_clock(&pool, "1 hour").await;
        assert_eq!(
            claim().await,
            std::slice::from_ref(&id),
            "{ahead}: nothing is forgotten"
        );
        outbox.mark_dispatched(&[id.as_str().into()]).await.unwrap();
    }
}
