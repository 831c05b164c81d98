//! [`Arrivals`]: wakes a sweeper when there is something to send, so that it need not poll.

use std::fmt;
use std::future::pending;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::watch;

/// The knowledge about a deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// There may be something to claim now.
    Here,
    /// A message was stored in a transaction of the application, and nobody will report its commit.
    ToCome,
}

/// Tells of messages that arrive in an outbox: see [`Outbox::arrivals`](super::Outbox::arrivals).
///
/// It may report a message that another process has claimed since, and report several as one. It is only a hint to
/// look.
pub struct Arrivals(BoxStream<'static, Arrival>);

impl Arrivals {
    /// Returns the arrivals that this stream yields.
    pub fn new(stream: impl Stream<Item = Arrival> + Send + 'static) -> Self {
        Self(stream.boxed())
    }

    /// Waits for the next arrival; never returns once no sender is left. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Arrival {
        match self.0.next().await {
            Some(arrival) => arrival,
            None => pending().await,
        }
    }

    /// Returns the arrivals of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(stream::select(self.0, other.0).boxed())
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Arrivals")
    }
}

/// Notifies [`Arrivals`] within one process. Clones share their listeners.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<Rung>);

/// The number of notifications so far.
#[derive(Debug, Default, Clone, Copy)]
struct Rung {
    here: u64,
    to_come: u64,
}

impl Bell {
    #[doc(hidden)]
    pub fn new() -> Self {
        Self(watch::Sender::new(Rung::default()))
    }

    #[doc(hidden)]
    pub fn ring(&self, arrival: Arrival) {
        if self.0.receiver_count() == 0 {
            return;
        }
        self.0.send_modify(|rung| match arrival {
            Arrival::Here => rung.here += 1,
            Arrival::ToCome => rung.to_come += 1,
        });
    }

    /// Returns the arrivals from now on. If both kinds come between two calls, [`Arrival::Here`] is reported.
    #[doc(hidden)]
    pub fn arrivals(&self) -> Arrivals {
        let receiver = self.0.subscribe();
        let here = receiver.borrow().here;
        Arrivals::new(stream::unfold((receiver, here), async |(mut receiver, here)| {
            receiver.changed().await.ok()?;
            let now = receiver.borrow_and_update().here;
            let arrival = if now == here {
                Arrival::ToCome
            } else {
                Arrival::Here
            };
            Some((arrival, (receiver, now)))
        }))
    }
}
