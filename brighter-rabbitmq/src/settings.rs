//! [`RabbitMqSettings`]: the settings of a broker after it was built.

use std::time::Duration;

use crate::headers::HeaderSettings;
use crate::tls::Tls;
use crate::topology::{Exchange, ExchangeKind, Topology, plan};
use crate::url::BrokerNodes;
use brighter_core::channel::{Channel, ChannelError, DeclareMode, QueueType};

/// The settings that are fixed once connected.
#[derive(Debug, Clone)]
pub(crate) struct RabbitMqSettings {
    pub(crate) address: BrokerNodes,
    pub(crate) tls: Tls,
    /// Whether nobody waits for the first connection.
    pub(crate) lazy: bool,
    pub(crate) exchange: String,
    pub(crate) exchange_kind: ExchangeKind,
    pub(crate) declare_exchange: DeclareMode,
    pub(crate) queue_type: Option<QueueType>,
    pub(crate) consumer_timeout: Option<Duration>,
    pub(crate) connection_name: String,
    pub(crate) confirm_timeout: Duration,
    pub(crate) rebalance_interval: Option<Duration>,
    pub(crate) max_message_bytes: usize,
    /// The longest delay of one queue. A longer delay uses several in turn.
    pub(crate) longest_delay: Duration,
    pub(crate) headers: HeaderSettings,
}

impl RabbitMqSettings {
    /// Returns the exchange as data.
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange::new(&self.exchange, self.exchange_kind)
    }

    /// Returns the exchange, queues and bindings that a channel needs.
    pub(crate) fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        plan(self.exchange(), self.queue_type, channel)
    }
}
