//! [`ReconnectTask`]: connects, watches the connection, and connects again.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::{ConnectionProperties, Event};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::confirm_watch::ConfirmWatch;
use super::connector::{self, Connected};
use super::idle_cuts::{IdleCut, IdleCuts};
use super::io_thread::IoThread;
use super::node_order::NodeOrder;
use super::state::{ConnectionRole, ConnectionState, OpenConnection};
use crate::backoff::{pause_after, random};
use crate::error::{ConnectError, of_broker, of_channel};
use crate::settings::RabbitMqSettings;
use brighter_core::__private::report;

/// The interval of checks whether the connection is open and in use.
const LOOK: Duration = Duration::from_secs(1);
/// How long a round of attempts may be without an answer before another starts beside it. An attempt times out before
/// there are many.
const SILENCE: Duration = Duration::from_secs(2);
/// The deadline for closing a connection in order.
const GOODBYE: Duration = Duration::from_secs(2);
/// A connection without a confirm for this long, although messages wait, is given up. The cluster elects new queue
/// leaders in less time after the loss of a node. Messages in flight may arrive twice.
const UNCONFIRMED: Duration = Duration::from_secs(8);
/// The limit, in a row of such connections, is doubled each time up to this.
const UNCONFIRMED_AT_MOST: Duration = Duration::from_secs(64);

/// The time when a connection of this process last moved to another node without being lost.
static LAST_MOVE: Mutex<Option<Instant>> = Mutex::new(None);

/// Keeps one connection open. The task ends with `stop`, or when nothing reads its state any more.
pub(super) struct ReconnectTask {
    role: ConnectionRole,
    settings: Arc<RabbitMqSettings>,
    io: IoThread,
    stop: CancellationToken,
    state: watch::Sender<ConnectionState>,
    confirms: Arc<ConfirmWatch>,
    /// The older connections that still have deliveries, although there is a newer one.
    retired: TaskTracker,
}

/// Why a connection is no longer watched.
enum WatchEnd {
    /// There is another, to a node that is preferred or that answers.
    Moved(Box<Connected>),
    /// The connection ended, or was given up.
    Lost {
        reason: ConnectError,
        /// The idle time of the connection, if it ended without a reason.
        idle: Option<Duration>,
    },
}

