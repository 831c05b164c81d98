//! The delay queues that are made where a message has to wait: see [`delay`](crate::topology::delay) for their names.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::connection::ConnectionHandle;
use crate::error::{of_channel, of_publishing, reply_text};
use crate::topology::{DeclareError, Queue, answered, close, declare_delay};
use brighter_core::channel::{MakeChannel, PublishError};

const DECLARING: Duration = Duration::from_secs(10);
/// How long a queue that could not be had is not asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a message waits with its consumer at most, as a settling must not take for ever.
pub(crate) const LONGEST_IN_HAND: Duration = Duration::from_secs(10);

/// The delay queues that are known to exist, and those that could not be had.
#[derive(Default)]
pub(crate) struct DelayQueues(Mutex<KnownQueues>);

#[derive(Default)]
struct KnownQueues {
    generation: u64,
    names: HashSet<String>,
    /// Since when.
    refused: HashMap<String, Instant>,
}

/// How a message waits.
pub(crate) enum DelayPlace {
    /// In this queue.
    In(String),
    /// With its consumer, as there is no such queue, and none can be made.
    InHand,
}

impl DelayQueues {
    /// How to wait in this queue. It is made where it is missing, if that is for the consumer to do.
    pub(crate) async fn queue(
        &self,
        connection: &ConnectionHandle,
        make: MakeChannel,
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
            // Looked for by publishing to it: a queue that is not there gives the message back.
            if make != MakeChannel::Create || known.names.contains(name) {
                return Ok(DelayPlace::In(name.clone()));
            }
        }
        let declaring = async {
            // A channel of its own: a refusal closes it, and would take others' messages with it.
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

    /// Somebody deleted it.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().names.remove(name);
    }

    /// It cannot be had, which a person should know: meanwhile its messages take up places of the consumer.
    pub(crate) fn refused(&self, queue: &Queue, reason: &str) {
        tracing::warn!(
            %queue, reason,
            "there is no queue to wait in, so messages that come again wait with their consumer, 10 s at most: make that queue, or grant the user `configure` on it"
        );
        self.lock().refused.insert(queue.name.clone(), Instant::now());
    }

    /// What is known of this connection: another broker may answer at the same address.
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
