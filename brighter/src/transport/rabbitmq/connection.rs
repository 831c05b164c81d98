//! One connection that is kept up: a task of its own opens it, watches it, and opens it again.
//!
//! Whoever needs the connection asks [`Link::current`]; that there is one task only makes sure that there is
//! one attempt only, however many ask.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ConnectError;
use super::options::Settings;
use crate::error::report;

/// What a connection is for. They are two, so that a broker that holds publishers back does not hold back
/// the acknowledgements that would relieve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publisher,
    Consumer,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
        }
    }
}

/// A connection, and the how-manieth it is.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) generation: u64,
}

impl Open {
    pub(super) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }
}

#[derive(Clone)]
enum State {
    /// There is none, after this many attempts in a row; what the last one ended with.
    Down {
        failures: u32,
        error: Option<ConnectError>,
    },
    Up(Arc<Open>),
    Closed,
}

/// A connection that is kept up, from when it is first needed until `stop`.
pub(super) struct Link {
    settings: Arc<Settings>,
    state: watch::Receiver<State>,
    keeper: Mutex<Option<Keeper>>,
}

/// How long a caller waits for a connection that is being made, at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Between attempts that only a person can help, such as with a password that is wrong since yesterday.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(15);
/// How often to look whether the connection is still there.
const LOOK: Duration = Duration::from_secs(1);
/// A polite end takes this long at most.
const GOODBYE: Duration = Duration::from_secs(2);

impl Link {
    pub(super) fn new(role: Role, settings: Arc<Settings>, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(State::Down {
            failures: 0,
            error: None,
        });
        let keeper = Keeper {
            role,
            settings: Arc::clone(&settings),
            stop,
            state: sender,
        };
        Self {
            settings,
            state,
            keeper: Mutex::new(Some(keeper)),
        }
    }

    /// The connection. While there is none, waits for the attempt to make one that is under way, and no longer.
    pub(super) async fn current(&self) -> Result<Arc<Open>, ConnectError> {
        self.start();
        let mut state = self.state.clone();
        let mut last = None;
        let found = timeout(PATIENCE, async {
            let mut failed_before = None;
            loop {
                match &*state.borrow_and_update() {
                    State::Up(open) if open.is_alive() => return Ok(Arc::clone(open)),
                    // It is lost, and the keeper is about to see it.
                    State::Up(_) => failed_before = None,
                    State::Down { failures, error } => {
                        let before = *failed_before.get_or_insert(*failures);
                        match error {
                            Some(error) if *failures > before => return Err(error.clone()),
                            other => last.clone_from(other),
                        }
                    }
                    State::Closed => return Err(ConnectError::Closed),
                }
                if state.changed().await.is_err() {
                    return Err(ConnectError::Closed);
                }
            }
        });
        match found.await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or_else(|| ConnectError::silent(&self.settings.address, PATIENCE))),
        }
    }

    /// Waits for the first connection: until `limit`, or for ever. Ends early where waiting is no use.
    pub(super) async fn established(&self, limit: Option<Duration>) -> Result<Arc<Open>, ConnectError> {
        self.start();
        let mut state = self.state.clone();
        let mut last = None;
        let up = async {
            loop {
                match &*state.borrow_and_update() {
                    State::Up(open) => return Ok(Arc::clone(open)),
                    State::Down {
                        error: Some(error), ..
                    } if error.is_fatal() => return Err(error.clone()),
                    State::Down { error, .. } => last.clone_from(error),
                    State::Closed => return Err(ConnectError::Closed),
                }
                if state.changed().await.is_err() {
                    return Err(ConnectError::Closed);
                }
            }
        };
        match limit {
            None => up.await,
            Some(limit) => match timeout(limit, up).await {
                Ok(result) => result,
                Err(_) => Err(last.unwrap_or_else(|| ConnectError::silent(&self.settings.address, limit))),
            },
        }
    }

    /// Once told to stop: waits until the connection is closed.
    pub(super) async fn closed(&self) {
        // One that was never needed has nothing to close.
        drop(self.take_keeper());
        let mut state = self.state.clone();
        // An error says that the keeper is gone, which is as good.
        let _ = state.wait_for(|state| matches!(state, State::Closed)).await;
    }

    fn start(&self) {
        if let Some(keeper) = self.take_keeper() {
            tokio::spawn(keeper.run());
        }
    }

    fn take_keeper(&self) -> Option<Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The task behind a [`Link`]. It ends when told to stop, or when nobody holds the link any more.
