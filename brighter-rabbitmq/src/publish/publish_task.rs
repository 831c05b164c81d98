//! [`PublishTask`]: owns the publishing channel, so that messages are sent in order, while confirms arrive in any
//! order.
//!
//! The task hands all waiting messages to lapin before it polls for confirms, so that the frames of a burst share a
//! write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use lapin::options::ConfirmSelectOptions;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::exchange::{OPENING, exchange_error};
use super::fast_path::{FastPath, WakeSignal};
use super::in_flight::{ChannelShared, InFlightPublish, PublishChannel, PublishOutcome, ReusableFuture};
use super::publish_queue::PublishQueue;
use super::request::{ConfirmResult, PublishRequest, fits};
use super::returned_messages::{ReturnedMessages, RouteHasher};
use super::route_changes::RouteChanges;
use crate::connection::{ConnectionHandle, OpenConnection};
use crate::error::{ConnectError, closes_channel, of_channel, of_connection, of_publishing};
use crate::settings::RabbitMqSettings;
use crate::topology::{DeclareError, answered, declare_exchange};
use crate::wire;
use brighter_core::channel::PublishError;

/// The largest number of unconfirmed messages. It hides the latency of a broker and its disk, and limits how many
/// messages a broker that stops answering holds up.
const WINDOW: usize = 256;
/// A channel that is due for renewal is kept if its messages in flight take longer than this: one queue that confirms
/// nothing must not hold up the others.
const LEAVING: Duration = Duration::from_secs(1);
/// With fewer messages in flight, callers may use the fast path.
const FEW: usize = 8;
/// The size of a frame without its payload, in bytes.
const FRAME: usize = 8;

pub(super) struct PublishTask {
    queue: Arc<PublishQueue<PublishRequest, FastPath>>,
    connection: Arc<ConnectionHandle>,
    settings: Arc<RabbitMqSettings>,
    channel: Option<PublishChannel>,
    /// The number of channels that were opened.
    opened: u64,
    /// The number of the last channel that was closed because of one of several messages.
    suspected: u64,
    /// Messages that were taken from the queue and not yet sent. The first of them must be sent alone.
    backlog: VecDeque<PublishRequest>,
    in_flight: FuturesUnordered<InFlightPublish>,
    /// The memory of messages that were in flight.
    free: Vec<ReusableFuture>,
    /// The message in flight is isolated: no other is sent with it.
    isolated: bool,
    /// Nothing more is sent on the channel. Once nothing is in flight, another one is opened.
    leaving: bool,
    /// The time until which to wait for the messages in flight, so that waiting messages are not held up for long.
    leaves_until: Option<Instant>,
    routes: RouteHasher,
    route_changes: RouteChanges,
    returned_messages: ReturnedMessages,
    /// Notified by messages on the fast path.
    wake_signal: Arc<WakeSignal>,
    waker: Waker,
}

impl PublishTask {
    pub(super) fn new(
        queue: Arc<PublishQueue<PublishRequest, FastPath>>,
        connection: Arc<ConnectionHandle>,
        settings: Arc<RabbitMqSettings>,
    ) -> Self {
        let wake_signal = Arc::<WakeSignal>::default();
        Self {
            queue,
            connection,
            settings,
            channel: None,
            opened: 0,
            suspected: 0,
            backlog: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            free: Vec::new(),
            isolated: false,
            leaving: false,
            leaves_until: None,
            routes: RouteHasher::default(),
            route_changes: RouteChanges::default(),
            returned_messages: ReturnedMessages::default(),
            waker: Waker::from(Arc::clone(&wake_signal)),
            wake_signal,
        }
    }

    /// Returns the flag by which others request a new channel.
    pub(super) fn renewal(&self) -> Arc<AtomicBool> {
        self.route_changes.requested()
    }

