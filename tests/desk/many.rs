//! A million dead letters on PostgreSQL: `cargo test -p brighter-tests --test desk many -- --ignored --nocapture`.

use std::time::Instant;

use brighter::desk::{DeskFilter, DeskStore, PostgresDesk};
use brighter_tests::databases;

/// Three kinds of error, in a hundred channels, each with a number of its own.
const FILL: &str = "INSERT INTO brighter_desk (message_key, message_id, topic, message_type, source, channel, kind, handler, \
    error_type, error, group_key, attempts, deaths, died_at, state, body_bytes) \
    SELECT md5(n::text) || md5((-n)::text), 'id-' || n, 'Order.Placed', 'MT_EVENT', 'orders.dlq', 'orders-' || n % 100, 0, \
    'TakeOrder', 'failed', 'attempt 3 of 3: ' || (array['no answer within ', 'no row ', 'order is closed: '])[n % 3 + 1] \
    || n || CASE WHEN n = 4711 THEN ' needle' ELSE '' END, n % 300, 3, 1, 1790000000000 + n, CASE WHEN n % 10 = 0 THEN 4 ELSE 0 END, 300 \
    FROM generate_series(1, 1000000) AS n";
const CONTENTS: &str = "INSERT INTO brighter_desk_contents (seq, header, body) \
    SELECT seq, repeat('h', 400), convert_to(repeat('b', 300), 'UTF8') FROM brighter_desk";
const GROUPS: &str = "INSERT INTO brighter_desk_groups (group_key, channel, kind, handler, error_type, pattern, waiting, deaths, \
    first_at, last_at) SELECT group_key, min(channel), 0, 'TakeOrder', 'failed', 'x', count(*) FILTER (WHERE state = 0), count(*), \
    min(died_at), max(died_at) FROM brighter_desk GROUP BY group_key";

#[tokio::test]
#[ignore = "fills a million rows"]
async fn a_million_dead_letters_are_searched_within_a_second() {
    let database = databases::Postgres::new().await;
    let pool = database.pool().await;
    let desk = PostgresDesk::from_pool(pool.clone()).await.unwrap();
    for fill in [FILL, CONTENTS, GROUPS, "ANALYZE"] {
        sqlx::query(fill).execute(&pool).await.unwrap();
    }
    let begun = Instant::now();
    let groups = desk.groups(50).await.unwrap();
    let first = begun.elapsed();
    assert_eq!(groups.len(), 50);
    println!("groups: {first:?}");
    for (filter, expected) in [
        ("state=waiting", 50),
        ("id=id-77777", 1),
        ("error~needle", 1),
        ("error~'no answer'", 50),
        ("error~'nothing of that'", 0),
        ("channel=orders-7 and error~row", 50),
        ("group=0000000000000007 and state=waiting", 50),
        ("age<1h", 0),
    ] {
        let filter: DeskFilter = filter.parse().unwrap();
        let begun = Instant::now();
        let rows = desk.list(&filter, None, 50).await.unwrap();
        let took = begun.elapsed();
        println!("{filter}: {} rows in {took:?}", rows.len());
        assert_eq!(rows.len(), expected, "{filter}");
    }
    let begun = Instant::now();
    let page = desk
        .list(
            &DeskFilter::default(),
            Some(brighter::desk::DeskId::new(500_000)),
            50,
        )
        .await
        .unwrap();
    println!("a page in the middle: {:?}", begun.elapsed());
    assert_eq!(page[0].id.get(), 499_999);
}