struct Keeper {
    role: Role,
    settings: Arc<Settings>,
    stop: CancellationToken,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn run(self) {
        tokio::select! {
            () = self.keep_up() => {}
            () = self.stop.cancelled() => {}
            () = self.state.closed() => {}
        }
        if let State::Up(open) = self.state.send_replace(State::Closed) {
            // Deliveries may still hold channels, so dropping it would not close it.
            let _ = timeout(GOODBYE, open.connection.close(200, "goodbye".into())).await;
            info!(role = self.role.as_str(), "disconnected from RabbitMQ");
        }
    }

    async fn keep_up(&self) {
        let (mut generation, mut failures) = (0, 0);
        loop {
            match self.attempt().await {
                Ok(connection) => {
                    (generation, failures) = (generation + 1, 0);
                    self.serve(connection, generation).await;
                }
                Err(error) => {
                    failures += 1;
                    // At the start a refusal is an error of `connect`, which whoever called it will tell.
                    if failures == 1 && !(generation == 0 && error.is_fatal()) {
                        let (role, error) = (self.role.as_str(), report(&error));
                        warn!(role, error, "no connection to RabbitMQ; trying on");
                    }
                    let pause = if error.is_fatal() {
                        PAUSE_AFTER_REFUSAL
                    } else {
                        pause_after(failures)
                    };
                    let error = Some(error);
                    self.state.send_replace(State::Down { failures, error });
                    sleep(pause).await;
                }
            }
        }
    }

    async fn attempt(&self) -> Result<Connection, ConnectError> {
        let Settings {
            address,
            connection_name,
            ..
        } = &*self.settings;
        let name = format!("{connection_name} {}", self.role.as_str());
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "brighter".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        match timeout(ATTEMPT, Connection::connect_uri(address.uri.clone(), properties)).await {
            Ok(result) => result.map_err(|error| ConnectError::of_attempt(error, address)),
            Err(_) => Err(ConnectError::silent(address, ATTEMPT)),
        }
    }

    /// Hands the connection out, and returns once it is lost.
    async fn serve(&self, connection: Connection, generation: u64) {
        let role = self.role.as_str();
        let address = &self.settings.address;
        let mut events = connection.events_listener().boxed();
        let open = Arc::new(Open {
            connection,
            generation,
        });
        self.state.send_replace(State::Up(Arc::clone(&open)));
        if generation == 1 {
            info!(role, %address, "connected to RabbitMQ");
        } else {
            info!(role, %address, generation, "connected to RabbitMQ again");
        }
        let mut cause = None;
        while open.is_alive() {
            // Not every end is an event, so look from time to time.
            match timeout(LOOK, events.next()).await {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(role, reason, "RabbitMQ takes no messages for now");
                }
                Ok(Some(Event::ConnectionUnblocked)) => info!(role, "RabbitMQ takes messages again"),
                // Of a channel, too: the loop asks whether the connection is alive.
                Ok(Some(Event::Error(error))) => cause = Some(error),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        let error = cause.map(|error| ConnectError::of_attempt(error, address));
        self.state.send_replace(State::Down {
            failures: 0,
            error: error.clone(),
        });
        let error = error.as_ref().map(|error| report(error));
        warn!(
            role,
            generation, error, "lost the connection to RabbitMQ; connecting again"
        );
    }
}

/// Doubles from one failure to the next up to a limit, with a random half, so that many processes do not
/// come back to the broker at once.
fn pause_after(failures: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(10));
    let half = doubled.min(LONGEST_PAUSE) / 2;
    half + half.mul_f64(random())
}

/// Between 0 and 1. The standard library seeds its hashers at random, which is random enough to spread out.
fn random() -> f64 {
    f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for failures in [1, 2, 5, 10, 100, u32::MAX] {
            let pause = pause_after(failures);
            assert!(pause >= FIRST_PAUSE && pause <= LONGEST_PAUSE, "{pause:?}");
        }
        let pauses: Vec<_> = (0..20).map(|_| pause_after(10)).collect();
        assert!(pauses.iter().any(|pause| pause != &pauses[0]));
    }
}
