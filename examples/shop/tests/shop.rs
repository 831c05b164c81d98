//! The three services as processes on PostgreSQL and a RabbitMQ of their own. Payments is killed, RabbitMQ is restarted,
//! and every event is sent a second time: each order is paid exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker as _, Channel};
use brighter::outbox::Selection;
use brighter::{CommandProcessor, PostgresOutbox, RabbitMq};
use brighter_test_servers::{Broker, Install, Settings};
use brighter_tests::databases::{Postgres, postgres_url};
use brighter_tests::wait::deadline;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::{Instant, sleep, timeout};

/// How many orders are placed in each of three parts.
const PART: u64 = 40;
/// What `mail` sends in a second, and what a reader that is late may see at most.
const RATE: (usize, usize) = (20, 30);
/// In seconds: longer than the test.
const AN_HOUR: &str = "3600";

#[tokio::test(flavor = "multi_thread")]
async fn every_order_is_paid_once_despite_kills_and_restarts() {
    let mut rabbitmq = block_in_place(start_rabbitmq);
    let url = rabbitmq.url();
    let broker = RabbitMq::connect(&url).await.unwrap();
    let (orders_db, payments_db, mail_db) = (Db::new().await, Db::new().await, Db::new().await);
    let mut payments = Service::start(&url, &payments_db, &["payments"]);
    let mail = Service::start(&url, &mail_db, &["mail"]);
    for queue in ["payments.orders", "payments.prices", "mail"] {
        until("the queue is there", async || {
            depth(&broker, queue).await.is_some()
        })
        .await;
    }
    let orders = Service::start(&url, &orders_db, &["orders", "127.0.0.1:0", AN_HOUR]);
    let mut shop = Client::connect(&orders).await;

    // Request and reply.
    assert_eq!(shop.get("/prices/tea").await, (200, "450".to_owned()));
    let (status, reason) = shop.get("/prices/coffee").await;
    assert_eq!(status, 404, "{reason}");
    assert!(reason.contains("coffee has no price"), "{reason}");

    // `payments` is killed while orders are placed. No order has to wait for that.
    let killing = async {
        until("some are paid", async || payments_db.payments().await.0 >= 10).await;
        payments.kill().await;
        payments_db.payments().await.0
    };
    let (at_kill, ()) = tokio::join!(killing, shop.place(0..2 * PART));
    assert!(at_kill < 2 * PART, "it was killed in the middle of its work");
    payments = Service::start(&url, &payments_db, &["payments"]);
    until("it goes on", async || payments_db.payments().await.0 > at_kill).await;

    // RabbitMQ is restarted. No order has to wait for that either.
    block_in_place(|| rabbitmq.stop()).unwrap();
    shop.place(2 * PART..3 * PART).await;
    assert_eq!(shop.put(0).await, 200, "an order that was placed before");
    block_in_place(|| rabbitmq.start().and_then(|()| rabbitmq.until_up())).unwrap();

    let all = 3 * PART;
    until("all are paid", async || payments_db.payments().await.0 >= all).await;
    until("all are marked", async || orders_db.paid().await == all).await;
    until("all receipts are mailed", async || {
        mail.mails("is paid").len() as u64 >= all
    })
    .await;
    println!("{at_kill} of {all} orders were paid when payments was killed");

    // Every event is sent again, as by a service that was killed before it knew that it had sent them.
    let outbox = orders_db.outbox(&broker).await;
    let events = Selection::all().topic("Order.Placed");
    assert_eq!(outbox.outbox().repost_all(&events).await.unwrap(), all);
    until("all are sent again", async || {
        outbox.outbox().status().await.unwrap().outstanding == 0
    })
    .await;
    until("all are taken", async || {
        depth(&broker, "payments.orders").await == Some(0)
    })
    .await;
    payments.terminate().await; // once those in hand are handled
    assert_eq!(
        payments_db.payments().await,
        (all, all),
        "payments, and orders paid"
    );
    println!("{all} orders, {all} payments, each exactly once");
    let scheduled = outbox.outbox().status().await.unwrap().scheduled;
    assert_eq!(
        scheduled, 0,
        "each payment has cancelled the reminder of its order"
    );

    // An order that cannot be paid: its message is a dead letter, and its customer is reminded.
    payments = Service::start(&url, &payments_db, &["payments"]);
    let hurried = Service::start(&url, &orders_db, &["orders", "127.0.0.1:0", "1"]);
    let coffee = r#"{"customer":"bob","item":"coffee","quantity":2}"#;
    let (status, _) = Client::connect(&hurried)
        .await
        .request("PUT", "/orders/coffee", coffee)
        .await;
    assert_eq!(status, 202);
    until("it is a dead letter", async || {
        depth(&broker, "payments.orders.dlq").await == Some(1)
    })
    .await;
    until("bob is reminded", async || {
        !mail.mails("bob: order coffee is not paid yet").is_empty()
    })
    .await;
    assert_eq!(payments_db.payments().await, (all, all));

    // The operator adds the price, and replays the dead letter.
    let add = sqlx::query("INSERT INTO prices VALUES ('coffee', 600)");
    add.execute(&payments_db.pool).await.unwrap();
    let replay = ["replay", "coffee has a price now", "coffee has no price"];
    let replay = Service::start(&url, &payments_db, &replay).ended().await;
    assert_eq!(replay, ["1 sent back, 0 left"]);
    until("bob has a receipt", async || {
        !mail.mails("bob: order coffee is paid, 1200 cents").is_empty()
    })
    .await;
    until("it is marked", async || orders_db.paid().await == all + 1).await;
    assert_eq!(payments_db.payments().await, (all + 1, all + 1));

    assert_eq!(mail.mails("").len() as u64, all + 2, "receipts, and one reminder");
    let fastest = mail.most_in_a_second();
    assert!(
        fastest <= RATE.1,
        "{fastest} mails in a second, not about {}",
        RATE.0
    );
    println!("{} mails, at most {fastest} in a second", all + 2);
    for service in [orders, hurried, payments, mail] {
        service.terminate().await;
    }
    broker.close().await;
}

