//! Whether what was taken was given back: I6 of the catalogue.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::wait::deadline;

/// What this runtime and this process had at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    tasks: usize,
    threads: usize,
    descriptors: usize,
}

impl Held {
    /// What there is now. Every test has a runtime of its own, so its tasks are its own; threads and descriptors are
    /// those of the whole process, so count them only where no other test runs.
    #[must_use]
    pub fn now() -> Self {
        Self {
            tasks: tasks(),
            threads: threads(),
            descriptors: descriptors(),
        }
    }

    /// Waits until no more tasks are alive than there were.
    ///
    /// # Panics
    /// They are.
    pub async fn tasks_are_back(self) {
        until_at_most("tasks", self.tasks, tasks).await;
    }

    /// Waits until there are no more tasks, threads and open descriptors than there were.
    ///
    /// # Panics
    /// There are.
    pub async fn all_is_back(self) {
        self.tasks_are_back().await;
        until_at_most("threads", self.threads + SLACK, threads).await;
        until_at_most("descriptors", self.descriptors + SLACK, descriptors).await;
    }
}

/// Another test may begin meanwhile, as far as it gets without the node: its thread, its runtime.
const SLACK: usize = 12;

async fn until_at_most(what: &str, limit: usize, count: impl Fn() -> usize) {
    let begun = Instant::now();
    while count() > limit {
        assert!(
            begun.elapsed() < deadline(),
            "{} {what} are left, where {limit} were before",
            count()
        );
        sleep(Duration::from_millis(20)).await;
    }
}

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// None where the system does not tell.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// None where the system does not tell.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}
