//! A [`Supervisor`]: one task that sees to it that a subscription has the performers it is to have.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handling::DeliveryHandler;
use super::performer::Performer;
use super::registered::Registered;
use super::status_registry::StatusRegistry;
use crate::processor::CommandProcessor;
use brighter_core::channel::Broker;

/// How long a performer that ended is missed before another takes its place: doubled from the first up to the
/// longest, and the first again once all has gone well for as long as the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Starts the performers of one subscription, more or fewer when it is told so, and another for each that ends
/// without having been told to.
pub(super) struct Supervisor {
    pub(super) registered: Arc<Registered>,
    pub(super) processor: CommandProcessor,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) statuses: Arc<StatusRegistry>,
    /// For the performer that handles a suspect.
    pub(super) suspects: Arc<Semaphore>,
    /// The number of this start of the subscription in the registry.
    pub(super) run: u64,
    /// Cancelled when the performers shall end.
    pub(super) stop: CancellationToken,
    /// Cancelled when they shall be gone, whatever they have in hand.
    pub(super) cut: CancellationToken,
}

/// The performers that there are. Dropped, it takes them with it.
struct PerformerTasks {
    tasks: JoinSet<()>,
    /// The performers that were not told to end, the oldest first.
    staying: Vec<(Id, Arc<CancellationToken>)>,
}

/// When the next performer may be started in the place of one that ended.
struct BackOff {
    wait: Duration,
    until: Option<Instant>,
    last: Option<Instant>,
}

impl Supervisor {
    /// Runs until every performer has ended after a stop or a cut.
    pub(super) async fn run(self) {
        // Nothing in it should panic but what writes the log, and a subscription must not end with that.
        while AssertUnwindSafe(self.supervise()).catch_unwind().await.is_err() {
            tokio::time::sleep(FIRST_WAIT).await;
        }
    }

    async fn supervise(&self) {
        let mut wanted = self.registered.wanted.subscribe();
        let mut adapting = pin!(self.adapt());
        let mut back_off = BackOff::new();
        let mut performers = PerformerTasks {
            tasks: JoinSet::new(),
            staying: Vec::new(),
        };
        loop {
            let stopping = self.stop.is_cancelled();
            if stopping && performers.tasks.is_empty() {
                return;
            }
            if !stopping {
                self.fit(&mut performers, *wanted.borrow_and_update(), &back_off);
            }
            tokio::select! {
                biased;
                () = self.cut.cancelled() => return performers.tasks.shutdown().await,
                Some(ended) = performers.tasks.join_next_with_id() => self.ended(&mut performers, ended, &mut back_off),
                () = self.stop.cancelled(), if !stopping => {}
                // Its sender is beside us in `registered`.
                _ = wanted.changed(), if !stopping => {}
                never = &mut adapting, if !stopping => match never {},
                () = back_off.over(), if !stopping => back_off.until = None,
            }
        }
    }

    /// Starts what is missing, unless one that ended is to be missed for a while; tells the surplus to end.
    fn fit(&self, performers: &mut PerformerTasks, wanted: usize, back_off: &BackOff) {
        while performers.staying.len() > wanted {
            // The youngest: the others go on undisturbed.
            if let Some((_, stop)) = performers.staying.pop() {
                stop.cancel();
            }
        }
        while performers.staying.len() < wanted && back_off.until.is_none() {
            let stop = Arc::new(self.stop.child_token());
            let performer = Performer::new(DeliveryHandler {
                processor: self.processor.clone(),
                broker: Arc::clone(&self.broker),
                settings: Arc::clone(&self.registered.settings),
                route: Arc::clone(&self.registered.route),
                batches: self.registered.batches,
                controls: Arc::clone(&self.registered.controls),
                suspects: Arc::clone(&self.suspects),
                stop: Arc::clone(&stop),
                reporter: self.statuses.join(&self.registered.settings.name, self.run),
            });
            let task = performers.tasks.spawn(performer.run());
            performers.staying.push((task.id(), stop));
        }
    }

    /// A performer has ended: if it was not told to, it is counted and another takes its place.
    fn ended(
        &self,
        performers: &mut PerformerTasks,
        ended: Result<(Id, ()), JoinError>,
        back_off: &mut BackOff,
    ) {
        let (id, error) = match ended {
            Ok((id, ())) => (id, "it ended without being told to".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let Some(place) = performers.staying.iter().position(|(staying, _)| *staying == id) else {
            return;
        };
        let (_, stop) = performers.staying.remove(place);
        if stop.is_cancelled() {
            return;
        }
        back_off.begin();
        let subscription = &self.registered.settings.name;
        tracing::error!(%subscription, error, again_in = ?back_off.wait, "a performer ended unexpectedly; starting another");
        self.statuses.restarted(subscription, error);
    }
}

impl BackOff {
    fn new() -> Self {
        Self {
            wait: FIRST_WAIT,
            until: None,
            last: None,
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        let soon_again = self
            .last
            .is_some_and(|last| now - last < self.wait + LONGEST_WAIT);
        self.wait = if soon_again {
            (self.wait * 2).min(LONGEST_WAIT)
        } else {
            FIRST_WAIT
        };
        self.last = Some(now);
        self.until = Some(now + self.wait);
    }

    /// Waits until the next performer may be started; never returns if none is due.
    async fn over(&self) {
        match self.until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}