fn start_rabbitmq() -> Broker {
    let install = Install::find_or_install().unwrap();
    let broker = Broker::launch(&install, Settings::default()).unwrap();
    broker.until_up().unwrap();
    broker
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = timeout(deadline(), async {
        while !holds().await {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// How many messages wait in a queue; `None`, if there is no such queue.
async fn depth(broker: &RabbitMq, queue: &str) -> Option<u64> {
    broker.depth(&Channel::new(queue, "#")).await.ok().flatten()
}

/// The database of one service.
struct Db {
    url: String,
    pool: PgPool,
    _schema: Postgres,
}

impl Db {
    async fn new() -> Self {
        let (schema, server) = (Postgres::new().await, postgres_url());
        let separator = if server.contains('?') { '&' } else { '?' };
        Self {
            url: format!("{server}{separator}options[search_path]={}", schema.name),
            pool: schema.pool().await,
            _schema: schema,
        }
    }

    /// How many payments there are, and of how many orders.
    async fn payments(&self) -> (u64, u64) {
        let counts: (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT order_id) FROM payments")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        (counts.0 as u64, counts.1 as u64)
    }

    /// How many orders are marked as paid.
    async fn paid(&self) -> u64 {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE is_paid")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        count as u64
    }

    /// A processor for the administration of the outbox of this service.
    async fn outbox(&self, broker: &RabbitMq) -> CommandProcessor {
        CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(PostgresOutbox::from_pool(self.pool.clone()).await.unwrap())
            .without_sweeper()
            .build()
            .unwrap()
    }
}

/// A process, which is killed when it is dropped. Its log is shown only when the test fails.
struct Service {
    child: Child,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    reading: JoinHandle<()>,
    log: PathBuf,
}

impl Service {
    fn start(rabbitmq: &str, db: &Db, arguments: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "shop-{}-{}.log",
            arguments[0],
            STARTED.fetch_add(1, Ordering::Relaxed)
        );
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .args(arguments)
            .env("RABBITMQ_URL", rabbitmq)
            .env("DATABASE_URL", &db.url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let read = Arc::clone(&lines);
        let reading = tokio::spawn(async move {
            while let Some(line) = output.next_line().await.unwrap() {
                read.lock().unwrap().push((Instant::now(), line));
            }
        });
        Self {
            child,
            lines,
            reading,
            log,
        }
    }

    /// Kills it, as `kill -9` does.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Tells it to end, as an operator does, and waits until it has.
    async fn terminate(self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(told.success());
        self.ended().await;
    }

    /// Waits until it has ended well, and gives the lines that it has printed.
    async fn ended(mut self) -> Vec<String> {
        let ended = timeout(deadline(), self.child.wait()).await;
        assert!(ended.expect("it ends").unwrap().success());
        (&mut self.reading).await.unwrap();
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// When it has printed mails that contain this text.
    fn mails(&self, text: &str) -> Vec<Instant> {
        let lines = self.lines.lock().unwrap();
        let mails = lines
            .iter()
            .filter(|(_, line)| line.starts_with("mail to ") && line.contains(text));
        mails.map(|(at, _)| *at).collect()
    }

    fn most_in_a_second(&self) -> usize {
        let mails = self.mails("");
        let following = |first: &Instant| {
            let second = *first..*first + Duration::from_secs(1);
            mails.iter().filter(|at| second.contains(at)).count()
        };
        mails.iter().map(following).max().unwrap_or_default()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!("\n{}:\n{log}", self.log.display());
        }
    }
}

/// A customer of the shop.
struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(orders: &Service) -> Self {
        let first = || orders.lines.lock().unwrap().first().map(|(_, line)| line.clone());
        until("orders listens", async || first().is_some()).await;
        let line = first().unwrap();
        let address = line.strip_prefix("listening on http://").expect("its address");
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn request(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.0.ready().await.unwrap();
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "shop")
            .header("content-type", "application/json")
            .body(Full::from(body.to_owned()))
            .unwrap();
        let response = timeout(deadline(), self.0.send_request(request)).await;
        let response = response.expect("an answer in time").unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        self.request("GET", path, "").await
    }

    async fn put(&mut self, number: u64) -> u16 {
        let body = r#"{"customer":"ada","item":"tea","quantity":1}"#;
        self.request("PUT", &format!("/orders/{number}"), body).await.0
    }

    /// Places these orders. Each is accepted.
    async fn place(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            assert_eq!(self.put(number).await, 202, "order {number}");
        }
    }
}
