//! [`Starts`]: serialises the starts of each channel, and limits those of all channels.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use brighter_core::channel::ChannelError;
use brighter_core::message::ChannelName;

/// The longest wait for other starts: longer than a start takes whose requests are not answered.
const WAITING: Duration = Duration::from_secs(30);
/// The number of channels that may start at the same time on the shared connection. If the broker closes the connection
/// meanwhile, one of them is the cause.
const AT_A_TIME: usize = 4;

/// Tracks which channels are declaring or starting to consume.
///
/// Each name starts once at a time: RabbitMQ reports a new quorum queue as existing when it is only registered. A
/// second consumer at that moment makes the broker close the connection.
pub(crate) struct Starts {
    names: Mutex<HashMap<ChannelName, Weak<AsyncMutex<()>>>>,
    shared: Semaphore,
}

impl Default for Starts {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
            shared: Semaphore::new(AT_A_TIME),
        }
    }
}

impl Starts {
    /// Waits until no other start of this channel is in progress.
    ///
    /// # Errors
    /// Returns [`ChannelError::TimedOut`] if another start takes too long.
    pub(crate) async fn turn(&self, name: &ChannelName) -> Result<OwnedMutexGuard<()>, ChannelError> {
        let lock = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let found = names.get(name).and_then(Weak::upgrade);
            found.unwrap_or_else(|| {
                names.retain(|_, lock| lock.strong_count() > 0);
                let lock = Arc::default();
                names.insert(name.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        let turn = timeout(WAITING, lock.lock_owned()).await;
        turn.map_err(|_| ChannelError::TimedOut { after: WAITING })
    }

    /// Waits until few enough other channels are starting on the shared connection.
    ///
    /// # Errors
    /// Returns [`ChannelError::TimedOut`] if there are too many for too long.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, ChannelError> {
        match timeout(WAITING, self.shared.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) => Err(ChannelError::Closed),
            Err(_) => Err(ChannelError::TimedOut { after: WAITING }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_wait_only_within_one_channel() {
        let starts = Starts::default();
        let (ours, theirs) = (
            ChannelName::from_static("ours"),
            ChannelName::from_static("theirs"),
        );
        let turn = starts.turn(&ours).await.unwrap();
        let _other = starts.turn(&theirs).await.unwrap();
        let waited = starts.turn(&ours).await;
        assert!(matches!(waited, Err(ChannelError::TimedOut { .. })), "{waited:?}");
        drop(turn);
        let _again = starts.turn(&ours).await.unwrap();
        assert_eq!(starts.names.lock().unwrap().len(), 2);
    }
}
