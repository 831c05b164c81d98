//! A consumer in a process of its own, to be killed. It says on its output how far it is, and writes what it has done
//! to the ledger that it is given. See `brighter_faults::child`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::future::pending;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use brighter::inbox::complete_in;
use brighter::prelude::*;
use brighter::processor::CommandProcessorBuilder;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter::{RabbitMq, SqliteInbox};
use brighter_faults::app::{Deed, What};
use brighter_faults::consumer::{Death, Orders, Point};
use brighter_faults::ledger::{Entry, Ledger};

struct Doer {
    orders: Orders,
    ledger: Ledger,
}

#[handler]
impl Handler<Deed> for Doer {
    async fn handle(&self, deed: &Deed) -> Result<(), BoxError> {
        say(&format!("begun {}", deed.id));
        if self.orders.dies == Some(Point::BeforeTheEffect) {
            at_the_point().await;
        }
        match deed.what {
            What::Sleep(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
            What::Wait if self.orders.waits => pending().await,
            What::Die => die(self.orders.death).await,
            _ => {}
        }
        self.ledger.write(Entry::Handled, &deed.id.to_string());
        if self.orders.dies == Some(Point::AfterTheEffect) {
            at_the_point().await;
        }
        Ok(())
    }
}

/// Has its effects in a database.
struct Bookkeeper {
    orders: Orders,
    ledger: Ledger,
    pool: sqlx::SqlitePool,
}

#[handler]
impl Handler<Deed> for Bookkeeper {
    // Short, for who takes over waits until it has ended.
    #[use_inbox(lease = "1s", step = 1)]
    async fn handle(&self, deed: &Deed, cx: &Context) -> Result<(), BoxError> {
        self.stop_at(Point::BeforeTheEffect).await;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO effects (id) VALUES (?)")
            .bind(deed.id.to_string())
            .execute(&mut *transaction)
            .await?;
        complete_in(&mut transaction, cx).await?;
        self.stop_at(Point::AfterTheEffect).await;
        transaction.commit().await?;
        self.ledger.write(Entry::Handled, &deed.id.to_string());
        self.stop_at(Point::AfterTheCommit).await;
        Ok(())
    }
}

impl Bookkeeper {
    async fn stop_at(&self, point: Point) {
        if self.orders.dies == Some(point) {
            at_the_point().await;
        }
    }
}

/// Waits to be killed.
async fn at_the_point() {
    say("at the point");
    pending().await
}

async fn die(death: Death) {
    match death {
        Death::Abort => {}
        Death::Killed => {
            say("kill me");
            pending().await
        }
        // Never touched, so that it is the limit of the process that is met, and not that of the machine.
        Death::Memory => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![0_u8; 64 << 20]));
            }
        }
        Death::Slow(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
    }
    std::process::abort();
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}

async fn with_books(
    builder: CommandProcessorBuilder,
    orders: Orders,
    ledger: Ledger,
    books: &Path,
) -> CommandProcessorBuilder {
    let inbox = SqliteInbox::open(books).await.expect("the books can be opened");
    let pool = inbox.pool().clone();
    builder.inbox(inbox).handler(Bookkeeper { orders, ledger, pool })
}

#[tokio::main]
async fn main() -> host::Exit {
    let orders = brighter_faults::process::orders::<Orders>();
    let broker = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .heartbeat_interval(Duration::from_secs(1))
        .connect()
        .await
        .expect("the node answers");
    let ledger = Ledger::open(&orders.ledger);
    let mut subscription = Subscription::<Deed>::new(orders.queue.as_str())
        .routing_key(orders.topic.as_str())
        .performers(orders.performers)
        .buffer(orders.buffer)
        .redeliveries(orders.redeliveries);
    if let Some(keeps) = orders.queue_type {
        subscription = subscription.queue_type(keeps.into());
    }
    let drain = Duration::from_millis(orders.drain);
    let builder = CommandProcessor::builder();
    let builder = match orders.books.clone() {
        None => builder.handler(Doer { orders, ledger }),
        Some(books) => with_books(builder, orders, ledger, &books).await,
    };
    let processor = builder
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .expect("the processor is put together well");
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .drain_timeout(drain)
        .build()
        .expect("the dispatcher is put together well");
    let ended = host::run(dispatcher).await;
    if let Err(error) = &ended {
        say(&format!("ended: {error}"));
    }
    ended.into()
}
