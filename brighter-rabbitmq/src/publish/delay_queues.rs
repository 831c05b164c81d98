//! [`DelayQueues`]: declares a delay queue when a message needs it. See [`delay`](crate::topology::delay) for the
//! names.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::connection::ConnectionHandle;
use crate::error::{of_channel, of_publishing, reply_text};
use crate::topology::{DeclareError, Queue, answered, close, declare_delay};
use brighter_core::channel::{DeclareMode, PublishError};

const DECLARING: Duration = Duration::from_secs(10);
/// How long a queue that was refused is not declared again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The longest delay in the consumer: settling must end in a bounded time.
pub(crate) const LONGEST_IN_HAND: Duration = Duration::from_secs(10);

/// The delay queues that are known to exist, and those that were refused.
#[derive(Default)]
pub(crate) struct DelayQueues(Mutex<KnownQueues>);

#[derive(Default)]
struct KnownQueues {
    generation: u64,
    names: HashSet<String>,
    /// The refused queues, with the time of the refusal.
    refused: HashMap<String, Instant>,
}

/// Where a delayed message waits.
pub(crate) enum DelayPlace {
    /// The message waits in this queue.
    In(String),
    /// The message waits in the consumer, because the queue does not exist and cannot be declared.
    InHand,
}

impl DelayQueues {
    /// Returns where to wait for this queue's delay. Declares the queue if it is missing and the consumer may declare
    /// it.
    pub(crate) async fn queue(
        &self,
        connection: &ConnectionHandle,
        mode: DeclareMode,
        queue: &Queue,
    ) -> Result<DelayPlace, PublishError> {
        let open = connection.current().await?;
        let name = &queue.name;
        {
            let known = self.of(open.generation);
            if known
                .refused
                .get(name)
                .is_some_and(|since| since.elapsed() < LOOK_AGAIN)
            {
                return Ok(DelayPlace::InHand);
            }
            // Checked by publishing to it: a queue that does not exist returns the message.
            if mode != DeclareMode::Create || known.names.contains(name) {
                return Ok(DelayPlace::In(name.clone()));
            }
        }
        let declaring = async {
            // A separate AMQP channel, because a refusal closes it, and other messages would be lost with it.
            let amqp = answered("channel.open", connection.open_channel(&open)).await?;
            declare_delay(&amqp, queue).await?;
            close(amqp).await
        };
        match timeout(DECLARING, declaring).await {
            Ok(Ok(())) => {
                self.of(open.generation).names.insert(name.clone());
                Ok(DelayPlace::In(name.clone()))
            }
            Ok(Err(DeclareError::Name(error))) => Err(error.into()),
            Ok(Err(DeclareError::Broker { error, .. })) if of_channel(&error).is_some() => {
                self.refused(queue, &reply_text(&error));
                Ok(DelayPlace::InHand)
            }
            Ok(Err(DeclareError::Broker { error, .. })) => Err(of_publishing(error)),
            Ok(Err(_)) | Err(_) => Err(PublishError::TimedOut { after: DECLARING }),
        }
    }

    /// Forgets a queue that was deleted.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().names.remove(name);
    }

    /// Records and logs a refused queue: until it exists, its messages occupy the consumer's buffer.
    pub(crate) fn refused(&self, queue: &Queue, reason: &str) {
        tracing::warn!(
            %queue, reason,
            "delay queue is missing, so delayed messages wait in the consumer for 10 s at most: declare the queue, or grant the user `configure` on it"
        );
        self.lock().refused.insert(queue.name.clone(), Instant::now());
    }

    /// Returns the queues that are known on this connection: another broker may answer at the same address.
    fn of(&self, generation: u64) -> MutexGuard<'_, KnownQueues> {
        let mut known = self.lock();
        if known.generation != generation {
            *known = KnownQueues {
                generation,
                ..KnownQueues::default()
            };
        }
        known
    }

    fn lock(&self) -> MutexGuard<'_, KnownQueues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
