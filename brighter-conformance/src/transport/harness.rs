//! [`Harness`]: what the suite has to be told of a transport.

use std::time::Duration;

use super::Features;
use brighter_core::channel::{Broker, Channel};

/// How a server stalls that is not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stall {
    /// It vanishes without a word: what is sent arrives nowhere, connections stay open on this side, and new ones come to
    /// nothing. Connections of before stay as they are after the mend.
    HalfOpen,
    /// It accepts connections and takes what is sent, and answers nothing. After the mend it goes on where it was.
    Silent,
    /// Consumers that are registered get nothing, while all else is well. One that is registered from then on gets what
    /// there is.
    Deaf,
}

/// What the suite has to be told of a transport. Each case gets one of its own, which is a place with no channels
/// where nobody else is: an exchange, a virtual host, a file, a process.
pub trait Harness: Send + Sync + 'static {
    /// The transport.
    type Broker: Broker;

    /// What it has. A case that needs anything else is not applicable; one that needs nothing else has to pass.
    fn features(&self) -> Features;

    /// Connects to the place of this harness. All that it gives see the same channels, and the last of them sees
    /// what the first left there, if the transport has [`Feature::Durable`](super::Feature::Durable).
    fn connect(&self) -> impl Future<Output = Self::Broker> + Send;

    /// A channel of this place. Say here what every channel of the transport should have, such as a type of queue,
    /// or a prefix where names are not the place's own.
    fn channel(&self, name: &str, routing_key: &str) -> Channel {
        Channel::new(name, routing_key)
    }

    /// Cuts what connects this broker with its server, once, as a network does or an operator. Only asked of
    /// transports that have [`Feature::Reconnect`](super::Feature::Reconnect).
    ///
    /// # Panics
    /// Unless the harness says how it is done.
    fn cut(&self, broker: &Self::Broker) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async { panic!("`Feature::Reconnect` is declared, and this harness has no `cut`") }
    }

    /// Stops the server and starts it again. Only asked of transports that have
    /// [`Feature::Restart`](super::Feature::Restart).
    ///
    /// # Panics
    /// Unless the harness says how it is done.
    fn restart(&self) -> impl Future<Output = ()> + Send {
        async { panic!("`Feature::Restart` is declared, and this harness has no `restart`") }
    }

    /// Asks the server how many consumers it has of this channel, those of other processes included. `None`, the
    /// default, if it cannot be asked.
    fn consumers(
        &self,
        broker: &Self::Broker,
        channel: &Channel,
    ) -> impl Future<Output = Option<u64>> + Send {
        let _ = (broker, channel);
        async { None }
    }

    /// Has the server of this broker stall until [`mend`](Self::mend). Only asked of transports that have
    /// [`Feature::Stalls`](super::Feature::Stalls), and for [`Stall::Deaf`] of those that have
    /// [`Feature::DeafConsumer`](super::Feature::DeafConsumer).
    ///
    /// # Panics
    /// Unless the harness says how it is done.
    fn stall(&self, broker: &Self::Broker, how: Stall) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async move { panic!("a stall is declared, and this harness has no `stall` for {how:?}") }
    }

    /// Has the server go on after a [`stall`](Self::stall).
    ///
    /// # Panics
    /// Unless the harness says how it is done.
    fn mend(&self, broker: &Self::Broker) -> impl Future<Output = ()> + Send {
        let _ = broker;
        async { panic!("a stall is declared, and this harness has no `mend`") }
    }

    /// How long anything that must happen may take: far more than any machine needs. A case may take eight times
    /// as long.
    fn patience(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// How long to look whether something happens that must not. A transport that is right never fails for
    /// this, however short; one that is wrong may be found out by more.
    fn quiet(&self) -> Duration {
        Duration::from_millis(200)
    }

    /// The most bytes of a body that are tried.
    fn largest_body(&self) -> usize {
        1024 * 1024
    }
}
