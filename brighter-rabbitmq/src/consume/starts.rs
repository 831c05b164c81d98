//! [`Starts`]: channels are declared and consumed one after the other, and not too many at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use brighter_core::channel::ChannelError;
use brighter_core::message::ChannelName;

/// A start waits for others this long at most: longer than one that meets silence takes.
const WAITING: Duration = Duration::from_secs(30);
/// So many channels may be started at the same time by a connection that they share. If the broker closes it
/// meanwhile, one of them has cost the others theirs.
const AT_A_TIME: usize = 4;

/// Who declares and starts to consume now.
///
/// One name at a time: RabbitMQ tells a second consumer of a new quorum queue that the queue is there when it is only
/// noted down, and closes the connection when that consumes it.
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
    /// Waits until no other start of this channel is under way.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`], if one is for too long.
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

    /// Waits until few enough other channels are being started by the shared connection.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`], if too many are for too long.
    pub(super) async fn permit(&self) -> Result<SemaphorePermit<'_>, ChannelError> {
        match timeout(WAITING, self.shared.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            // It is never closed.
            Ok(Err(_)) => Err(ChannelError::Closed),
            Err(_) => Err(ChannelError::TimedOut { after: WAITING }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn starts_of_one_channel_wait_for_each_other_and_those_of_others_do_not() {
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
