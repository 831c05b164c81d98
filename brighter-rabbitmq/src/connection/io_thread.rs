//! The thread that connections live on: their sockets, heartbeats and reconnecting must go on while every
//! thread of the application is busy, or its only one blocked by a handler.
//!
//! All brokers of a process share it. It begins with the first and ends a moment after the last; one that is made in
//! that moment takes it over, so that connecting again and again makes no row of threads.

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

/// For how long the thread outlives its last user, so that lapin can end its own.
const LINGER: Duration = Duration::from_secs(1);

struct SharedThread {
    users: Weak<Users>,
    /// What the thread waits for next, where somebody came after its last user had gone.
    next: Option<oneshot::Receiver<Infallible>>,
    handle: Handle,
}

/// Keeps the thread alive.
#[derive(Clone)]
pub(crate) struct IoThread(Arc<Users>);

struct Users {
    handle: Handle,
    /// Nothing is ever sent: the thread is told when this is dropped.
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
    /// The thread of this process, which is started unless it runs.
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

    /// Runs the future on the thread, which stays for as long as it takes. What it logs goes where the caller's
    /// goes.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let io = self.clone();
        let kept = async move {
            future.await;
            drop(io);
        };
        self.0.handle.spawn(kept.with_current_subscriber());
    }

    /// Makes the thread's runtime the current one of the caller.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.0.handle.enter()
    }
}

/// Runs until the last user has gone and nobody has come within a moment.
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
    // A look-up of a name may hang in the system for long; nobody waits for it any more.
    runtime.shutdown_background();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these threads the process has, by what Linux keeps of their name.
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
            // One that is about to end may still be there beside its successor.
            assert!(threads() <= 2, "{} threads", threads());
        }
    }

    #[test]
    fn all_share_one_thread_and_it_works_without_a_runtime_of_the_caller() {
        let (first, second) = (IoThread::shared().unwrap(), IoThread::shared().unwrap());
        let (name, named) = std::sync::mpsc::channel();
        for io in [first, second] {
            let name = name.clone();
            io.spawn(async move {
                sleep(Duration::from_millis(1)).await;
                let _ = name.send(thread::current().id());
            });
            // Its task keeps the thread.
            drop(io);
        }
        let deadline = Duration::from_secs(30);
        assert_eq!(
            named.recv_timeout(deadline).unwrap(),
            named.recv_timeout(deadline).unwrap()
        );
    }
}
