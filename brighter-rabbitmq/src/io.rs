//! The thread that connections live on: their sockets, heartbeats and reconnecting must go on while every
//! thread of the application is busy, or its only one blocked by a handler.
//!
//! All brokers of a process share it; it begins with the first and ends with the last.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tracing::instrument::WithSubscriber;

static SHARED: Mutex<Weak<Thread>> = Mutex::new(Weak::new());

/// For how long the thread outlives its last user, so that lapin can end its own.
const LINGER: Duration = Duration::from_secs(1);

/// Keeps the thread alive.
#[derive(Clone)]
pub(super) struct Io(Arc<Thread>);

struct Thread {
    handle: Handle,
    /// Nothing is ever sent: the thread ends when this is dropped.
    _alive: oneshot::Sender<Infallible>,
}

impl Io {
    /// The thread of this process, which is started unless it runs.
    pub(super) fn shared() -> io::Result<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = shared.upgrade() {
            return Ok(Self(thread));
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, gone) = oneshot::channel::<Infallible>();
        thread::Builder::new()
            .name("brighter-rabbitmq".into())
            .spawn(move || {
                runtime.block_on(async {
                    let _ = gone.await;
                    sleep(LINGER).await;
                });
                // A look-up of a name may hang in the system for long; nobody waits for it any more.
                runtime.shutdown_background();
            })?;
        let thread = Arc::new(Thread {
            handle,
            _alive: alive,
        });
        *shared = Arc::downgrade(&thread);
        Ok(Self(thread))
    }

    /// Runs the future on the thread, which stays for as long as it takes. What it logs goes where the caller's
    /// goes.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let io = self.clone();
        let kept = async move {
            future.await;
            drop(io);
        };
        self.0.handle.spawn(kept.with_current_subscriber());
    }

    /// Makes the thread's runtime the current one of the caller.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.0.handle.enter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_share_one_thread_and_it_works_without_a_runtime_of_the_caller() {
        let (first, second) = (Io::shared().unwrap(), Io::shared().unwrap());
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
