//! A corner of a real RabbitMQ for one test: an exchange and queues of its own, removed at the end.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::Channel;
use brighter::transport::rabbitmq::{ExchangeKind, RabbitMqBuilder};
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::wait::deadline;

/// The URL of the broker.
///
/// # Panics
/// There is none.
#[must_use]
pub fn url() -> String {
    crate::servers::variable("BRIGHTER_TEST_RABBITMQ_URL")
}

/// A corner of the broker. What is named through it is removed when it is dropped, also after a panic.
pub struct Corner {
    /// No other test has it: part of every name.
    pub id: String,
    queues: Mutex<Vec<String>>,
}

impl Corner {
    /// A new, empty corner.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let id = format!("test-{}", brighter::MessageId::new());
        Self {
            id,
            queues: Mutex::default(),
        }
    }

    /// The exchange of this corner.
    #[must_use]
    pub fn exchange(&self) -> String {
        format!("{}.exchange", self.id)
    }

    /// A queue of this corner, not declared yet.
    pub fn queue(&self, name: &str) -> String {
        let name = format!("{}.{name}", self.id);
        self.queues.lock().unwrap().push(name.clone());
        name
    }

    /// A channel of this corner for this routing key.
    pub fn channel(&self, name: &str, key: &str) -> Channel {
        for beside in ["dlq", "invalid"] {
            self.queue(&format!("{name}.{beside}"));
        }
        Channel::new(self.queue(name), key)
    }

    /// How to connect to this corner.
    pub fn builder(&self) -> RabbitMqBuilder {
        self.builder_at(&url())
    }

    /// How to connect to this corner by another way.
    pub fn builder_at(&self, url: &str) -> RabbitMqBuilder {
        RabbitMq::builder(url)
            .exchange(self.exchange(), ExchangeKind::Topic)
            .connection_name(self.id.as_str())
    }

    /// Connects.
    pub async fn connect(&self) -> RabbitMq {
        self.builder()
            .connect()
            .await
            .expect("the broker of the tests answers")
    }

    /// Lets nobody publish to the exchange of this corner but on topics of this pattern.
    pub async fn allow_topics(&self, pattern: &str) {
        let exchange = self.exchange();
        let user = url();
        let (_, user) = user.split_once("://").expect("a URL");
        let user = user.split([':', '@']).next().expect("a user");
        ctl(&["set_topic_permissions", user, &exchange, pattern, ".*"]).await;
    }

    /// Closes the connection of this corner that is for `role`, as an operator does.
    pub async fn close_connection(&self, role: &str) {
        let name = format!("{} {role}", self.id);
        // One call that looks and closes: each takes seconds on a busy machine.
        let close = close_connections(&name);
        let closed = timeout(deadline() * 2, async {
            while ctl(&["eval", &close]).await.trim().parse().unwrap_or(0) == 0 {}
        });
        assert!(closed.await.is_ok(), "there is no connection {name}");
    }
}

impl Drop for Corner {
    fn drop(&mut self) {
        let queues = std::mem::take(&mut *self.queues.lock().unwrap());
        let exchange = self.exchange();
        // A drop cannot wait for the runtime that it happens in.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async move {
                let raw = Raw::connect().await;
                for queue in queues {
                    let _ = raw
                        .channel
                        .queue_delete(queue.into(), QueueDeleteOptions::default())
                        .await;
                }
                let _ = raw
                    .channel
                    .exchange_delete(exchange.into(), ExchangeDeleteOptions::default())
                    .await;
                let _ = raw.connection.close(200, "done".into()).await;
            });
            std::io::Result::Ok(())
        });
        let _ = cleaning.join();
    }
}

/// Erlang for the connections whose name, as the client gives it, begins so. One that has not logged in has none.
#[must_use]
pub fn connections(beginning: &str) -> String {
    format!(
        "[P || P <- rabbit_networking:connections(), \
         [{{client_properties, T}}] <- [try rabbit_reader:info(P, [client_properties]) catch _:_ -> [] end], \
         is_list(T), {{<<\"connection_name\">>, _, N}} <- T, string:prefix(N, <<\"{beginning}\">>) =/= nomatch]"
    )
}