impl ReconnectTask {
    /// Returns a task that has not started, and the receiver of its state.
    pub(super) fn new(
        role: ConnectionRole,
        settings: Arc<RabbitMqSettings>,
        io: IoThread,
        stop: CancellationToken,
        confirms: Arc<ConfirmWatch>,
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
            confirms,
            retired: TaskTracker::new(),
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
            // Deliveries may still hold channels, so dropping the connection would not close it.
            let _ = timeout(GOODBYE, open.connection.close(200, "goodbye".into())).await;
            open.cut();
            info!(role = self.role.as_str(), address = %open.address(), "disconnected from RabbitMQ");
        }
        self.retired.close();
        // Without `stop` they last until their deliveries are settled, and need no task.
        if self.stop.is_cancelled() {
            let _ = timeout(GOODBYE * 2, self.retired.wait()).await;
        }
        // Set last: a caller that waits for this treats every delivery as stale from then on.
        self.state.send_replace(ConnectionState::Closed);
    }

    async fn keep_up(&self) {
        let mut nodes = NodeOrder::new(&self.settings.address, self.settings.rebalance_interval);
        let mut cuts = IdleCuts::default();
        let (mut generation, mut failures) = (0, 0);
        // Whether the last attempt was refused, rather than unanswered.
        let mut refused = None;
        // Repeated losses of the same kind are logged once.
        let mut quiet = false;
        loop {
            match self.attempt(&nodes).await {
                Ok(connected) => {
                    (failures, refused) = (0, None);
                    quiet = self
                        .serve(connected, &mut nodes, &mut generation, &mut cuts, quiet)
                        .await;
                }
                Err(error) => {
                    failures += 1;
                    // The broker was unavailable, so this was more than a cut connection.
                    cuts.other();
                    let changed = refused.replace(error.is_fatal()) != Some(error.is_fatal());
                    // At the start a refusal is an error of `connect`, which its caller reports.
                    if changed
                        && !(generation == 0 && failures == 1 && error.is_fatal() && !self.settings.lazy)
                    {
                        let (role, error) = (self.role.as_str(), report(&error));
                        warn!(role, error, "cannot connect to RabbitMQ; retrying");
                    }
                    let pause = pause_after(failures, &error);
                    let error = Some(error);
                    self.state.send_replace(ConnectionState::Down { failures, error });
                    sleep(pause).await;
                }
            }
        }
    }

    /// Tries one node after the other, and starts another round if one has no answer. A request that was sent during a
    /// network outage is never answered, even if the network has recovered.
    async fn attempt(&self, nodes: &NodeOrder) -> Result<Connected, ConnectError> {
        let mut rounds = FuturesUnordered::from_iter([self.round(nodes, 0)]);
        loop {
            let begun = rounds.len();
            tokio::select! {
                Some(ended) = rounds.next() => return ended,
                () = sleep(SILENCE) => rounds.push(self.round(nodes, begun)),
            }
        }
    }

    async fn round(&self, nodes: &NodeOrder, number: usize) -> Result<Connected, ConnectError> {
        let mut failures = Vec::new();
        for node in nodes.round(number) {
            match self.log_in(nodes, node).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failures.push(error),
            }
        }
        Err(ConnectError::of_round(failures))
    }

    async fn log_in(&self, nodes: &NodeOrder, node: usize) -> Result<Connected, ConnectError> {
        let settings = &*self.settings;
        let Some(address) = nodes.address(node) else {
            return Err(ConnectError::of_round(Vec::new()));
        };
        let name = format!("{} {}", settings.connection_name, self.role.as_str());
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "brighter".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        connector::attempt(&self.io, (node, address), &settings.tls, properties).await
    }

    /// Publishes the connection, and those that it moves to. Returns once the last of them is lost, with whether that
    /// loss was logged before.
    async fn serve(
        &self,
        mut connected: Connected,
        nodes: &mut NodeOrder,
        generation: &mut u64,
        cuts: &mut IdleCuts,
        quiet: bool,
    ) -> bool {
        let role = self.role.as_str();
        let mut before: Option<(Arc<OpenConnection>, DropGuard)> = None;
        let (open, reason, idle) = loop {
            *generation += 1;
            let mut events = connected.connection.events_listener().boxed();
            let open = Arc::new(OpenConnection::new(connected, *generation));
            self.state.send_replace(ConnectionState::Up(Arc::clone(&open)));
            let (address, generation) = (open.address(), *generation);
            match before.replace((Arc::clone(&open), open.end_when_dropped())) {
                Some((left, end)) => {
                    match left.is_left() {
                        true => {
                            info!(role, %address, left = %left.address(), generation, "moved to another node of RabbitMQ")
                        }
                        false => {
                            info!(role, %address, left = %left.address(), generation, "connection moved back to a preferred node of RabbitMQ")
                        }
                    }
                    self.retire(left, end);
                }
                None if generation == 1 => info!(role, %address, "connected to RabbitMQ"),
                None => {
                    count_reconnect(role);
                    match quiet {
                        true => tracing::debug!(role, %address, generation, "reconnected to RabbitMQ"),
                        false => info!(role, %address, generation, "reconnected to RabbitMQ"),
                    }
                }
            }
            match self.watch(&open, &mut events, nodes).await {
                WatchEnd::Moved(to) => connected = *to,
                WatchEnd::Lost { reason, idle } => break (open, reason, idle),
            }
        };
        nodes.lost(open.node(), open.lasted());
        if open.is_given_up() {
            nodes.does_not_answer(open.node());
        }
        open.set_blocked(None);
        self.state.send_replace(ConnectionState::Down {
            failures: 0,
            error: Some(reason.clone()),
        });
        drop(before);
        let quiet = self.tell_of_loss(&open, &reason, idle, cuts);
        if open.is_given_up() {
            // Runs beside the next attempt: a node that is cut off may not answer.
            self.io.spawn(async move {
                let _ = timeout(GOODBYE, open.connection.close(200, "given up".into())).await;
                open.cut();
            });
        }
        quiet
    }

    /// Logs the loss of a connection, and logs a pattern of idle cuts once. Returns whether the pattern was logged
    /// before.
    fn tell_of_loss(
        &self,
        open: &OpenConnection,
        reason: &ConnectError,
        idle: Option<Duration>,
        cuts: &mut IdleCuts,
    ) -> bool {
        let role = self.role.as_str();
        let (address, generation, error) = (open.address(), open.generation, report(reason));
        let heartbeat = Duration::from_secs(open.connection.configuration().heartbeat().into());
        let cut = match idle {
            // With a longer idle time, a heartbeat would have been sent.
            Some(idle) if heartbeat.is_zero() || idle < heartbeat => cuts.cut(idle),
            _ => cuts.other(),
        };
        if cut == IdleCut::Known {
            tracing::debug!(role, %address, generation, error, "connection to RabbitMQ lost; reconnecting");
            return true;
        }
        warn!(role, %address, generation, error, "connection to RabbitMQ lost; reconnecting");
        let IdleCut::Pattern(idle) = cut else {
            return false;
        };
        let fitting = Duration::from_secs(idle.as_secs().max(1));
        warn!(
            role, %address, ?idle, ?heartbeat,
            "three connections were cut after being idle for about this long: an intermediary, such as a load balancer, has \
             an idle timeout shorter than the heartbeat; raise the idle timeout, or set `heartbeat_interval` to {fitting:?} \
             or less"
        );
        true
    }

    /// Returns once the connection is lost or given up, or there is one to a node that is preferred or that answers.
    async fn watch(
        &self,
        open: &Arc<OpenConnection>,
        events: &mut (impl futures_util::Stream<Item = Event> + Unpin),
        nodes: &mut NodeOrder,
    ) -> WatchEnd {
        let role = self.role.as_str();
        let mut moving = pin!(self.better(open, nodes));
        let mut cause = None;
        while open.is_alive() {
            // Some ends cause no event, so the connection is also polled.
            let event = tokio::select! {
                event = timeout(LOOK, events.next()) => event,
                () = open.until_given_up() => break,
                connected = &mut moving => return WatchEnd::Moved(Box::new(connected)),
            };
            match event {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(role, address = %open.address(), reason, "RabbitMQ blocked publishing");
                    open.set_blocked(Some(reason));
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    info!(role, address = %open.address(), "RabbitMQ unblocked publishing");
                    self.confirms.held_back();
                    open.set_blocked(None);
                }
                // An error of a channel does not affect the connection.
                Ok(Some(Event::Error(error))) if of_channel(&error).is_none() => cause = Some(error),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
            // Unconfirmed messages of an earlier connection count there.
            if self.retired.is_empty() {
                look_for_confirms(open, &self.confirms, &self.settings);
            }
        }
        if let Some(reason) = open.given_up() {
            let reason = ConnectError::lost(open.address(), std::io::Error::other(reason));
            return WatchEnd::Lost { reason, idle: None };
        }
        let silent = cause.as_ref().is_none_or(|cause| of_broker(cause).is_none());
        WatchEnd::Lost {
            idle: silent.then(|| open.idle_when_ended()).flatten(),
            reason: match cause {
                Some(error) => ConnectError::lost(open.address(), error),
                None => ConnectError::lost(
                    open.address(),
                    std::io::Error::other("the connection ended without a reason"),
                ),
            },
        }
    }

    /// Waits until this connection is to be left for another node, or there is one that is preferred, and connects to
    /// that.
    async fn better(&self, open: &OpenConnection, nodes: &mut NodeOrder) -> Connected {
        loop {
            let reason = tokio::select! {
                connected = self.preferred(open, nodes) => return connected,
                reason = open.until_left() => reason,
            };
            let (role, address) = (self.role.as_str(), open.address());
            warn!(role, %address, reason, "this node of RabbitMQ does not answer; trying another");
            nodes.lost(open.node(), open.lasted());
            nodes.does_not_answer(open.node());
            for node in nodes.round(0).into_iter().filter(|node| *node != open.node()) {
                match self.log_in(nodes, node).await {
                    Ok(connected) if answers(&connected).await => return connected,
                    Ok(_) | Err(_) => {}
                }
            }
            open.stay();
        }
    }

    /// Waits for a node that is preferred to that of this connection, and connects to it.
    async fn preferred(&self, open: &OpenConnection, nodes: &mut NodeOrder) -> Connected {
        let Some(interval) = self.settings.rebalance_interval.filter(|_| nodes.are_several()) else {
            return std::future::pending().await;
        };
        loop {
            sleep(interval / 2 + (interval / 2).mul_f64(random())).await;
            // While an older connection is still in use, the last move is not complete. And a broker that blocks
            // publishers does so on every node.
            if !self.retired.is_empty() || open.is_blocked() {
                continue;
            }
            for node in nodes.preferred_to(open.node()) {
                if has_moved_within(interval) {
                    break;
                }
                match self.log_in(nodes, node).await {
                    // A node that accepts a login may still not answer requests.
                    Ok(connected) if answers(&connected).await => {
                        if note_move(interval) {
                            return connected;
                        }
                        break;
                    }
                    Ok(_) | Err(_) => nodes.still_away(node),
                }
            }
        }
    }

    /// Closes a connection that is left, once nothing needs it any more. What waits for an answer by it waits until `end`.
    fn retire(&self, open: Arc<OpenConnection>, end: DropGuard) {
        open.retire();
        let (stop, confirms, settings) = (
            self.stop.clone(),
            Arc::clone(&self.confirms),
            Arc::clone(&self.settings),
        );
        self.io.spawn(self.retired.track_future(async move {
            let needed = async {
                while open.is_alive() && Arc::strong_count(&open) > 1 {
                    sleep(LOOK).await;
                    look_for_confirms(&open, &confirms, &settings);
                }
            };
            tokio::select! {
                () = needed => {}
                () = stop.cancelled() => {}
            }
            let _ = timeout(GOODBYE, open.connection.close(200, "moved".into())).await;
            open.cut();
            drop(end);
        }));
    }
}

