//! The keys of unique posts, and which message holds each.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::outbox::{OutboxError, UniqueDeposit, UniqueKey};

/// How long a key is waited for that a transaction holds which has not ended.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// The holder of each key.
#[derive(Default)]
pub(super) struct UniqueKeys {
    held: HashMap<String, HeldKey>,
    /// When which key is to be looked at, to forget it.
    ends: BTreeMap<(Instant, u64), String>,
    taken: u64,
}

struct HeldKey {
    by: MessageId,
    until: Instant,
    /// The transaction that took it has not ended.
    pending: bool,
}

/// Whether a key can be taken.
pub(super) enum KeyState {
    Free,
    Held(UniqueDeposit),
    /// A transaction that has not ended holds it.
    Pending,
}

impl UniqueKeys {
    /// Whether this message may take the key, at this time.
    pub(super) fn look(&mut self, key: &UniqueKey, id: &MessageId, now: Instant) -> KeyState {
        self.forget_ended(now);
        match self.held.get(key.as_str()) {
            Some(held) if held.pending => KeyState::Pending,
            Some(held) if held.by != *id => KeyState::Held(UniqueDeposit::Held {
                by: held.by.clone(),
                left: held.until.saturating_duration_since(now),
            }),
            _ => KeyState::Free,
        }
    }

    /// Takes a key that is free, and returns whether it was. A message that holds it already keeps it as it is.
    pub(super) fn take(
        &mut self,
        key: &UniqueKey,
        id: &MessageId,
        now: Instant,
        pending: bool,
        limit: usize,
    ) -> Result<bool, OutboxError> {
        if self.held.contains_key(key.as_str()) {
            return Ok(false);
        }
        if self.held.len() >= limit {
            let reason = format!("at most {limit} unique keys may be held");
            return Err(OutboxError::Full(reason.into()));
        }
        let until = after(now, key.window());
        self.taken += 1;
        self.ends.insert((until, self.taken), key.as_str().to_owned());
        let by = id.clone();
        self.held
            .insert(key.as_str().to_owned(), HeldKey { by, until, pending });
        Ok(true)
    }

    /// The transaction that took the key was committed, or was not.
    pub(super) fn end(&mut self, key: &UniqueKey, committed: bool) {
        if !committed {
            self.held.remove(key.as_str());
        } else if let Some(held) = self.held.get_mut(key.as_str()) {
            held.pending = false;
        }
    }

    /// Forgets the keys whose window is over.
    pub(super) fn forget_ended(&mut self, now: Instant) {
        while let Some(first) = self.ends.first_entry()
            && first.key().0 <= now
        {
            let key = first.remove();
            // It may have been taken anew since, and one of a transaction stays until that ends.
            match self.held.get(&key) {
                Some(held) if held.until <= now && !held.pending => drop(self.held.remove(&key)),
                Some(held) if held.pending => {
                    self.taken += 1;
                    self.ends.insert((after(now, WAIT), self.taken), key);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(text: &str) -> UniqueKey {
        UniqueKey::new(&"topic".into(), "type", text, MINUTE).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn ended_keys_leave_memory_and_pending_ones_stay() {
        let mut keys = UniqueKeys::default();
        let (id, now) = (MessageId::new(), Instant::now());
        keys.take(&key("ends"), &id, now, false, 10).unwrap();
        keys.take(&key("pending"), &id, now, true, 10).unwrap();
        let later = now + MINUTE;
        assert!(matches!(
            keys.look(&key("ends"), &MessageId::new(), later),
            KeyState::Free
        ));
        assert!(matches!(
            keys.look(&key("pending"), &id, later),
            KeyState::Pending
        ));
        assert_eq!(keys.held.len(), 1);
        keys.end(&key("pending"), true);
        keys.forget_ended(later + WAIT);
        assert_eq!((keys.held.len(), keys.ends.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_keys_are_held_than_may() {
        let mut keys = UniqueKeys::default();
        let (id, now) = (MessageId::new(), Instant::now());
        keys.take(&key("first"), &id, now, false, 1).unwrap();
        let full = keys.take(&key("second"), &id, now, false, 1);
        assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
        keys.forget_ended(now + MINUTE);
        keys.take(&key("second"), &id, now + MINUTE, false, 1).unwrap();
    }
}