    pub(super) async fn run(mut self, close: CancellationToken) {
        let (queue, wake_signal) = (Arc::clone(&self.queue), Arc::clone(&self.wake_signal));
        let (mut open, mut closed) = (true, false);
        while open || !self.in_flight.is_empty() || !self.backlog.is_empty() {
            let blocked = self.connection.blocked();
            self.leave_channel();
            // Meanwhile, waiting messages stay in the queue, where their senders can see that they were not taken.
            if blocked.is_none() {
                self.begin_waiting().await;
                self.open_fast_path();
            }
            let on = self
                .channel
                .as_ref()
                .map(|channel| Arc::clone(&channel.shared.open));
            let (leaving, leaves_until) = (self.leaving, self.leaves_until);
            let wanted = open && blocked.is_none() && self.backlog.is_empty() && self.room() > 0;
            tokio::select! {
                Some(outcome) = self.next() => self.conclude(outcome),
                () = wake_signal.notified() => {}
                more = queue.ready(), if wanted => open = more,
                () = unblocked(blocked.as_deref()), if blocked.is_some() => {}
                () = retired(on.as_deref()), if on.is_some() && (!leaving || leaves_until.is_some()) => {
                    (self.leaving, self.leaves_until) = (true, None);
                }
                () = until(leaves_until), if leaves_until.is_some() => {
                    (self.leaving, self.leaves_until) = (false, None);
                    self.route_changes.renewed();
                }
                // Messages that wait already are still sent.
                () = close.cancelled(), if !closed => {
                    closed = true;
                    queue.close();
                }
            }
            self.close_fast_path();
        }
    }

    /// Lets callers hand messages to lapin themselves, while this overtakes no message and little is in flight. For a
    /// burst, one task is faster.
    fn open_fast_path(&mut self) {
        // An outcome since the last check may require another channel.
        self.leave_channel();
        let few = FEW.saturating_sub(self.in_flight.len());
        if few == 0 || self.isolated || self.leaving || !self.backlog.is_empty() {
            return;
        }
        if let Some(channel) = &self.channel {
            let new = FastPath::new(channel.clone(), few, self.waker.clone());
            self.queue.with_fast_path(|fast_path, nobody_waits| {
                if nobody_waits {
                    *fast_path = Some(new);
                }
            });
        }
    }

    fn close_fast_path(&mut self) {
        let closed = self.queue.with_fast_path(|fast_path, _| fast_path.take());
        if let Some(mut fast_path) = closed {
            self.in_flight.extend(fast_path.begun());
        }
    }

    /// Takes over the messages of the fast path.
    fn take_over(&mut self) {
        let in_flight = &self.in_flight;
        self.queue.with_fast_path(|fast_path, _| {
            let begun = fast_path.iter_mut().flat_map(FastPath::begun);
            begun.for_each(|publish| in_flight.push(publish));
        });
    }

    fn room(&self) -> usize {
        if self.isolated || self.leaving {
            return 0;
        }
        WINDOW.saturating_sub(self.in_flight.len())
    }

    /// Replaces the channel if that is due, once nothing is in flight: a later message must not overtake an earlier
    /// one.
    fn leave_channel(&mut self) {
        if self.channel.is_some() && !self.leaving && self.route_changes.is_due() {
            (self.leaving, self.leaves_until) = (true, Some(Instant::now() + LEAVING));
        }
        if self.leaving && self.in_flight.is_empty() {
            (self.leaving, self.leaves_until) = (false, None);
            self.route_changes.renewed();
            if let Some(left) = self.channel.take() {
                // Given up with its connection, if that closes too.
                let closing = async move { drop(left.amqp.close(200, "renewed".into()).await) };
                tokio::spawn(timeout(OPENING, closing));
            }
        }
    }

    /// Sends as much of the queue as there is room for. On return the backlog is empty, or an in-flight publish will
    /// wake this task.
    async fn begin_waiting(&mut self) {
        if self.backlog.is_empty() {
            self.queue.take(self.room(), &mut self.backlog);
        }
        loop {
            self.leave_channel();
            while let Some(request) = self.next_of_backlog() {
                self.begin(request).await;
            }
            // The futures are polled in order, and each is handed to lapin at its first poll.
            if let Some(Some(outcome)) = self.next().now_or_never() {
                self.conclude(outcome);
            }
            // A confirm can arrive before that poll ends. Then the backlog behind its message is sent now.
            if self.backlog.is_empty() || !self.in_flight.is_empty() {
                return;
            }
        }
    }

    /// Returns the first message of the backlog, if it may be sent now.
    fn next_of_backlog(&mut self) -> Option<PublishRequest> {
        let first = self.backlog.front()?;
        let may_go = !self.isolated && !self.leaving && (!first.isolated || self.in_flight.is_empty());
        may_go.then(|| self.backlog.pop_front()).flatten()
    }

    /// Waits for the next message that is no longer in flight. Keeps the memory of up to `WINDOW` messages for reuse.
    async fn next(&mut self) -> Option<PublishOutcome> {
        let (outcome, future) = self.in_flight.next().await?;
        if self.free.len() < WINDOW {
            self.free.extend(future);
        }
        Some(outcome)
    }

