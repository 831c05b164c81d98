//! [`Harness`]: the interface of the suite to a transport.

use std::time::Duration;

use super::Features;
use brighter_core::channel::{Broker, Channel};

/// The ways in which a server stalls without being down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stall {
    /// The server vanishes: sent data is lost, connections stay open on this side, and new ones fail. After the mend,
    /// earlier connections stay broken.
    HalfOpen,
    /// The server accepts connections and data, and answers nothing. After the mend it continues where it was.
    Silent,
    /// Registered consumers receive nothing, while all else works. A consumer that is registered later receives the
    /// messages.
    Deaf,
}

/// The interface of the suite to a transport. Each case has a harness of its own: a place without channels that nothing
/// else uses, such as an exchange, a virtual host, a file, or a process.
pub trait Harness: Send + Sync + 'static {
    /// The type of the broker.
    type Broker: Broker;

    /// Returns the features of the transport. A case that needs another feature is not applicable; all other cases must
    /// pass.
    fn features(&self) -> Features;

    /// Connects to the place of this harness. All returned brokers see the same channels. A later one sees what earlier
    /// ones left, if the transport has [`Feature::Durable`](super::Feature::Durable).
    fn connect(&self) -> impl Future<Output = Self::Broker> + Send;

    /// Returns a channel of this place. Set properties here that every channel of the transport needs, such as a queue
    /// type, or a prefix if the place has no names of its own.
    fn channel(&self, name: &str, routing_key: &str) -> Channel {
        Channel::new(name, routing_key)
    }

    /// Cuts the connections of this broker to its server once, as a network or an operator does. Called only for
    /// transports with [`Feature::Reconnect`](super::Feature::Reconnect).
    ///
    /// # Panics
    /// Panics unless the harness implements it.
    fn cut(&self, broker: &Self::Broker) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async { panic!("`Feature::Reconnect` is declared, and this harness has no `cut`") }
    }

    /// Stops the server and starts it again. Called only for transports with
    /// [`Feature::Restart`](super::Feature::Restart).
    ///
    /// # Panics
    /// Panics unless the harness implements it.
    fn restart(&self) -> impl Future<Output = ()> + Send {
        async { panic!("`Feature::Restart` is declared, and this harness has no `restart`") }
    }

    /// Returns the server's number of consumers of this channel, those of other processes included. Returns `None`, the
    /// default, if the server cannot be asked.
    fn consumers(
        &self,
        broker: &Self::Broker,
        channel: &Channel,
    ) -> impl Future<Output = Option<u64>> + Send {
        let _ = (broker, channel);
        async { None }
    }

    /// Stalls the server of this broker until [`mend`](Self::mend). Called only for transports with
    /// [`Feature::Stalls`](super::Feature::Stalls), and for [`Stall::Deaf`] only with
    /// [`Feature::DeafConsumer`](super::Feature::DeafConsumer).
    ///
    /// # Panics
    /// Panics unless the harness implements it.
    fn stall(&self, broker: &Self::Broker, how: Stall) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async move { panic!("a stall is declared, and this harness has no `stall` for {how:?}") }
    }

    /// Ends a [`stall`](Self::stall) of the server.
    ///
    /// # Panics
    /// Panics unless the harness implements it.
    fn mend(&self, broker: &Self::Broker) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async { panic!("a stall is declared, and this harness has no `mend`") }
    }

    /// Returns how long a required event may take: far more than any machine needs. A case may take eight times as
    /// long.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Returns how long to watch for a forbidden event. A correct transport never fails because of a short time; a
    /// longer time may detect more mistakes.
    fn quiet(&self) -> Duration {
        Duration::from_millis(200)
    }

    /// Returns the largest body that is tested, in bytes.
    fn largest_body(&self) -> usize {
        1024 * 1024
    }
}
