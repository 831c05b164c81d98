//! Waiting until what follows from a message has settled, and what is told if it does not.

use std::fmt::Write as _;
use std::pin::pin;
use std::time::{self, Duration};

use tokio::time::{Instant, sleep};

use super::TestApp;
use super::journal::{JournalEntry, What};
use super::timeline::short;
use brighter_core::__private::report;
use brighter_core::id::MessageId;
use brighter_core::message::ChannelName;
use brighter_core::outbox::OutboxError;

/// How long a cascade may take to settle, or an application to start, by the clock on the wall, which is never paused.
pub(super) const LONGEST_REALLY: Duration = Duration::from_secs(30);
/// How soon to look again while nothing happens, then after twice as long, and so on. What happens in this process is
/// told at once, but not that an outbox in a database has noted what was sent.
const FIRST_TICK: Duration = Duration::from_millis(10);
const LONGEST_TICK: Duration = Duration::from_secs(1);
/// How many messages that are not handled are told one by one.
const TOLD: usize = 10;

impl TestApp {
    /// Waits until nothing is under way: every message that was posted, to whatever depth, is handled, in a
    /// dead-letter or an invalid-message channel, or parked in a channel that nobody here consumes, and the outbox
    /// has sent all that the broker will take.
    ///
    /// It counts copies and waits for no time. What a handler does in a task of its own that it does not wait for
    /// is not seen.
    ///
    /// # Panics
    /// At once, with the cause, if a handler is called for a message and fails in a way that no further attempt can mend:
    /// the processor lacks what the handler uses, or has another outbox or inbox than that of its transaction, or the
    /// handler [panicked](super::TestAppBuilder::allow_panics).
    ///
    /// Something is still under way when the [time to settle](super::TestAppBuilder::settle_timeout) is at its end, or
    /// after 30 seconds by the clock on the wall, as when the connection stays lost.
    pub async fn settled(&self) {
        self.wait_for(None).await;
    }

    /// Waits until the message and all that was posted because of it, by
    /// [`cx.post`](crate::ContextExt::post) and [`cx.deposit_post`](crate::ContextExt::deposit_post), has
    /// [settled](Self::settled), whatever else is under way.
    ///
    /// # Panics
    /// As [`settled`](Self::settled).
    pub async fn cascade_settled(&self, of: &MessageId) {
        self.wait_for(Some(of)).await;
    }

    async fn wait_for(&self, cause: Option<&MessageId>) {
        let (began, really) = (Instant::now(), time::Instant::now());
        let mut tick = FIRST_TICK;
        loop {
            let mut seen = pin!(self.journal.changed().notified());
            seen.as_mut().enable();
            if let Some((handler, why)) = self.journal.hopeless() {
                self.fail(&format!("{} {why}", short(handler)));
            }
            // What is unsent becomes live before it is sent, and what is live may deposit: only if nothing happened
            // between two looks are both true at once.
            let (_, before) = self.journal.live(cause);
            let unsent = self.unsent().await;
            let (live, after) = self.journal.live(cause);
            if before == after && live == 0 && matches!(unsent, Ok(0)) {
                return;
            }
            if began.elapsed() > self.settle_timeout || really.elapsed() > LONGEST_REALLY {
                self.fail(&self.unsettled(live, unsent));
            }
            if before == after {
                tokio::select! {
                    () = seen => tick = FIRST_TICK,
                    () = sleep(tick) => tick = tick.saturating_mul(2).min(LONGEST_TICK),
                }
            }
        }
    }

    /// How many messages are still to be sent, those not counted that the broker refused.
    async fn unsent(&self) -> Result<u64, OutboxError> {
        let status = self.outbox().status().await?;
        let dead = status.dead.saturating_sub(self.dead_before);
        // A message that the broker refuses is outstanding until it is dead.
        let refused = self.journal.refused().saturating_sub(dead);
        Ok(status.outstanding.saturating_sub(refused))
    }

    /// Returns the report if something does not settle.
    fn unsettled(&self, live: usize, unsent: Result<u64, OutboxError>) -> String {
        let mut told = format!("not settled: {live} copies are not handled, and the outbox ");
        let _ = match unsent {
            Ok(unsent) => write!(told, "has {unsent} to send"),
            Err(error) => write!(told, "cannot be asked: {}", report(&error)),
        };
        let entries = self.journal.entries();
        for (channel, id) in self.journal.live_copies().iter().take(TOLD) {
            let _ = write!(
                told,
                "\n  `{id}` in `{channel}`: {}",
                last_of(&entries, channel, id)
            );
        }
        told
    }
}

/// The last that happened to a message in a channel.
fn last_of(entries: &[JournalEntry], channel: &ChannelName, id: &MessageId) -> String {
    let is_its = |entry: &&JournalEntry| {
        let is_here = match &entry.what {
            What::Posted { channel: at } | What::Returned { channel: at } => at == channel,
            What::Delivered { channel: at, .. } | What::Deferred { channel: at, .. } => at == channel,
            What::Failed { .. } => true,
            _ => false,
        };
        is_here
            && entry
                .message
                .as_ref()
                .is_some_and(|message| message.header.id == *id)
    };
    let its = || entries.iter().rev().filter(is_its);
    let last = its()
        .next()
        .map_or_else(String::new, |entry| entry.what.to_string());
    let failed = its().find(|entry| matches!(entry.what, What::Failed { .. }));
    match failed.map(|entry| entry.what.to_string()) {
        Some(failed) if failed != last => format!("{last}; {failed}"),
        _ => last,
    }
}
