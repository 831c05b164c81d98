use brighter::prelude::*;

use {{crate_name}}::{Greet, Greeter, greetings};

#[tokio::main]
async fn main() -> Result<host::Exit, BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let processor = CommandProcessor::builder()
        .handler(Greeter)
        .broker(SqliteBroker::open("broker.db").await?) // or RabbitMq::connect("amqp://localhost").await?
        .outbox(SqliteOutbox::open("outbox.db").await?) // or PostgresOutbox::connect("postgres://localhost").await?
        .build()?;
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(greetings())
        .build()?;

    // With a name, this program posts a greeting and ends. Without one it receives until SIGTERM or ctrl-c.
    let Some(name) = std::env::args().nth(1) else {
        return Ok(host::run(dispatcher).await.into());
    };
    dispatcher.declare().await?; // so that the greeting has a queue, although nobody may have received yet
    let id = MessageId::new();
    processor.post(Greet { id, name }).await?;
    processor.close().await;
    Ok(host::Exit::SUCCESS)
}
