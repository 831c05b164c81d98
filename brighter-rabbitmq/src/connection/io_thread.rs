//! The thread on which all connections run. Their sockets, heartbeats and reconnecting must go on while all threads of
//! the application are busy, or its only one is blocked by a handler.
//!
//! All brokers of a process share it. It starts with the first broker and ends a moment after the last. A broker that
//! is made in that moment reuses it, so that repeated connecting does not accumulate threads.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::instrument::WithSubscriber;

/// The thread of this process, from its start until it ends.
static SHARED: Mutex<Option<SharedThread>> = Mutex::new(None);

/// How long the thread outlives its last user, so that lapin can end its own thread.
const LINGER: Duration = Duration::from_secs(1);

struct SharedThread {
    users: Weak<Users>,
    /// The next signal that the thread waits for, if a user came after the last one had gone.
    next: Option<oneshot::Receiver<Infallible>>,
    handle: Handle,
}

/// Keeps the thread alive.
#[derive(Clone)]
pub(crate) struct IoThread(Arc<Users>);

struct Users {
    handle: Handle,
    /// Never sends a value: the thread ends when this sender is dropped.
    _alive: oneshot::Sender<Infallible>,
}

impl Users {
    fn of(handle: Handle) -> (Arc<Self>, oneshot::Receiver<Infallible>) {
        let (alive, gone) = oneshot::channel();
        let users = Self {
            handle,
            _alive: alive,
        };
        (Arc::new(users), gone)
    }
}

fn shared() -> MutexGuard<'static, Option<SharedThread>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IoThread {
    /// Returns the thread of this process, and starts it if it is not running.
    pub(crate) fn shared() -> io::Result<Self> {
        let mut shared = shared();
        if let Some(running) = shared.as_mut() {
            if let Some(users) = running.users.upgrade() {
                return Ok(Self(users));
            }
            let (users, gone) = Users::of(running.handle.clone());
            running.users = Arc::downgrade(&users);
            running.next = Some(gone);
            return Ok(Self(users));
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (users, gone) = Users::of(handle.clone());
        thread::Builder::new()
            .name("brighter-rabbitmq".into())
            .spawn(move || run(runtime, gone))?;
        *shared = Some(SharedThread {
            users: Arc::downgrade(&users),
            next: None,
            handle,
        });
        Ok(Self(users))
    }

    /// Runs the future on the thread, which stays alive until the future ends. Log lines go to the caller's subscriber.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let io = self.clone();
        let kept = async move {
            future.await;
            drop(io);
        };
        self.0.handle.spawn(kept.with_current_subscriber());
    }

    /// Enters the thread's runtime as the caller's current one.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.0.handle.enter()
    }
}

/// Runs until the last user has gone and no other has come within a moment.
fn run(runtime: Runtime, mut gone: oneshot::Receiver<Infallible>) {
    runtime.block_on(async {
        loop {
            let _ = (&mut gone).await;
            sleep(LINGER).await;
            let mut shared = shared();
            match shared.as_mut().and_then(|running| running.next.take()) {
                Some(next) => gone = next,
                None => {
                    *shared = None;
                    return;
                }
            }
        }
    });
    // A DNS lookup may hang in the system for a long time, and its result is no longer needed.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts these threads of the process, by the part of their name that Linux keeps.
    #[cfg(target_os = "linux")]
    fn threads() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .filter(|name| name.starts_with("brighter-rabbit"))
            .count()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_user_after_another_makes_no_row_of_threads() {
        for _ in 0..20 {
            let io = IoThread::shared().unwrap();
            let (done, is_done) = std::sync::mpsc::channel();
            io.spawn(async move {
                let _ = done.send(());
            });
            is_done.recv_timeout(Duration::from_secs(30)).unwrap();
            drop(io);
            // A thread that is about to end may still exist beside its successor.
            assert!(threads() <= 2, "{} threads", threads());
        }
    }

    #[test]
    fn one_shared_thread_works_without_a_runtime() {
        let (first, second) = (IoThread::shared().unwrap(), IoThread::shared().unwrap());
        let (name, named) = std::sync::mpsc::channel();
        for io in [first, second] {
            let name = name.clone();
            io.spawn(async move {
                sleep(Duration::from_millis(1)).await;
                let _ = name.send(thread::current().id());
            });
            // The spawned task keeps the thread alive.
            drop(io);
        }
        let deadline = Duration::from_secs(30);
        assert_eq!(
            named.recv_timeout(deadline).unwrap(),
            named.recv_timeout(deadline).unwrap()
        );
    }
}
