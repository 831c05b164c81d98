//! The [`InMemoryInbox`]: for tests, and for programs that may forget with their process what they handled.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, ClaimId, Fingerprint, Inbox, InboxError, InboxHistory, InboxKey};

/// How many keys are kept unless [`InMemoryInbox::limit`] says otherwise.
const DEFAULT_LIMIT: usize = 100_000;
/// How long unless [`InMemoryInbox::retention`] says otherwise.
const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An inbox in the memory of this process: what it remembers ends with the process.
///
/// A clone is the same inbox. It remembers the hundred thousand requests that were handled last, or as many
/// as [`limit`](Self::limit) says, for seven days, or as long as
/// [`retention`](Self::retention) says. As many may be handled at the same time.
///
/// ```
/// use std::time::Duration;
/// use brighter::inbox::{Begun, Inbox, InboxKey, InMemoryInbox};
/// use brighter::MessageId;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let inbox = InMemoryInbox::new();
/// let key = InboxKey::new(MessageId::new(), "mail");
/// let lease = Duration::from_secs(300);
/// assert!(matches!(inbox.begin(&key, None, lease).await?, Begun::First(_)));
/// inbox.complete(&key).await?;
/// assert_eq!(inbox.begin(&key, None, lease).await?, Begun::Done);
/// # Ok::<(), brighter::inbox::InboxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct InMemoryInbox {
    state: Arc<Mutex<State>>,
    limit: usize,
    retention: Duration,
}

impl InMemoryInbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            limit: DEFAULT_LIMIT,
            retention: DEFAULT_RETENTION,
        }
    }

    /// Remembers this many that were handled, and forgets the oldest for another. It refuses more than this many at
    /// the same time with [`InboxError::Full`]; with 0 it refuses all.
    #[must_use]
    pub fn limit(mut self, keys: usize) -> Self {
        self.limit = keys;
        self
    }

    /// Remembers what was handled for this long. It must be longer than the last duplicate may take to come.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// No method of [`State`] can panic half way, so what a poisoned lock guards is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemoryInbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("InMemoryInbox")
            .field("running", &state.running())
            .field("done", &state.done.len())
            .field("limit", &self.limit)
            .field("retention", &self.retention)
            .finish()
    }
}

impl Inbox for InMemoryInbox {
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>> {
        Box::pin(async move {
            let mut state = self.state();
            state.forget_older_than(self.retention);
            state.begin(key, fingerprint, lease, self.limit)
        })
    }

    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            self.state().complete(key, self.limit);
            Ok(())
        })
    }

    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>> {
        Box::pin(async move {
            self.state().abandon(key, claim);
            Ok(())
        })
    }

    fn history(&self) -> Option<&dyn InboxHistory> {
        Some(self)
    }

    fn retention(&self) -> Option<Duration> {
        Some(self.retention)
    }
}

impl InboxHistory for InMemoryInbox {
    fn handled<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<MessageId>, InboxError>> {
        Box::pin(async move {
            let state = self.state();
            let is_done = |entry: &InboxEntry| matches!(entry.progress, Progress::Done);
            let done = state.entries.iter().filter(|(_, entry)| is_done(entry));
            let done: HashSet<_> = done.map(|(key, _)| &key.id).collect();
            Ok(ids.iter().filter(|id| done.contains(id)).cloned().collect())
        })
    }
}

#[derive(Default)]
struct State {
    entries: HashMap<InboxKey, InboxEntry>,
    /// The requests that are done, in the order in which they were.
    done: VecDeque<(Instant, InboxKey)>,
    claims: u64,
}

struct InboxEntry {
    fingerprint: Option<Fingerprint>,
    progress: Progress,
}

enum Progress {
    Running { claim: ClaimId, until: Instant },
    Done,
}

impl State {
    fn begin(
        &mut self,
        key: &InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
        limit: usize,
    ) -> Result<Begun, InboxError> {
        let now = Instant::now();
        let mut known = fingerprint;
        match self.entries.get(key) {
            Some(entry) if entry.differs(fingerprint) => return Ok(Begun::Collision),
            Some(InboxEntry {
                progress: Progress::Done,
                ..
            }) => return Ok(Begun::Done),
            Some(InboxEntry {
                progress: Progress::Running { until, .. },
                ..
            }) if *until > now => {
                let left = until.duration_since(now);
                return Ok(Begun::Running { left });
            }
            Some(entry) => known = fingerprint.or(entry.fingerprint),
            None => self.make_room(now, limit)?,
        }
        self.claims += 1;
        let claim = ClaimId::new(self.claims);
        let until = after(now, lease);
        let entry = InboxEntry {
            fingerprint: known,
            progress: Progress::Running { claim, until },
        };
        self.entries.insert(key.clone(), entry);
        Ok(Begun::First(claim))
    }

    fn running(&self) -> usize {
        self.entries.len() - self.done.len()
    }

    /// Room for one more that is running. Claims that have ended are kept for their fingerprints until then.
    fn make_room(&mut self, now: Instant, limit: usize) -> Result<(), InboxError> {
        if self.running() >= limit {
            self.entries.retain(|_, entry| match entry.progress {
                Progress::Running { until, .. } => until > now,
                Progress::Done => true,
            });
        }
        if self.running() >= limit {
            let reason = format!("at most {limit} requests may be handled at the same time");
            return Err(InboxError::Full(reason.into()));
        }
        Ok(())
    }

    fn complete(&mut self, key: &InboxKey, limit: usize) {
        let entry = self.entries.entry(key.clone()).or_insert(InboxEntry {
            fingerprint: None,
            progress: Progress::Running {
                claim: ClaimId::new(0),
                until: Instant::now(),
            },
        });
        if let Progress::Done = entry.progress {
            return;
        }
        entry.progress = Progress::Done;
        self.done.push_back((Instant::now(), key.clone()));
        if self.done.len() > limit {
            self.forget_oldest();
        }
    }

    fn abandon(&mut self, key: &InboxKey, claim: ClaimId) {
        let is_its = |entry: &InboxEntry| matches!(entry.progress, Progress::Running { claim: held, .. } if held == claim);
        if self.entries.get(key).is_some_and(is_its) {
            self.entries.remove(key);
        }
    }

    fn forget_older_than(&mut self, retention: Duration) {
        while self
            .done
            .front()
            .is_some_and(|(when, _)| when.elapsed() >= retention)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.done.pop_front() {
            self.entries.remove(&key);
        }
    }
}

impl InboxEntry {
    /// A request that was made in this process has no body to compare.
    fn differs(&self, fingerprint: Option<Fingerprint>) -> bool {
        self.fingerprint
            .zip(fingerprint)
            .is_some_and(|(kept, new)| !new.is_kept_as(kept))
    }
}
