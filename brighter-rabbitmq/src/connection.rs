//! One connection that is kept up: a task of its own opens it, watches it, and opens it again.
//!
//! Whoever needs the connection asks [`Link::current`]; that there is one task only makes sure that what is
//! tried does not depend on how many ask.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ConnectError;
use super::backoff::pause_after;
use super::connector::{self, Cut};
use super::io::Io;
use super::options::Settings;
use brighter_core::__private::report;
use brighter_core::channel::BrokerStatus;

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

/// Counts a connection that was made after one was lost.
#[cfg(feature = "metrics")]
fn count_reconnect(role: &'static str) {
    use brighter_core::__private::reconnects::{HELP, LABELS, NAME};

    metrics::describe_counter!(NAME, metrics::Unit::Count, HELP);
    metrics::counter!(NAME, LABELS[0] => "rabbitmq", LABELS[1] => role).increment(1);
}

#[cfg(not(feature = "metrics"))]
fn count_reconnect(_: &'static str) {}

/// A connection, and the how-manieth it is.
pub(super) struct Open {
    pub(super) connection: Connection,
    pub(super) generation: u64,
    /// Why the broker takes no messages for now.
    blocked: watch::Sender<Option<String>>,
    /// Dropped last: what could not be closed politely is closed all the same.
    _cut: Cut,
}

impl Open {
    pub(super) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// Why the broker takes no messages for now, if it does not.
    pub(super) fn blocked(&self) -> Option<String> {
        self.blocked.borrow().clone()
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.borrow().is_some()
    }

    /// Waits until the broker takes messages again, or the connection is lost.
    pub(super) async fn unblocked(&self) {
        // The sender is here, so this is no error.
        let _ = self.blocked.subscribe().wait_for(Option::is_none).await;
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
    io: Io,
    state: watch::Receiver<State>,
    keeper: Mutex<Option<Keeper>>,
}

/// How long a caller waits for a connection that is being made, at most.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look whether the connection is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a round of attempts may meet silence before another is begun beside it. An attempt is given up before
/// there are many.
const SILENCE: Duration = Duration::from_secs(2);
/// A polite end takes this long at most.
const GOODBYE: Duration = Duration::from_secs(2);

impl Link {
    pub(super) fn new(role: Role, settings: Arc<Settings>, io: Io, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(State::Down {
            failures: 0,
            error: None,
        });
        let keeper = Keeper {
            role,
            settings: Arc::clone(&settings),
            io: io.clone(),
            stop,
            state: sender,
        };
        Self {
            settings,
            io,
            state,
            keeper: Mutex::new(Some(keeper)),
        }
    }

    /// The connection. While there is none, waits for the attempt to make one that is under way, and no longer.
    pub(super) async fn current(&self) -> Result<Arc<Open>, ConnectError> {
        self.up(0, Some(PATIENCE), |_, is_new| is_new).await
    }

    /// The connection after this one, which is lost although it may not look so yet. Waits no longer than
    /// [`current`](Self::current).
    pub(super) async fn after(&self, lost: &Open) -> Result<Arc<Open>, ConnectError> {
        self.up(lost.generation, Some(PATIENCE), |_, is_new| is_new).await
    }

    /// Waits for a connection: until `limit`, or for ever. Ends early where waiting is no use.
    pub(super) async fn established(&self, limit: Option<Duration>) -> Result<Arc<Open>, ConnectError> {
        self.up(0, limit, |error, _| error.is_fatal()).await
    }

    /// Waits for a connection newer than a generation, until `limit`, or until an attempt ends with an error that ends
    /// the waiting too; of that is asked with whether the attempt ended after the waiting had begun.
    async fn up(
        &self,
        newer_than: u64,
        limit: Option<Duration>,
        is_end: impl Fn(&ConnectError, bool) -> bool,
    ) -> Result<Arc<Open>, ConnectError> {
        self.start();
        let mut state = self.state.clone();
        let mut last = None;
        let up = async {
            let mut failed_before = None;
            loop {
                match &*state.borrow_and_update() {
                    State::Up(open) if open.is_alive() && open.generation > newer_than => {
                        return Ok(Arc::clone(open));
                    }
                    // It is lost, and the keeper is about to see it.
                    State::Up(_) => failed_before = None,
                    State::Down { failures, error } => {
                        let before = *failed_before.get_or_insert(*failures);
                        match error {
                            Some(error) if is_end(error, *failures > before) => return Err(error.clone()),
                            other => last.clone_from(other),
                        }
                    }
                    State::Closed => return Err(ConnectError::Closed),
                }
                if state.changed().await.is_err() {
                    return Err(ConnectError::Closed);
                }
            }
        };
        let Some(limit) = limit else {
            return up.await;
        };
        match timeout(limit, up).await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or_else(|| ConnectError::silent(&self.settings.address, limit))),
        }
    }

    /// What is known of the connection at this moment; nothing while nobody has needed it.
    pub(super) fn status(&self) -> Option<BrokerStatus> {
        let disconnected = |error: Option<&ConnectError>| BrokerStatus::Disconnected {
            reason: error.map_or_else(|| "not connected yet".into(), |error| report(error)),
        };
        match &*self.state.borrow() {
            State::Closed => Some(BrokerStatus::Closed),
            State::Up(open) if !open.is_alive() => Some(disconnected(None)),
            State::Up(open) => Some(match open.blocked() {
                Some(reason) => BrokerStatus::Blocked { reason },
                None => BrokerStatus::Connected,
            }),
            State::Down { .. } if self.is_idle() => None,
            State::Down { error, .. } => Some(disconnected(error.as_ref())),
        }
    }

    /// The connection, while the broker takes no messages by it.
    pub(super) fn blocked(&self) -> Option<Arc<Open>> {
        match &*self.state.borrow() {
            State::Up(open) if open.is_blocked() => Some(Arc::clone(open)),
            State::Up(_) | State::Down { .. } | State::Closed => None,
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

    /// Begins to connect, unless that was done.
    pub(super) fn start(&self) {
        if let Some(keeper) = self.take_keeper() {
            self.io.spawn(keeper.run());
        }
    }

    fn take_keeper(&self) -> Option<Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_idle(&self) -> bool {
        self.keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }
}

/// The task behind a [`Link`]. It ends when told to stop, or when nobody holds the link any more.
struct Keeper {
    role: Role,
    settings: Arc<Settings>,
    io: Io,
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
        let last = match &*self.state.borrow() {
            State::Up(open) => Some(Arc::clone(open)),
            State::Down { .. } | State::Closed => None,
        };
        if let Some(open) = last {
            // Deliveries may still hold channels, so dropping it would not close it.
            let _ = timeout(GOODBYE, open.connection.close(200, "goodbye".into())).await;
            info!(role = self.role.as_str(), "disconnected from RabbitMQ");
        }
        // Last, for whoever waits for it takes every delivery to be stale from now on.
        self.state.send_replace(State::Closed);
    }

    async fn keep_up(&self) {
        let (mut generation, mut failures) = (0, 0);
        // Whether the last attempt was refused, rather than met by nobody.
        let mut refused = None;
        loop {
            match self.attempt().await {
                Ok((connection, cut)) => {
                    (generation, failures, refused) = (generation + 1, 0, None);
                    self.serve(connection, cut, generation).await;
                }
                Err(error) => {
                    failures += 1;
                    let changed = refused.replace(error.is_fatal()) != Some(error.is_fatal());
                    // At the start a refusal is an error of `connect`, which whoever called it will tell.
                    if changed
                        && !(generation == 0 && failures == 1 && error.is_fatal() && !self.settings.lazy)
                    {
                        let (role, error) = (self.role.as_str(), report(&error));
                        warn!(role, error, "no connection to RabbitMQ; trying on");
                    }
                    let pause = pause_after(failures, &error);
                    let error = Some(error);
                    self.state.send_replace(State::Down { failures, error });
                    sleep(pause).await;
                }
            }
        }
    }

    /// Tries one node after the other, and begins again beside a round that meets silence: what was said while the
    /// network swallowed everything is never answered, though the network may be back by now.
    async fn attempt(&self) -> Result<(Connection, Cut), ConnectError> {
        let mut rounds = FuturesUnordered::from_iter([self.round()]);
        loop {
            tokio::select! {
                Some(ended) = rounds.next() => return ended,
                () = sleep(SILENCE) => rounds.push(self.round()),
            }
        }
    }

    async fn round(&self) -> Result<(Connection, Cut), ConnectError> {
        let settings = &*self.settings;
        let name = format!("{} {}", settings.connection_name, self.role.as_str());
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "brighter".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let mut failures = Vec::new();
        for address in settings.address.round() {
            match connector::attempt(&self.io, address, &settings.tls, properties.clone()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failures.push(error),
            }
        }
        Err(ConnectError::of_round(failures))
    }

    /// Hands the connection out, and returns once it is lost.
    async fn serve(&self, connection: Connection, cut: Cut, generation: u64) {
        let role = self.role.as_str();
        let address = &self.settings.address;
        let mut events = connection.events_listener().boxed();
        let open = Arc::new(Open {
            connection,
            generation,
            blocked: watch::Sender::new(None),
            _cut: cut,
        });
        self.state.send_replace(State::Up(Arc::clone(&open)));
        if generation == 1 {
            info!(role, %address, "connected to RabbitMQ");
        } else {
            count_reconnect(role);
            info!(role, %address, generation, "connected to RabbitMQ again");
        }
        let mut cause = None;
        while open.is_alive() {
            // Not every end is an event, so look from time to time.
            match timeout(LOOK, events.next()).await {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(role, reason, "RabbitMQ takes no messages for now");
                    open.blocked.send_replace(Some(reason));
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    info!(role, "RabbitMQ takes messages again");
                    open.blocked.send_replace(None);
                }
                // Of a channel, too: the loop asks whether the connection is alive.
                Ok(Some(Event::Error(error))) => cause = Some(error),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        open.blocked.send_replace(None);
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
