//! What is handled, what counts it, and what a run of it gave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use ruststream::Outgoing;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// How many wait when a consumer is started.
pub(crate) const CONSUMED: u32 = 30_000;
/// How many are published.
pub(crate) const PUBLISHED: u32 = 10_000;
/// How many a consumer may have before it acknowledges one.
pub(crate) const PREFETCH: u16 = 200;
/// How many are published at once, where a peer can do that.
pub(crate) const WINDOW: usize = 256;
/// A run that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// A kilobyte, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize, Outgoing)]
pub(crate) struct Order {
    pub(crate) number: u32,
    pub(crate) text: String,
}

impl Order {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            number,
            text: "x".repeat(980),
        }
    }

    /// As many as are published.
    pub(crate) fn published() -> Vec<Self> {
        (0..PUBLISHED).map(Self::new).collect()
    }
}

/// Whether every order was handled, and none twice.
pub(crate) struct Tally {
    seen: Vec<AtomicU8>,
    left: AtomicU32,
    done: Notify,
}

impl Tally {
    /// Of as many as are consumed.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: (0..CONSUMED).map(|_| AtomicU8::new(0)).collect(),
            left: AtomicU32::new(CONSUMED),
            done: Notify::new(),
        })
    }

    /// What a handler says of each order.
    pub(crate) fn count(&self, order: u32) {
        let first = self
            .seen
            .get(order as usize)
            .is_some_and(|seen| seen.fetch_add(1, Ordering::Relaxed) == 0);
        if first && self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// Waits until all were handled.
    pub(crate) async fn complete(&self) -> Result<()> {
        tokio::time::timeout(PATIENCE, self.done.notified())
            .await
            .with_context(|| format!("{} were not handled in time", self.left.load(Ordering::Acquire)))
    }

    /// An error if one was handled more than once; asked at the end, when nothing can come any more.
    pub(crate) fn once_each(&self) -> Result<()> {
        let twice = self
            .seen
            .iter()
            .filter(|seen| seen.load(Ordering::Relaxed) > 1)
            .count();
        ensure!(twice == 0, "{twice} were handled more than once");
        Ok(())
    }
}

/// The fields that brighter's benchmark reads.
#[derive(Serialize)]
pub(crate) struct Sample {
    value: f64,
    operations: u64,
    cpu_micros: f64,
    allocations: Option<f64>,
    second: Option<f64>,
}

/// Time by the wall and by the processor, since it was started.
pub(crate) struct Stopwatch {
    wall: Instant,
    cpu: Duration,
}

impl Stopwatch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self {
            cpu: cpu()?,
            wall: Instant::now(),
        })
    }

    /// A sample whose value is how often the work was done in a second.
    pub(crate) fn per_second(&self, operations: u32) -> Result<Sample> {
        let wall = self.wall.elapsed();
        let spent = cpu()?.saturating_sub(self.cpu);
        let count = f64::from(operations);
        Ok(Sample {
            value: count / wall.as_secs_f64(),
            operations: operations.into(),
            cpu_micros: spent.as_secs_f64() * 1e6 / count,
            allocations: None,
            second: None,
        })
    }
}

/// What this process has spent, in user and kernel.
fn cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec())
        .sum::<i64>();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// The one runtime of a sample, like that of brighter's own.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}
