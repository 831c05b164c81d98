//! [`BackgroundTask`]: a task of a processor that is started again when its runtime has ended before the processor.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// A task that runs as long as its processor. A runtime takes its tasks with it when it ends, and a processor may
/// live longer than the runtime in which it was built.
pub(super) struct BackgroundTask {
    name: &'static str,
    start: Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
    /// Set by whatever ends the task: its runtime, a panic, or its own end.
    gone: Arc<AtomicBool>,
    /// Cancelled when the task shall end.
    ended: Arc<CancellationToken>,
}

/// Notes that the future that holds it was dropped.
struct DropFlag(Arc<AtomicBool>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl BackgroundTask {
    /// Starts the task in this runtime. `start` makes it, and makes it again when it is gone; it ends by itself once
    /// `ended` is cancelled.
    pub(super) fn spawn(
        name: &'static str,
        runtime: &Handle,
        ended: Arc<CancellationToken>,
        start: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) -> Self {
        let task = Self {
            name,
            start: Box::new(start),
            gone: Arc::default(),
            ended,
        };
        task.run_in(runtime);
        task
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether the task was gone before its time. Then it is started again in the runtime of the caller, if
    /// there is one.
    pub(super) fn keep_going(&self) -> bool {
        // Nearly always, and on the way of every post.
        if !self.gone.load(Ordering::Acquire) || self.ended.is_cancelled() {
            return false;
        }
        // Of several callers one starts it.
        if let Ok(runtime) = Handle::try_current()
            && self.gone.swap(false, Ordering::AcqRel)
        {
            tracing::warn!(
                task = self.name,
                "a background task had ended with its runtime, and was started again in this one; build the processor \
                 in a runtime that lives as long as the processor"
            );
            self.run_in(&runtime);
        }
        true
    }

    fn run_in(&self, runtime: &Handle) {
        // Dropped with the future, also if that is never polled.
        let note = DropFlag(Arc::clone(&self.gone));
        let task = (self.start)();
        runtime.spawn(async move {
            let _note = note;
            task.await;
        });
    }
}

impl fmt::Debug for BackgroundTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundTask")
            .field("name", &self.name)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}
