//! Tests the query plans of PostgreSQL and MySQL for the statements of the outbox: by an index, and without a sort,
//! whatever statistics they have.

use std::str::FromStr;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, MySql, MySqlPool, PgPool, Postgres, Row};

use super::{OutboxOptions, SqlOutbox};
use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::database::value::Sql;
use brighter_core::id::MessageId;

fn url(name: &str) -> String {
    brighter_test_servers::variable(name).unwrap_or_else(|error| panic!("{error:#}"))
}

fn new_name() -> String {
    format!("brighter_test_{}", MessageId::new()).replace('-', "")
}

/// Returns the statement that inserts messages of 101 topics, from these numbers: seven tenths are dispatched, and one
/// tenth each is outstanding, dead, and scheduled.
fn fill(numbers: &str, number: &str) -> String {
    format!(
        "INSERT INTO brighter_outbox (message_id, topic, message_type, header, body, deposited_at, not_before, \
         dispatched_at, claimed_until, outstanding) \
         SELECT CONCAT({number}), CONCAT({number} % 101), 'MT_COMMAND', REPEAT('h', 200), REPEAT('b', 1000), 1, 1, \
         {number}, 1, CASE WHEN {number} % 1000 < 700 THEN 0 WHEN {number} % 1000 < 800 THEN 1 \
         WHEN {number} % 1000 < 900 THEN 2 ELSE 3 END FROM {numbers}"
    )
}

/// Returns a statement with possible values filled in.
fn with_values(statement: &str, placeholder: char) -> String {
    let mut text = String::new();
    let mut rest = statement;
    while let Some(at) = rest.find(placeholder) {
        text.push_str(&rest[..at]);
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
        let is_number = ["LIMIT ", "+ ", "- "].iter().any(|before| text.ends_with(before));
        text.push_str(if is_number { "100" } else { "'100'" });
    }
    text + rest
}

async fn plan_of_postgres(
    outbox: &SqlOutbox<Server<Postgres>>,
    statement: &str,
    begin: &'static str,
) -> String {
    let pool = outbox.backend().pool();
    let mut transaction = pool.begin_with(begin).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN {}", with_values(statement, '$')));
    let lines = sqlx::query_scalar::<_, String>(explain)
        .fetch_all(&mut *transaction)
        .await;
    lines.unwrap().join("\n")
}

async fn assert_plans_of_postgres(outbox: &SqlOutbox<Server<Postgres>>) {
    let claims = outbox.claims();
    for (statement, by) in outbox.statements() {
        let index = match by {
            "age" | "age and topic" => "outstanding",
            "topic" => "topic",
            "dispatch" => "dispatched",
            "time" | "schedule" => "scheduled",
            "death" => "dead",
            "id" => "message_id_key",
            _ => "causation",
        };
        let is_claim = claims.contains(&(statement, by));
        let begin = Postgres::DIALECT
            .begin_claim
            .filter(|_| is_claim)
            .unwrap_or("BEGIN");
        let plan = plan_of_postgres(outbox, statement, begin).await;
        assert!(
            plan.contains(&format!(" brighter_outbox_{index}")),
            "{statement}\n{plan}"
        );
        assert!(
            !plan.contains("Seq Scan on brighter_outbox"),
            "{statement}\n{plan}"
        );
        assert!(!plan.contains("BitmapAnd"), "{statement}\n{plan}");
        assert!(!(is_claim && plan.contains("Sort")), "{statement}\n{plan}");
    }
}

#[tokio::test]
async fn postgres_goes_by_an_index() {
    let options = PgConnectOptions::from_str(&url("BRIGHTER_TEST_POSTGRES_URL")).unwrap();
    let name = new_name();
    let mut server = options.connect().await.unwrap();
    let create = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
    sqlx::raw_sql(create).execute(&mut server).await.unwrap();
    let pool = PgPool::connect_with(options.options([("search_path", &name)]));
    let server_of = Server::new(pool.await.unwrap(), true);
    let outbox = SqlOutbox::open(server_of, &OutboxOptions::default().archive())
        .await
        .unwrap();

    let fill = fill("generate_series(1, 10000) AS i", "i");
    let fill = fill.replace("REPEAT('b', 1000)", "CAST(REPEAT('b', 1000) AS bytea)");
    let pool = outbox.backend().pool();
    // As after a burst: the statistics do not include the new rows.
    let fill = format!("ALTER TABLE brighter_outbox SET (autovacuum_enabled = false); {fill}");
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(pool).await.unwrap();
    assert_plans_of_postgres(&outbox).await;
    sqlx::raw_sql("ANALYZE brighter_outbox")
        .execute(pool)
        .await
        .unwrap();
    assert_plans_of_postgres(&outbox).await;

    pool.close().await;
    let drop = AssertSqlSafe(format!("DROP SCHEMA {name} CASCADE"));
    sqlx::raw_sql(drop).execute(&mut server).await.unwrap();
}

#[tokio::test]
async fn mysql_goes_by_an_index() {
    let options = MySqlConnectOptions::from_str(&url("BRIGHTER_TEST_MYSQL_URL")).unwrap();
    let name = new_name();
    let mut server = options.connect().await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(create).execute(&mut server).await.unwrap();
    let pool = MySqlPool::connect_with(options.database(&name)).await.unwrap();
    let server_of = Server::<MySql>::new(pool, true);
    let outbox = SqlOutbox::open(server_of, &OutboxOptions::default().archive())
        .await
        .unwrap();
    let pool = outbox.backend().pool();

    // Four digits: MySQL and MariaDB both support this.
    let digit = "(SELECT 0 AS d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 \
                 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)";
    let numbers = format!(
        "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS i FROM {digit} AS a, {digit} AS b, {digit} AS c, \
         {digit} AS e) AS numbers"
    );
    let fill = fill(&numbers, "i");
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(pool).await.unwrap();
    sqlx::raw_sql("ANALYZE TABLE brighter_outbox")
        .execute(pool)
        .await
        .unwrap();
    for (statement, by) in outbox.statements() {
        let index = match by {
            "age" | "age and topic" | "death" => "outstanding",
            "topic" => "topic",
            "dispatch" => "dispatched",
            "time" | "schedule" => "scheduled",
            "id" => "message_id",
            _ => "causation",
        };
        let explain = AssertSqlSafe(format!("EXPLAIN {}", with_values(statement, '?')));
        let steps = sqlx::raw_sql(explain).fetch_all(pool).await.unwrap();
        let text = |row: &sqlx::mysql::MySqlRow, column: &str| {
            row.try_get::<Option<String>, _>(column)
                .unwrap()
                .unwrap_or_default()
        };
        let plan: Vec<_> = steps
            .iter()
            .map(|step| ["table", "type", "key", "Extra"].map(|column| text(step, column)))
            .collect();
        let of_outbox = |[table, ..]: &&[String; 4]| table == "brighter_outbox";
        let index = format!("brighter_outbox_{index}");
        let by_index = |[_, _, key, _]: &[String; 4]| *key == index;
        assert!(plan.iter().any(by_index), "{statement}\n{plan:?}");
        for [_, how, _, extra] in plan.iter().filter(of_outbox) {
            assert!(how != "ALL" && how != "index", "{statement}\n{plan:?}");
            assert!(!extra.contains("filesort"), "{statement}\n{plan:?}");
        }
    }

    pool.close().await;
    let drop = AssertSqlSafe(format!("DROP DATABASE {name}"));
    sqlx::raw_sql(drop).execute(&mut server).await.unwrap();
}
