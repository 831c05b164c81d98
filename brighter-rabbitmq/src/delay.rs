//! Delays without a plugin: a queue that nobody reads, whose messages go on when their time is up.
//!
//! Each length of delay has a queue of its own, so that no message waits behind a longer one. The lengths are
//! rounded up to two digits, which bounds the number of queues: ninety for each power of ten. They never
//! expire, as the broker drops what is in a queue that does. One that is no longer used is empty, and costs the
//! broker next to nothing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connection::Link;
use super::error::{of_channel, of_publishing, said};
use super::topology::{DeclareError, Queue, declare_delay};
use brighter_core::channel::{MakeChannel, PublishError};
use brighter_core::message::{ChannelName, MAX_NAME_BYTES, NameError};

/// The longest delay, a little under 49 days: the broker counts milliseconds in 32 bits.
const LONGEST: u32 = 4_200_000_000;
pub(super) const LONGEST_DELAY: Duration = Duration::from_millis(LONGEST as u64);
const DECLARING: Duration = Duration::from_secs(10);
/// How long a queue that could not be had is not asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long a message waits with its consumer at most, as a settling must not take for ever.
pub(super) const LONGEST_IN_HAND: Duration = Duration::from_secs(10);

/// The milliseconds to wait, rounded up to two digits; 0 for no wait at all. `build()` refuses a longer delay than the
/// longest in a subscription. A handler that defers for longer gets its message back after the longest.
pub(super) fn milliseconds(delay: Duration) -> u32 {
    let exact = delay.as_nanos().div_ceil(1_000_000);
    let exact = u64::try_from(exact).unwrap_or(u64::MAX).min(LONGEST.into());
    let mut unit = 1;
    while exact.div_ceil(unit) >= 100 {
        unit *= 10;
    }
    u32::try_from(exact.div_ceil(unit) * unit).unwrap_or(LONGEST)
}

pub(super) fn name_of(queue: &str, milliseconds: u32) -> String {
    format!("{queue}.delay.{milliseconds}")
}

/// Whether the name of a channel leaves room for the names of its delays.
pub(super) fn check(queue: &ChannelName) -> Result<(), NameError> {
    let longest = name_of(queue.as_str(), LONGEST);
    if longest.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong {
            what: "channel name with `.delay.` and milliseconds after it",
            bytes: longest.len(),
            begins: longest.chars().take(24).collect(),
        });
    }
    Ok(())
}

/// The delay queues that are known to exist, and those that could not be had.
#[derive(Default)]
pub(super) struct Delays(Mutex<Known>);

#[derive(Default)]
struct Known {
    generation: u64,
    names: HashSet<String>,
    /// Since when.
    refused: HashMap<String, Instant>,
}

/// How a message waits.
pub(super) enum Waiting {
    /// In this queue.
    In(String),
    /// With its consumer, as there is no such queue, and none can be made.
    InHand,
}

impl Delays {
    /// How to wait in this queue. It is made where it is missing, if that is for the consumer to do.
    pub(super) async fn queue(
        &self,
        link: &Link,
        make: MakeChannel,
        queue: &Queue,
    ) -> Result<Waiting, PublishError> {
        let open = link.current().await?;
        let name = &queue.name;
        {
            let known = self.of(open.generation);
            if known
                .refused
                .get(name)
                .is_some_and(|since| since.elapsed() < LOOK_AGAIN)
            {
                return Ok(Waiting::InHand);
            }
            // Looked for by publishing to it: a queue that is not there gives the message back.
            if make != MakeChannel::Create || known.names.contains(name) {
                return Ok(Waiting::In(name.clone()));
            }
        }
        let declaring = async {
            // A channel of its own: a refusal closes it, and would take others' messages with it.
            let amqp = open.connection.create_channel().await?;
            declare_delay(&amqp, queue).await?;
            amqp.close(200, "done".into()).await?;
            Ok(())
        };
        match timeout(DECLARING, declaring).await {
            Ok(Ok(())) => {
                self.of(open.generation).names.insert(name.clone());
                Ok(Waiting::In(name.clone()))
            }
            Ok(Err(DeclareError::Name(error))) => Err(error.into()),
            Ok(Err(DeclareError::Broker(error))) if of_channel(&error).is_some() => {
                self.refused(queue, &said(&error));
                Ok(Waiting::InHand)
            }
            Ok(Err(DeclareError::Broker(error))) => Err(of_publishing(error)),
            Err(_) => Err(PublishError::TimedOut { after: DECLARING }),
        }
    }

    /// Somebody deleted it.
    pub(super) fn forget(&self, name: &str) {
        self.lock().names.remove(name);
    }

    /// It cannot be had, which a person should know: meanwhile its messages take up places of the consumer.
    pub(super) fn refused(&self, queue: &Queue, reason: &str) {
        tracing::warn!(
            %queue, reason,
            "there is no queue to wait in, so messages that come again wait with their consumer, 10 s at most: make that queue, or grant the user `configure` on it"
        );
        self.lock().refused.insert(queue.name.clone(), Instant::now());
    }

    /// What is known of this connection: another broker may answer at the same address.
    fn of(&self, generation: u64) -> MutexGuard<'_, Known> {
        let mut known = self.lock();
        if known.generation != generation {
            *known = Known {
                generation,
                ..Known::default()
            };
        }
        known
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_rounded_up_to_two_digits() {
        for (delay, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_millis(99), 99),
            (Duration::from_millis(100), 100),
            (Duration::from_millis(101), 110),
            (Duration::from_millis(1234), 1300),
            (Duration::from_millis(9901), 10_000),
            (Duration::from_secs(60), 60_000),
            (Duration::from_secs(90_061), 91_000_000),
            (Duration::MAX, LONGEST),
        ] {
            assert_eq!(milliseconds(delay), expected, "{delay:?}");
        }
    }

    #[test]
    fn there_are_ninety_queues_for_each_power_of_ten() {
        let lengths: HashSet<u32> = (1000..10_000)
            .map(|ms| milliseconds(Duration::from_millis(ms)))
            .collect();
        assert_eq!(lengths.len(), 91); // 1000 to 9900, and 10000.
    }

    #[test]
    fn a_name_must_leave_room() {
        assert!(check(&"q".repeat(238).into()).is_ok());
        assert!(check(&"q".repeat(239).into()).is_err());
    }
}
