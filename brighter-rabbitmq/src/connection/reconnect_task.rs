//! The [`ReconnectTask`]: connects, watches the connection, and connects again.

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

/// How often to look whether the connection is still there, and of use.
const LOOK: Duration = Duration::from_secs(1);
/// How long a round of attempts may meet silence before another is begun beside it. An attempt is given up before
/// there are many.
const SILENCE: Duration = Duration::from_secs(2);
/// A polite end takes this long at most.
const GOODBYE: Duration = Duration::from_secs(2);
/// With nothing confirmed for this long, although messages wait, a connection is given up. Leaders of queues are chosen
/// anew within less where a node is lost, and what was on its way may arrive twice.
const UNCONFIRMED: Duration = Duration::from_secs(8);
/// Each time in a row it is given so many times as long, and no longer than this.
const UNCONFIRMED_AT_MOST: Duration = Duration::from_secs(64);

/// When a connection of this process last moved to another node, of all that were lost to none.
static LAST_MOVE: Mutex<Option<Instant>> = Mutex::new(None);

/// Keeps one connection up. It ends when told to stop, or when nothing waits for what it tells any more.
pub(super) struct ReconnectTask {
    role: ConnectionRole,
    settings: Arc<RabbitMqSettings>,
    io: IoThread,
    stop: CancellationToken,
    state: watch::Sender<ConnectionState>,
    confirms: Arc<ConfirmWatch>,
    /// The connections that are still needed, although there is a newer one.
    retired: TaskTracker,
}

/// Why a connection is watched no longer.
enum WatchEnd {
    /// There is another, to a node that is preferred or that answers.
    Moved(Box<Connected>),
    /// It ended, or was given up.
    Lost {
        reason: ConnectError,
        /// Nobody said why, and nothing had gone through it for this long.
        idle: Option<Duration>,
    },
}