    async fn begin(&mut self, request: PublishRequest) {
        // Its caller has given up.
        if request.reply.is_closed() {
            return;
        }
        let channel = match self.channel().await {
            Ok(channel) => channel,
            Err(error) => {
                tell(request, Err(error.clone().into()));
                // All waiting messages would fail the same way, one after the other.
                self.queue.take(usize::MAX, &mut self.backlog);
                for request in self.backlog.drain(..) {
                    tell(request, Err(error.clone().into()));
                }
                return;
            }
        };
        let headers = wire::header_bytes(&request.message.properties);
        if let Err(error) = fits(headers, channel.most_header_bytes) {
            tell(request, Err(error));
            return;
        }
        let (channel, isolated) = (channel.clone(), request.isolated);
        self.isolated = isolated;
        let future = self.free.pop();
        self.in_flight
            .push(InFlightPublish::new(channel, request, future));
    }

    /// Returns the publishing channel: open, with confirms, and with its exchange declared.
    async fn channel(&mut self) -> Result<&PublishChannel, ConnectError> {
        let live = |channel: &PublishChannel| channel.amqp.status().connected();
        if !self.channel.as_ref().is_some_and(live) {
            let opened = self.open().await?;
            self.opened = opened.number;
            self.route_changes.opened();
            // Messages that were returned on the previous channel are reported already, or never will be.
            self.returned_messages.clear();
            return Ok(self.channel.insert(opened));
        }
        self.channel.as_ref().ok_or(ConnectError::Closed)
    }

    async fn open(&mut self) -> Result<PublishChannel, ConnectError> {
        let mut open = self.connection.current().await?;
        let mut opened = self.open_on(&open).await?;
        // Nothing was sent on this connection, so its loss needs no report.
        if let Err(DeclareError::Broker { error, .. }) = &opened
            && (!open.is_alive() || of_connection(error))
        {
            open = self.connection.after(&open).await?;
            opened = self.open_on(&open).await?;
        }
        let amqp = opened.map_err(|error| exchange_error(error, open.address(), &self.settings))?;
        Ok(PublishChannel {
            amqp: Arc::new(amqp),
            number: self.opened + 1,
            most_header_bytes: match open.connection.configuration().frame_max() {
                0 => usize::MAX,
                bytes => (bytes as usize).saturating_sub(FRAME),
            },
            shared: Arc::new(ChannelShared {
                open,
                confirms: Arc::clone(self.connection.confirms()),
                routes: self.routes.clone(),
            }),
        })
    }

    /// The outer error means that the broker did not answer.
    async fn open_on(
        &self,
        open: &OpenConnection,
    ) -> Result<Result<lapin::Channel, DeclareError>, ConnectError> {
        // Counted as an awaited confirm.
        let _awaited = self.connection.confirms().begin();
        let opening = async {
            let channel = answered("channel.open", open.connection.create_channel()).await?;
            let confirms = channel.confirm_select(ConfirmSelectOptions::default());
            answered("confirm.select", confirms).await?;
            declare_exchange(
                &channel,
                self.settings.declare_exchange,
                &self.settings.exchange(),
            )
            .await?;
            Ok(channel)
        };
        match timeout(OPENING, opening).await {
            Ok(opened) => Ok(opened),
            Err(_) => {
                let reason = format!("a channel to publish on was not opened within {OPENING:?}");
                self.connection.give_up(open, reason);
                Err(ConnectError::silent(open.address(), OPENING))
            }
        }
    }

    /// Reports all outcomes that have arrived.
    ///
    /// A returned message may be attached to the confirm of another message in the same frame. So all outcomes of a
    /// frame are collected before the first is reported.
    fn conclude(&mut self, first: PublishOutcome) {
        let mut decided = vec![first];
        while !decided.is_empty() {
            self.collect(&mut decided);
            self.wait_for_the_frame();
            self.take_over();
            let mut siblings = Vec::new();
            self.collect(&mut siblings);
            for outcome in decided.iter_mut().chain(&mut siblings) {
                if let Some(route) = outcome.returned.take() {
                    self.returned_messages.note(route);
                }
            }
            let only = decided.len() == 1 && siblings.is_empty() && self.in_flight.is_empty();
            for outcome in decided {
                self.tell(outcome, only);
            }
            decided = siblings;
        }
        if self.in_flight.is_empty() {
            self.isolated = false;
        }
    }

