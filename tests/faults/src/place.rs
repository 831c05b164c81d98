//! A place on the node for one test: names that no other test has.

use brighter::channel::Channel;
use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter::transport::rabbitmq::{ExchangeKind, RabbitMqBuilder};
use brighter::{MessageId, RabbitMq};

use crate::node::Node;

/// A place on the node: an exchange, and queues, of one test. They go with the node.
pub struct Place {
    id: String,
    url: String,
}

impl Place {
    /// A new place, reached straight.
    #[must_use]
    pub fn new(node: &Node) -> Self {
        Self::at(node, node.address())
    }

    /// A new place, reached by another way, `host:port`.
    #[must_use]
    pub fn at(node: &Node, address: &str) -> Self {
        crate::capture::begin();
        Self {
            id: format!("fault-{}", MessageId::new()),
            url: node.url_at(address),
        }
    }

    /// The same place in another virtual host.
    #[must_use]
    pub fn in_virtual_host(mut self, name: &str) -> Self {
        self.url = self.url.replace("%2f", name);
        self
    }

    /// A new place, reached by TLS at `host:port`.
    #[must_use]
    pub fn by_tls(node: &Node, address: &str) -> Self {
        let place = Self::at(node, address);
        Self {
            url: place.url.replace("amqp:", "amqps:"),
            ..place
        }
    }

    /// Part of every name: the connections' too.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its URL, with user and password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How to connect to it.
    pub fn builder(&self) -> RabbitMqBuilder {
        self.builder_at(&self.url)
    }

    /// How to connect to it by another URL.
    pub fn builder_at(&self, url: &str) -> RabbitMqBuilder {
        RabbitMq::builder(url)
            .exchange(self.exchange(), ExchangeKind::Topic)
            .connection_name(self.id.as_str())
    }

    /// Connects to it.
    ///
    /// # Panics
    /// The node does not answer.
    pub async fn connect(&self) -> RabbitMq {
        self.builder().connect().await.expect("the node answers")
    }

    /// Its exchange.
    #[must_use]
    pub fn exchange(&self) -> String {
        format!("{}.exchange", self.id)
    }

    /// A queue of it.
    #[must_use]
    pub fn queue(&self, name: &str) -> String {
        format!("{}.{name}", self.id)
    }

    /// A channel of it.
    #[must_use]
    pub fn channel(&self, name: &str, key: &str) -> Channel {
        Channel::new(self.queue(name), key)
    }
}

/// A message of this id.
#[must_use]
pub fn message(topic: &str, id: &str) -> Message {
    let header = MessageHeader::new(id.into(), topic, MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}
