//! A process with a desk is killed by `kill -9` in the middle of an operation; the next one ends it.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::desk::{
    BulkState, BulkVerb, Desk, DeskFilter, DeskStore, MySqlDesk, NewBulk, PostgresDesk, SqliteDesk,
};
use brighter::inbox::{Begun, Inbox, InboxKey};
use brighter::{InMemoryInbox, MessageId};
use brighter_tests::rabbitmq::{self, Corner};
use brighter_tests::{databases, wait};

use super::{bury, shared, until_operation, until_rows};

const MESSAGES: usize = 60;
const LEASE: Duration = Duration::from_secs(1);

async fn open(address: &str) -> Arc<dyn DeskStore> {
    match address.split_once(':') {
        Some(("file", path)) => Arc::new(SqliteDesk::open(path).await.unwrap()),
        Some(("mysql" | "mariadb", _)) => Arc::new(MySqlDesk::connect(address).await.unwrap()),
        _ => Arc::new(PostgresDesk::connect(address).await.unwrap()),
    }
}

/// The process that is killed: a test that does nothing in a run of all tests.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(address) = std::env::var("DESK_CHILD_DATABASE") else {
        return;
    };
    let name = std::env::var("DESK_CHILD_CHANNEL").unwrap();
    let exchange = std::env::var("DESK_CHILD_EXCHANGE").unwrap();
    let kind = brighter::transport::rabbitmq::ExchangeKind::Topic;
    let broker = brighter::RabbitMq::builder(&rabbitmq::url()).exchange(exchange, kind);
    let broker = shared(broker.connect().await.unwrap());
    let desk = Desk::new(broker, open(&address).await).lease(LEASE);
    desk.channel(&Channel::new(name.as_str(), "Order.Placed"))
        .run_until(std::future::pending())
        .await;
}

/// Starts a child with this plan, and waits for its end if the plan kills it.
async fn run_child(
    corner: &Corner,
    channel: &Channel,
    address: &str,
    plan: Option<&str>,
) -> tokio::process::Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "killing::child", "--nocapture"])
        .env("DESK_CHILD_DATABASE", address)
        .env("DESK_CHILD_CHANNEL", channel.name.as_str())
        .env("DESK_CHILD_EXCHANGE", corner.exchange())
        .env("BRIGHTER_TEST_RABBITMQ_URL", rabbitmq::url())
        .stdout(Stdio::null());
    if let Some(plan) = plan {
        command.env("BRIGHTER_FAULT_POINTS", plan);
    }
    tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn killed_and_continued(address: &str, plan: &str) {
    let corner = Corner::new();
    let (broker, channel) = (
        shared(corner.connect().await),
        corner.channel("orders", "Order.Placed"),
    );
    let ids = bury(
        &*broker,
        &channel,
        (0..MESSAGES).map(|number| format!("no {number}")),
    )
    .await;
    let desk = Desk::new(Arc::clone(&broker), open(address).await);
    let store = desk.store();

    // Each handled message counts, by the handler's inbox.
    let handled: Arc<Mutex<HashMap<MessageId, u32>>> = Arc::default();
    let mut consumer = broker.consume(&channel).await.unwrap();
    let (inbox, ledger) = (InMemoryInbox::new(), Arc::clone(&handled));
    tokio::spawn(async move {
        while let Some(Ok(delivery)) = consumer.receive().await {
            let id = delivery.message().unwrap().header.id.clone();
            let key = InboxKey::new(id.clone(), "test");
            if let Begun::First(_) = inbox.begin(&key, None, Duration::from_secs(60)).await.unwrap() {
                inbox.complete(&key).await.unwrap();
                *ledger.lock().unwrap().entry(id).or_default() += 1;
            }
            delivery.ack().await.unwrap();
        }
    });

    let mut child = run_child(&corner, &channel, address, Some(plan)).await;
    if plan.starts_with("desk.taken") {
        assert!(!child.wait().await.unwrap().success());
        let other = run_child(&corner, &channel, address, None).await;
        until_rows(store, "state=waiting and deaths=1", MESSAGES).await;
        drop(other);
    } else {
        until_rows(store, "state=waiting and deaths=1", MESSAGES).await;
        let retry = NewBulk::new(BulkVerb::Retry, DeskFilter::default(), "ann").rate(100.0);
        let operation = desk
            .begin(&retry.evidence(Duration::from_millis(300)))
            .await
            .unwrap();
        assert!(!child.wait().await.unwrap().success());
        let interrupted = store.operation(operation.id).await.unwrap().unwrap();
        assert_eq!(interrupted.state, BulkState::Running);
        let _other = run_child(&corner, &channel, address, None).await;
        let done = until_operation(&desk, operation.id, "done", |it| it.state == BulkState::Done).await;
        assert_eq!(done.counts.done, MESSAGES as u64, "{done:?}");
        wait::until("all are handled", || handled.lock().unwrap().len() == MESSAGES).await;
        let handled = handled.lock().unwrap();
        assert!(ids.iter().all(|id| handled.get(id) == Some(&1)), "{handled:?}");
    }
}

const PLANS: [&str; 4] = [
    "desk.taken=kill",
    "desk.next#2=kill",
    "desk.sent#3=kill",
    "desk.recorded#2=kill",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_desk_loses_nothing_on_sqlite() {
    for plan in PLANS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("desk.db");
        killed_and_continued(&format!("file:{}", path.display()), plan).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_desk_loses_nothing_on_postgres() {
    for plan in PLANS {
        let database = databases::Postgres::new().await;
        let url = databases::postgres_url();
        let mark = if url.contains('?') { '&' } else { '?' };
        killed_and_continued(
            &format!("{url}{mark}options[search_path]={}", database.name),
            plan,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_desk_loses_nothing_on_mysql() {
    for plan in PLANS {
        let database = databases::MySql::new().await;
        let url = databases::mysql_url();
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..].find('/').map_or(url.len(), |at| host + at);
        killed_and_continued(&format!("{}/{}", &url[..path], database.name), plan).await;
    }
}