    fn collect(&mut self, into: &mut Vec<PublishOutcome>) {
        while let Some(Some(outcome)) = self.next().now_or_never() {
            into.push(outcome);
        }
    }

    /// Waits until lapin has completed every confirm of the current frame. lapin holds a lock meanwhile, and this call
    /// takes that lock first. The rest of the wait is not needed.
    fn wait_for_the_frame(&self) {
        if let Some(channel) = &self.channel {
            let _ = channel.amqp.wait_for_confirms().now_or_never();
        }
    }

    fn tell(&mut self, outcome: PublishOutcome, only: bool) {
        let came_back = self.returned_messages.take(&outcome.route);
        let key = outcome.route.key();
        if came_back {
            // Closed before its caller can publish the next message.
            if self.route_changes.came_back(key) {
                self.queue.with_fast_path(|fast_path, _| {
                    if let Some(fast_path) = fast_path {
                        fast_path.shut();
                    }
                });
            }
        } else if let Ok(true) = outcome.taken {
            self.route_changes.arrived(key);
        }
        let result = match outcome.taken {
            _ if came_back => ConfirmResult::CameBack,
            Ok(true) => ConfirmResult::Known(Ok(())),
            Ok(false) => ConfirmResult::Refused,
            Err(_) if outcome.resend => ConfirmResult::Resend,
            Err(error) if closes_channel(&error) => {
                // The channel is closed, and the broker's reason belongs to its messages.
                self.channel.take_if(|channel| channel.number == outcome.number);
                let isolated = outcome.isolated || (only && self.suspected != outcome.number);
                if isolated && of_channel(&error).is_some() {
                    ConfirmResult::Known(Err(of_publishing(error)))
                } else {
                    self.suspected = outcome.number;
                    ConfirmResult::Suspect
                }
            }
            Err(error) => ConfirmResult::Known(Err(of_publishing(error))),
        };
        // Its caller may have given up.
        let _ = outcome.reply.send(result);
    }
}

fn tell(request: PublishRequest, outcome: Result<(), PublishError>) {
    // Its caller may have given up.
    let _ = request.reply.send(ConfirmResult::Known(outcome));
}

async fn until(time: Option<Instant>) {
    if let Some(time) = time {
        sleep_until(time).await;
    }
}

async fn retired(open: Option<&OpenConnection>) {
    if let Some(open) = open {
        open.until_retired().await;
    }
}

async fn unblocked(open: Option<&OpenConnection>) {
    if let Some(open) = open {
        open.unblocked().await;
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use tokio::sync::oneshot;

    use super::super::request::Outgoing;
    use super::super::returned_messages::RouteHasher;
    use super::*;
    use crate::RabbitMq;
    use crate::connection::{ConnectionRole, IoThread};

    fn isolated_request() -> (PublishRequest, oneshot::Receiver<ConfirmResult>) {
        let message = Outgoing {
            exchange: "e".into(),
            routing_key: "k".into(),
            properties: BasicProperties::default(),
            body: bytes::Bytes::new(),
        };
        PublishRequest::new(message, true)
    }

    /// On a busy machine, the confirm of a message arrives before the task has finished handing it over.
    #[tokio::test]
    async fn backlog_is_sent_when_a_confirm_arrives_immediately() {
        let settings = Arc::new(RabbitMq::builder("amqp://localhost").settings(true).unwrap());
        // The connection is closed, so every message ends at once.
        let stop = CancellationToken::new();
        stop.cancel();
        let connection = ConnectionHandle::new(
            ConnectionRole::Publisher,
            Arc::clone(&settings),
            IoThread::shared().unwrap(),
            stop,
        );
        let mut task = PublishTask::new(Arc::new(PublishQueue::new()), Arc::new(connection), settings);
        let (first, confirmed) = isolated_request();
        let (second, behind) = isolated_request();
        task.isolated = true;
        task.in_flight.push(InFlightPublish::over(PublishOutcome {
            route: RouteHasher::default().of(&"e".into(), &"k".into(), &BasicProperties::default()),
            number: 1,
            isolated: true,
            resend: false,
            taken: Ok(true),
            returned: None,
            reply: first.reply,
        }));
        task.backlog.push_back(second);

        task.begin_waiting().await;
        assert!(matches!(confirmed.await, Ok(ConfirmResult::Known(Ok(())))));
        assert!(task.backlog.is_empty());
        assert!(matches!(
            behind.await,
            Ok(ConfirmResult::Known(Err(PublishError::Closed)))
        ));
    }
}