/// Gives the connection up if nothing is confirmed on it, although messages wait.
///
/// With several nodes this happens soon: this node may be cut off from its peers. With one URL it happens after the
/// senders have given up their messages: the name may stand for several nodes, and otherwise a new connection loses
/// nothing.
fn look_for_confirms(open: &OpenConnection, confirms: &ConfirmWatch, settings: &RabbitMqSettings) {
    if open.is_blocked() {
        confirms.held_back();
        return;
    }
    let first = match settings.address.are_several() {
        true => UNCONFIRMED,
        false => UNCONFIRMED.max(settings.confirm_timeout),
    };
    // If other nodes were no better, the number of repeated messages must stay small.
    let times = 2u32.saturating_pow(confirms.given_up());
    let limit = first.saturating_mul(times).min(UNCONFIRMED_AT_MOST.max(first));
    let waited = confirms.waited();
    confirms.tell_of_stall();
    if waited >= limit {
        confirms.give_up();
        open.give_up(format!("RabbitMQ has confirmed no message for {waited:.0?}"));
    }
}

/// Returns whether a connection of this process has moved to another node within this time.
fn has_moved_within(interval: Duration) -> bool {
    let last = *LAST_MOVE.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < interval)
}

/// Records a move of a connection of this process, unless another has just moved.
fn note_move(interval: Duration) -> bool {
    let mut last = LAST_MOVE.lock().unwrap_or_else(PoisonError::into_inner);
    let may = last.is_none_or(|last| last.elapsed() >= interval);
    if may {
        *last = Some(Instant::now());
    }
    may
}

/// Returns whether the node opens a channel.
async fn answers(connected: &Connected) -> bool {
    let asking = async {
        let channel = connected.connection.create_channel().await?;
        channel.close(200, "done".into()).await
    };
    matches!(timeout(connector::ATTEMPT, asking).await, Ok(Ok(())))
}

/// Counts a connection that was opened after one was lost.
#[cfg(feature = "metrics")]
fn count_reconnect(role: &'static str) {
    use brighter_core::__private::reconnects::{HELP, LABELS, NAME};

    metrics::describe_counter!(NAME, metrics::Unit::Count, HELP);
    metrics::counter!(NAME, LABELS[0] => "rabbitmq", LABELS[1] => role).increment(1);
}

#[cfg(not(feature = "metrics"))]
fn count_reconnect(_: &'static str) {}