impl ReconnectTask {
    /// A task that has not begun, and what it will tell.
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
            // Deliveries may still hold channels, so dropping it would not close it.
            let _ = timeout(GOODBYE, open.connection.close(200, "goodbye".into())).await;
            open.cut();
            info!(role = self.role.as_str(), address = %open.address(), "disconnected from RabbitMQ");
        }
        self.retired.close();
        // Without `stop` they last for as long as their deliveries, and need nobody.
        if self.stop.is_cancelled() {
            let _ = timeout(GOODBYE * 2, self.retired.wait()).await;
        }
        // Last, for a caller that waits for it takes every delivery to be stale from now on.
        self.state.send_replace(ConnectionState::Closed);
    }

    async fn keep_up(&self) {
        let mut nodes = NodeOrder::new(&self.settings.address, self.settings.rebalance_interval);
        let mut cuts = IdleCuts::default();
        let (mut generation, mut failures) = (0, 0);
        // Whether the last attempt was refused, rather than met by nobody.
        let mut refused = None;
        // The same loss again and again is told of once.
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
                    // Something was away, and not only a connection cut.
                    cuts.other();
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

    /// Hands the connection out, and those that it moves to; returns once the last of them is lost, with whether that
    /// was told of before.
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
                            info!(role, %address, left = %left.address(), generation, "moved to a node of RabbitMQ that is back")
                        }
                    }
                    self.retire(left, end);
                }
                None if generation == 1 => info!(role, %address, "connected to RabbitMQ"),
                None => {
                    count_reconnect(role);
                    match quiet {
                        true => tracing::debug!(role, %address, generation, "connected to RabbitMQ again"),
                        false => info!(role, %address, generation, "connected to RabbitMQ again"),
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
            // Beside the next attempt: a node that is cut off may not answer.
            self.io.spawn(async move {
                let _ = timeout(GOODBYE, open.connection.close(200, "given up".into())).await;
                open.cut();
            });
        }
        quiet
    }

    /// Tells of a connection that is lost, and once of what cuts it again and again while nothing goes through it.
    /// Returns whether that was told of before.
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
            // By then a heartbeat would have gone through it.
            Some(idle) if heartbeat.is_zero() || idle < heartbeat => cuts.cut(idle),
            _ => cuts.other(),
        };
        if cut == IdleCut::Known {
            tracing::debug!(role, %address, generation, error, "lost the connection to RabbitMQ; connecting again");
            return true;
        }
        warn!(role, %address, generation, error, "lost the connection to RabbitMQ; connecting again");
        let IdleCut::Pattern(idle) = cut else {
            return false;
        };
        let fitting = Duration::from_secs(idle.as_secs().max(1));
        warn!(
            role, %address, ?idle, ?heartbeat,
            "the connection was cut three times after nothing had gone through it for about this long: the time-out for idle \
             connections of something between here and RabbitMQ, such as a load balancer, is shorter than the heartbeat; \
             raise that, or set `heartbeat_interval` to {fitting:?} or less"
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
            // Not every end is an event, so look from time to time.
            let event = tokio::select! {
                event = timeout(LOOK, events.next()) => event,
                () = open.until_given_up() => break,
                connected = &mut moving => return WatchEnd::Moved(Box::new(connected)),
            };
            match event {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    warn!(role, address = %open.address(), reason, "RabbitMQ takes no messages for now");
                    open.set_blocked(Some(reason));
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    info!(role, address = %open.address(), "RabbitMQ takes messages again");
                    self.confirms.held_back();
                    open.set_blocked(None);
                }
                // That of a channel says nothing of the connection.
                Ok(Some(Event::Error(error))) if of_channel(&error).is_none() => cause = Some(error),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => break,
            }
            // What was not confirmed by a connection before this one is that one's.
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
                None => ConnectError::lost(open.address(), std::io::Error::other("it ended without a word")),
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
            // What the connection before brought may still be needed: that move is not over. And a broker that holds
            // publishers back does so on every node.
            if !self.retired.is_empty() || open.is_blocked() {
                continue;
            }
            for node in nodes.preferred_to(open.node()) {
                if has_moved_within(interval) {
                    break;
                }
                match self.log_in(nodes, node).await {
                    // A node that lets us log in may still not do anything for us.
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
/// With several nodes, soon: this one may be cut off from its peers. With one URL, once the messages are given up by
/// those who sent them: the name may stand for several nodes, and else nothing is lost by a new connection.
fn look_for_confirms(open: &OpenConnection, confirms: &ConfirmWatch, settings: &RabbitMqSettings) {
    if open.is_blocked() {
        confirms.held_back();
        return;
    }
    let first = match settings.address.are_several() {
        true => UNCONFIRMED,
        false => UNCONFIRMED.max(settings.confirm_timeout),
    };
    // Where it was no better elsewhere, what is sent again each time must not become many.
    let times = 2u32.saturating_pow(confirms.given_up());
    let limit = first.saturating_mul(times).min(UNCONFIRMED_AT_MOST.max(first));
    let waited = confirms.waited();
    confirms.tell_of_stall();
    if waited >= limit {
        confirms.give_up();
        open.give_up(format!("RabbitMQ has confirmed no message for {waited:.0?}"));
    }
}

/// Whether a connection of this process has moved to another node within this time.
fn has_moved_within(interval: Duration) -> bool {
    let last = *LAST_MOVE.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < interval)
}

/// Notes that a connection of this process moves, unless one has just done so.
fn note_move(interval: Duration) -> bool {
    let mut last = LAST_MOVE.lock().unwrap_or_else(PoisonError::into_inner);
    let may = last.is_none_or(|last| last.elapsed() >= interval);
    if may {
        *last = Some(Instant::now());
    }
    may
}

/// Whether the node opens a channel.
async fn answers(connected: &Connected) -> bool {
    let asking = async {
        let channel = connected.connection.create_channel().await?;
        channel.close(200, "done".into()).await
    };
    matches!(timeout(connector::ATTEMPT, asking).await, Ok(Ok(())))
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
