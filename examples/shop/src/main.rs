//! A shop of three services in one binary. See the README.

mod mail;
mod messages;
mod orders;
mod payments;

use std::env::{args, var};

use brighter::channel::QueueType;
use brighter::prelude::*;
use sqlx::PgPool;

const USAGE: &str =
    "usage: shop orders LISTEN_ADDRESS REMIND_AFTER_SECONDS | payments | mail | replay NAME REASON
RABBITMQ_URL and DATABASE_URL say where the servers are";

#[tokio::main]
async fn main() -> Result<host::Exit, BoxError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let broker = RabbitMq::builder(&var("RABBITMQ_URL").map_err(|_| USAGE)?)
        .queue_type(QueueType::Quorum)
        .connect_lazily()?; // RabbitMQ may still be away
    let db = PgPool::connect(&var("DATABASE_URL").map_err(|_| USAGE)?).await?;
    let arguments: Vec<String> = args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["orders", listen, seconds] => orders::run(broker, db, listen, seconds.parse()?).await,
        ["payments"] => payments::run(broker, db).await,
        ["mail"] => mail::run(broker, db).await,
        ["replay", name, reason] => payments::replay(broker, name, reason).await,
        _ => Err(USAGE.into()),
    }
}