/// Erlang that closes those [`connections`], as an operator does, and is worth how many they were.
#[must_use]
pub fn close_connections(beginning: &str) -> String {
    format!(
        "Found = {}, [rabbit_networking:close_connection(P, \"by a test\") || P <- Found], length(Found).",
        connections(beginning)
    )
}

/// What `rabbitmqctl` says.
///
/// # Panics
/// It does not start.
pub async fn ctl(arguments: &[&str]) -> String {
    let program = crate::servers::variable("BRIGHTER_TEST_RABBITMQ_CTL");
    let output = Command::new(program)
        .arg("--quiet")
        .args(arguments)
        .output()
        .await
        .expect("rabbitmqctl starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The version of the broker: the first two of its numbers.
///
/// # Panics
/// `rabbitmqctl` does not say.
pub fn version() -> (u32, u32) {
    static VERSION: OnceLock<(u32, u32)> = OnceLock::new();
    *VERSION.get_or_init(|| {
        let program = crate::servers::variable("BRIGHTER_TEST_RABBITMQ_CTL");
        let output = std::process::Command::new(program)
            .args(["--quiet", "eval", "rabbit_misc:version()."])
            .output()
            .expect("rabbitmqctl starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut numbers = said
            .split(|part: char| !part.is_ascii_digit())
            .filter_map(|number| number.parse().ok());
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => (major, minor),
            _ => panic!("no version: {said:?}"),
        }
    })
}

/// Whether a quorum queue counts what is given back as delivered: before 4.3.
pub fn counts_releases() -> bool {
    version() < (4, 3)
}

/// lapin itself, which sees what is really there.
pub struct Raw {
    /// Its connection.
    pub connection: Connection,
    /// A channel of it.
    pub channel: lapin::Channel,
}

impl Raw {
    /// Connects.
    pub async fn connect() -> Self {
        let connection = Connection::connect(&url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { connection, channel }
    }

    /// Takes the next message off the queue, once there is one.
    pub async fn take(&self, queue: &str) -> BasicGetMessage {
        let options = BasicGetOptions { no_ack: true };
        let taken = timeout(deadline(), async {
            loop {
                match self.channel.basic_get(queue.into(), options).await.unwrap() {
                    Some(message) => return message,
                    None => sleep(Duration::from_millis(10)).await,
                }
            }
        });
        taken.await.unwrap_or_else(|_| panic!("nothing came to {queue}"))
    }

    /// How many messages wait in the queue.
    pub async fn depth(&self, queue: &str) -> u32 {
        self.look(queue).await.message_count()
    }

    /// How many consumers the queue has.
    pub async fn consumers(&self, queue: &str) -> u32 {
        self.look(queue).await.consumer_count()
    }

    async fn look(&self, queue: &str) -> lapin::Queue {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = self
            .channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await;
        declared.unwrap()
    }

    /// Waits until so many messages wait in the queue.
    pub async fn until_depth(&self, queue: &str, expected: u32) {
        let reached = timeout(deadline(), async {
            while self.depth(queue).await != expected {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(
            reached.await.is_ok(),
            "{queue} holds {}, not {expected}",
            self.depth(queue).await
        );
    }

    /// Waits until so many messages of the queue are with consumers that have not settled them.
    pub async fn until_unsettled(&self, queue: &str, expected: u32) {
        let line = format!("{queue}\t{expected}");
        let reached = timeout(deadline(), async {
            let asked = ["list_queues", "name", "messages_unacknowledged"];
            while !ctl(&asked).await.lines().any(|found| found == line) {}
        });
        assert!(
            reached.await.is_ok(),
            "{queue} has not {expected} messages with its consumers"
        );
    }

    /// Puts a message into the queue, as a stranger may.
    pub async fn put(&self, queue: &str, properties: BasicProperties, body: &[u8]) {
        self.publish("", queue, properties, body).await;
    }

    /// Publishes a message, as a stranger may.
    pub async fn publish(&self, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
        let options = lapin::options::BasicPublishOptions::default();
        let sent = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, body, properties);
        sent.await.unwrap();
    }
}
