//! The [`Archiver`]: keeps the outbox small.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::background::BackgroundTask;
use crate::policy::spread;
use brighter_core::error::InvalidSetting;
use brighter_core::outbox::{Archive, Archiving, Outbox, OutboxError};

/// Takes old messages out of the outbox: those that the broker has had for so long, and the dead if it is told so.
/// What is outstanding it never touches.
///
/// It works in small batches, each a short transaction of its own; several processes may do so at once, and none
/// waits for another. An id that is archived is free: a request that is posted again with it is sent again, and
/// cannot be [reposted](crate::processor::ProcessorOutbox::repost). Keep messages for longer than either may happen.
///
/// ```
/// use std::time::Duration;
/// use brighter::Archiver;
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let archiver = Archiver::delete_after(7 * DAY).dead_after(90 * DAY);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archiver {
    pub(super) interval: Duration,
    pub(super) what: Archive,
}

impl Archiver {
    /// Deletes what was dispatched at least this long ago: a thousand at once, looking once a minute.
    #[must_use]
    pub fn delete_after(age: Duration) -> Self {
        Self {
            interval: Duration::from_secs(60),
            what: Archive::dispatched(age, 1_000),
        }
    }

    /// Moves it to a second table in the same database, called like that of the outbox with `_archive` after it, where
    /// nothing looks at it again. An [`InMemoryOutbox`](crate::InMemoryOutbox) has no such table, and deletes it.
    #[must_use]
    pub fn move_after(age: Duration) -> Self {
        let delete = Self::delete_after(age);
        Self {
            what: delete.what.keep(),
            ..delete
        }
    }

    /// Does so with what has been dead for at least this long, too. Without this the dead stay.
    #[must_use]
    pub fn dead_after(mut self, age: Duration) -> Self {
        self.what = self.what.dead(age);
        self
    }

    /// Takes at most this many at once, and goes on until nothing old is left.
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.what.limit = messages;
        self
    }

    /// Looks this often, give or take a tenth.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// The archiver of a processor that was told of none: it deletes what nobody can need any more. As long as the inbox
    /// remembers a request, its duplicate may have to send again what handling it has posted; what was posted was there
    /// before the inbox knew that it was handled, so that a day is added.
    pub(super) fn by_default(inbox_retention: Option<Duration>) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self::delete_after(inbox_retention.unwrap_or(7 * DAY).saturating_add(DAY))
    }

    /// Returns the setting that has a value it cannot have.
    pub(super) fn invalid(&self) -> Option<InvalidSetting> {
        InvalidSetting::if_zero("batch", self.what.limit)
    }

    /// Archives all that is old enough, and says how many messages that were.
    pub(super) async fn archive(
        &self,
        outbox: &dyn Archiving,
        ended: &CancellationToken,
    ) -> Result<u64, OutboxError> {
        let mut all = 0;
        loop {
            let some = outbox.archive(&self.what).await?;
            all += some;
            if some < self.what.limit as u64 || ended.is_cancelled() {
                return Ok(all);
            }
        }
    }

    /// Starts the task that archives until `ended` is cancelled, at once or after its interval.
    pub(super) fn start(
        self,
        runtime: &Handle,
        outbox: &Arc<dyn Outbox>,
        ended: &Arc<CancellationToken>,
        is_asked_for: bool,
    ) -> BackgroundTask {
        let (outbox, until) = (Arc::clone(outbox), Arc::clone(ended));
        let run = move || {
            let (archiver, outbox, until) = (self.clone(), Arc::clone(&outbox), Arc::clone(&until));
            match is_asked_for {
                true => archiver.run(outbox, until).boxed(),
                false => archiver.run_later(outbox, until).boxed(),
            }
        };
        BackgroundTask::spawn("archiver", runtime, Arc::clone(ended), run)
    }

    /// Archives until it is told to end, and not at once: nothing is urgent for one that nobody has asked for.
    async fn run_later(self, outbox: Arc<dyn Outbox>, ended: Arc<CancellationToken>) {
        let pause = tokio::time::sleep(spread(self.interval, 0.1));
        if ended.run_until_cancelled(pause).await.is_some() {
            self.run(outbox, ended).await;
        }
    }

    /// Archives until it is told to end.
    async fn run(self, outbox: Arc<dyn Outbox>, ended: Arc<CancellationToken>) {
        let mut failed = false;
        loop {
            // The outbox may be the application's own, and panic.
            let archived = AssertUnwindSafe(async {
                let outbox = outbox.archiving();
                let outbox = outbox.ok_or(OutboxError::Unsupported("archiving"))?;
                self.archive(outbox, &ended).await
            });
            let archived = archived.catch_unwind().await;
            let archived = archived.unwrap_or_else(|_| Err(OutboxError::Other("archiving panicked".into())));
            match archived {
                Ok(0) => failed = false,
                Ok(messages) => {
                    failed = false;
                    tracing::debug!(messages, "archived old messages of the outbox");
                }
                Err(error) => {
                    if !std::mem::replace(&mut failed, true) {
                        let error = brighter_core::__private::report(&error);
                        tracing::warn!(error, "archiving old messages of the outbox failed");
                    }
                }
            }
            tokio::select! {
                () = ended.cancelled() => return,
                () = tokio::time::sleep(spread(self.interval, 0.1)) => {}
            }
        }
    }
}
