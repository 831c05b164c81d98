//! The settings of a broker that has been built.

use std::time::Duration;

use crate::tls::Tls;
use crate::topology::{Exchange, ExchangeKind, Topology, plan};
use crate::url::BrokerNodes;
use crate::wire::Spelling;
use brighter_core::channel::{Channel, ChannelError, MakeChannel, QueueType};

/// What is fixed once connected.
#[derive(Debug, Clone)]
pub(crate) struct RabbitMqSettings {
    pub(crate) address: BrokerNodes,
    pub(crate) tls: Tls,
    /// Nobody waits for the first connection.
    pub(crate) lazy: bool,
    pub(crate) exchange: String,
    pub(crate) exchange_kind: ExchangeKind,
    pub(crate) make_exchange: MakeChannel,
    pub(crate) queue_type: Option<QueueType>,
    pub(crate) consumer_timeout: Option<Duration>,
    pub(crate) connection_name: String,
    pub(crate) confirm_timeout: Duration,
    pub(crate) rebalance_interval: Option<Duration>,
    pub(crate) max_message_bytes: usize,
    /// The longest that a message waits in one go; what is to wait for longer waits several times.
    pub(crate) longest_delay: Duration,
    pub(crate) spelling: Spelling,
}

impl RabbitMqSettings {
    /// The exchange, as data.
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange::new(&self.exchange, self.exchange_kind)
    }

    /// What a channel needs of the broker.
    pub(crate) fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        plan(self.exchange(), self.queue_type, channel)
    }
}
