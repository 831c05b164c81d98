//! The permissions that the page about RabbitMQ names are enough for what each process does.

use std::time::Duration;

use brighter::channel::{Channel, DeclareMode, Replay};
use brighter::prelude::*;
use brighter_book::Page;
use brighter_test_servers::patience;

use crate::virtual_host::VirtualHost;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
struct OrderPlaced {
    id: MessageId,
}

struct Fails;

#[handler]
impl Handler<OrderPlaced> for Fails {
    async fn handle(&self, _: &OrderPlaced) -> Result<(), BoxError> {
        Err("there is no bank".into())
    }
}

/// Returns the permissions of the row that begins so, as regular expressions: to configure, write and read.
fn permissions(row: &str) -> [String; 3] {
    let page = Page::read("docs/book/src/how-to/rabbitmq.md").unwrap();
    let line = page
        .text
        .lines()
        .find(|line| line.starts_with(&format!("| {row}")));
    let cells: Vec<&str> = line.unwrap().trim_matches('|').split(" | ").skip(1).collect();
    let pattern = |cell: &str| {
        let names = cell.trim().split(", ").map(|name| match name {
            "its queues" => r"payments(\..*)?",
            "the exchange" => "brighter",
            "`amq.default`" => r"amq\.default",
            "nothing" => "",
            other => panic!("what is `{other}`?"),
        });
        format!("^({})$", names.collect::<Vec<_>>().join("|"))
    };
    [pattern(cells[0]), pattern(cells[1]), pattern(cells[2])]
}

fn dispatcher(broker: RabbitMq, mode: DeclareMode) -> Result<Dispatcher, BoxError> {
    let processor = CommandProcessor::builder()
        .handler(Fails)
        .broker(broker)
        .build()?;
    let payments = Subscription::<OrderPlaced>::new("payments")
        .attempts(2)
        .delays([Duration::from_millis(100)])
        .declare_channel(mode);
    Ok(Dispatcher::builder(processor).subscription(payments).build()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_permissions_of_the_page_are_enough() -> Result<(), BoxError> {
    let host = VirtualHost::create("permissions");
    let with = |row: &str| {
        let permissions = permissions(row);
        host.user(permissions.each_ref().map(String::as_str))
    };

    let deploying = dispatcher(
        RabbitMq::builder(&with("declares")).connect().await?,
        DeclareMode::Create,
    )?;
    deploying.declare().await?;
    deploying.processor().close().await;
    host.remove_user();

    let posting = RabbitMq::builder(&with("posts"))
        .declare_exchange(DeclareMode::Assume)
        .connect()
        .await?;
    let processor = CommandProcessor::builder()
        .broker(posting)
        .outbox(InMemoryOutbox::new())
        .build()?;
    processor.post(OrderPlaced { id: MessageId::new() }).await?;
    processor.close().await;
    host.remove_user();

    // A failure, a retry, a failure, and a dead letter.
    let consuming = RabbitMq::builder(&with("consumes"))
        .declare_exchange(DeclareMode::Assume)
        .connect()
        .await?;
    let consuming = dispatcher(consuming, DeclareMode::Assume)?;
    consuming.receive();
    let admin = RabbitMq::builder(&host.url()).connect().await?;
    let look = Replay::new("look", &Channel::new("payments", "Order.Placed"));
    let dead_letters = async {
        while look.run(&admin, |_| false).await?.left == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, BoxError>(())
    };
    tokio::time::timeout(patience(Duration::from_secs(30)), dead_letters).await??;
    consuming.end().await;
    consuming.processor().close().await;
    Ok(())
}
