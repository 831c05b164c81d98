//! [`Arrivals`]: tells a sweeper that there is something to send, so that it need not look all the time.

use std::fmt;
use std::future::pending;

use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::sync::watch;

/// What is known of messages that were deposited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// There may be something to claim now.
    Here,
    /// Something was stored in a transaction of the application, and nobody will say when that is committed.
    ToCome,
}

/// Tells of messages that arrive in an outbox: see [`Outbox::arrivals`](super::Outbox::arrivals).
///
/// It may tell of what somebody else has claimed since, and of several as one; it is a reason to look, and no more.
pub struct Arrivals(BoxStream<'static, Arrival>);

impl Arrivals {
    /// Arrivals that this stream tells of.
    pub fn new(stream: impl Stream<Item = Arrival> + Send + 'static) -> Self {
        Self(stream.boxed())
    }

    /// The next one; never, once nobody is left to tell. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Arrival {
        match self.0.next().await {
            Some(arrival) => arrival,
            None => pending().await,
        }
    }

    /// What this tells of, and what the other does.
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

/// Who rings and who hears are in one process. Clones are the same bell.
#[derive(Debug, Clone)]
pub struct Bell(watch::Sender<Rung>);

/// How often it was rung.
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

    /// What it rings for from now on; that both came while nobody asked is told as the stronger.
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
