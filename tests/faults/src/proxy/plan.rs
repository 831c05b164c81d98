//! What is to be done to what goes through a proxy, and what has gone through it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::frames::Kind;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client.
    ToBroker,
    /// From the broker.
    ToClient,
}

/// What is done in place of bringing a frame on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It goes no further.
    Drop,
    /// It comes twice.
    Duplicate,
    /// It, and all behind it, come so much later.
    Delay(Duration),
    /// The connection is reset in its place.
    Reset,
    /// So many bytes of it go on, then the connection is reset.
    CutAfter(usize),
}

/// What is done to one frame.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    direction: Direction,
    kind: Kind,
    /// How many of its kind go on before it.
    skip: usize,
    act: Act,
}

impl Rule {
    /// Does this to the next frame of this kind that goes this way.
    #[must_use]
    pub fn next(direction: Direction, kind: Kind, act: Act) -> Self {
        Self {
            direction,
            kind,
            skip: 0,
            act,
        }
    }

    /// Lets so many go on before.
    #[must_use]
    pub fn after(mut self, frames: usize) -> Self {
        self.skip = frames;
        self
    }
}

/// What a proxy is to do, and what it has seen.
pub(super) struct Plan {
    state: Mutex<State>,
    refusing: AtomicBool,
    black_hole: AtomicBool,
    /// Whether what comes from the broker waits.
    silent: watch::Sender<bool>,
    open: AtomicUsize,
    attempts: AtomicUsize,
    /// Counts the resets.
    resets: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    followed: usize,
    seen: HashMap<(Direction, Kind), usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            refusing: AtomicBool::new(false),
            black_hole: AtomicBool::new(false),
            silent: watch::Sender::new(false),
            open: AtomicUsize::new(0),
            attempts: AtomicUsize::new(0),
            resets: watch::Sender::new(0),
        }
    }
}

impl Plan {
    pub(super) fn add(&self, rule: Rule) {
        self.lock().rules.push(rule);
    }

    pub(super) fn followed(&self) -> usize {
        self.lock().followed
    }

    pub(super) fn seen(&self, direction: Direction, kind: Kind) -> usize {
        self.lock().seen.get(&(direction, kind)).copied().unwrap_or(0)
    }

    /// What to do to this frame, which is about to go on. A rule is followed once; the first that fits is.
    pub(super) fn act(&self, direction: Direction, kind: Kind) -> Option<Act> {
        let mut state = self.lock();
        *state.seen.entry((direction, kind)).or_default() += 1;
        let mut due = None;
        for (index, rule) in state.rules.iter_mut().enumerate() {
            if (rule.direction, rule.kind) != (direction, kind) {
                continue;
            }
            match rule.skip.checked_sub(1) {
                Some(left) => rule.skip = left,
                None => due = due.or(Some(index)),
            }
        }
        let rule = state.rules.remove(due?);
        state.followed += 1;
        Some(rule.act)
    }

    pub(super) fn black_hole(&self, on: bool) {
        self.black_hole.store(on, Ordering::SeqCst);
    }

    pub(super) fn is_black_hole(&self) -> bool {
        self.black_hole.load(Ordering::SeqCst)
    }

    pub(super) fn silence(&self, on: bool) {
        self.silent.send_replace(on);
    }

    /// Waits until what comes from the broker may go on.
    pub(super) async fn spoken(&self) {
        // The sender is here.
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
    }

    pub(super) fn refuse(&self, on: bool) {
        self.refusing.store(on, Ordering::SeqCst);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::SeqCst)
    }

    pub(super) fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    pub(super) fn resets(&self) -> watch::Receiver<usize> {
        self.resets.subscribe()
    }

    pub(super) fn attempted(&self) {
        self.attempts.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn enter(&self) -> Opened<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Opened(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is open.
pub(super) struct Opened<'p>(&'p Plan);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
