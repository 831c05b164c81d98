//! The [`ReconnectTask`]: connects, watches the connection, and connects again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connector::{self, SocketCut};
use super::io_thread::IoThread;
use super::state::{ConnectionRole, ConnectionState, OpenConnection};
use crate::backoff::pause_after;
use crate::error::ConnectError;
use crate::settings::RabbitMqSettings;
use brighter_core::__private::report;

/// How often to look whether the connection is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How long a round of attempts may meet silence before another is begun beside it. An attempt is given up before
/// there are many.
const SILENCE: Duration = Duration::from_secs(2);
/// A polite end takes this long at most.
const GOODBYE: Duration = Duration::from_secs(2);

/// Keeps one connection up. It ends when told to stop, or when nothing waits for what it tells any more.
pub(super) struct ReconnectTask {
    role: ConnectionRole,
    settings: Arc<RabbitMqSettings>,
    io: IoThread,
    stop: CancellationToken,
    state: watch::Sender<ConnectionState>,
}

impl ReconnectTask {
    /// A task that has not begun, and what it will tell.
    pub(super) fn new(
        role: ConnectionRole,
        settings: Arc<RabbitMqSettings>,
        io: IoThread,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<ConnectionState>) {
        let (state, told) = watch::channel(ConnectionState::Down {
            failures: 0,
            error: None,
        });
        let task = Self {
            role,
            settings,
            io,
            stop,
            state,
        };
        (task, told)
    }

    pub(super) async fn run(self) {
        tokio::select! {
            () = self.keep_up() => {}
            () = self.stop.cancelled() => {}
            () = self.state.closed() => {}
        }
        let last = match &*self.state.borrow() {
            ConnectionState::Up(open) => Some(Arc::clone(open)),
            ConnectionState::Down { .. } | ConnectionState::Closed => None,
        };
        if let Some(open) = last {
            // Deliveries may still hold channels, so dropping it would not close it.
            let _ = timeout(GOODBYE, open.connection.close(200, "goodbye".into())).await;
            info!(role = self.role.as_str(), "disconnected from RabbitMQ");
        }
        // Last, for a caller that waits for it takes every delivery to be stale from now on.
        self.state.send_replace(ConnectionState::Closed);
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
                    // At the start a refusal is an error of `connect`, which its caller will tell.
                    if changed
                        && !(generation == 0 && failures == 1 && error.is_fatal() && !self.settings.lazy)
                    {
                        let (role, error) = (self.role.as_str(), report(&error));
                        warn!(role, error, "no connection to RabbitMQ; trying on");
                    }
                    let pause = pause_after(failures, &error);
                    let error = Some(error);
                    self.state.send_replace(ConnectionState::Down { failures, error });
                    sleep(pause).await;
                }
            }
        }
    }

    /// Tries one node after the other, and begins again beside a round that meets silence: what was said while the
    /// network swallowed everything is never answered, though the network may be back by now.
    async fn attempt(&self) -> Result<(Connection, SocketCut), ConnectError> {
        let mut rounds = FuturesUnordered::from_iter([self.round()]);
        loop {
            tokio::select! {
                Some(ended) = rounds.next() => return ended,
                () = sleep(SILENCE) => rounds.push(self.round()),
            }
        }
    }

    async fn round(&self) -> Result<(Connection, SocketCut), ConnectError> {
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
    async fn serve(&self, connection: Connection, cut: SocketCut, generation: u64) {
        let role = self.role.as_str();
        let address = &self.settings.address;
        let mut events = connection.events_listener().boxed();
        let open = Arc::new(OpenConnection::new(connection, generation, cut));
        self.state.send_replace(ConnectionState::Up(Arc::clone(&open)));
        if generation == 1 {
            info!(role, %address, "connected to RabbitMQ");
        } else {
            count_reconnect(role);
            info!(role, %address, generation, "connected to RabbitMQ again");
        }
        let mut cause = None;
        let mut given_up = None;
        while open.is_alive() {
            // Not every end is an event, so look from time to time.
            let event = tokio::select! {
                event = timeout(LOOK, events.next()) => event,
                reason = open.until_given_up() => {
                    given_up = Some(reason);
                    break;
                }
            };
            match event {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(role, reason, "RabbitMQ takes no messages for now");
                    open.set_blocked(Some(reason));
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    info!(role, "RabbitMQ takes messages again");
                    open.set_blocked(None);
                }
                // Of a channel, too: the loop asks whether the connection is alive.
                Ok(Some(Event::Error(error))) => cause = Some(error),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
        }
        open.set_blocked(None);
        let error = cause.map(|error| ConnectError::of_attempt(error, address));
        self.state.send_replace(ConnectionState::Down {
            failures: 0,
            error: error.clone(),
        });
        if given_up.is_some() {
            // Beside the next attempt: a node that is cut off may not answer.
            self.io.spawn(async move {
                let _ = timeout(GOODBYE, open.connection.close(200, "given up".into())).await;
                open.cut();
            });
        }
        let error = given_up.or_else(|| error.as_ref().map(|error| report(error)));
        warn!(
            role,
            generation, error, "lost the connection to RabbitMQ; connecting again"
        );
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
