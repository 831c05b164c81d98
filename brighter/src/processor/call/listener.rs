//! The [`Listener`]: consumes the replies of one processor, for as long as that lives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::waiting::PendingCalls;
use crate::telemetry::metrics;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, Channel, ChannelError, ConsumeAttempts, Consumer, Delivery};
use brighter_core::message::RoutingKey;

/// How long the channel of the replies stays while its process is away from the broker: longer than most calls wait, so
/// that a reply that comes meanwhile is not lost, and no longer, for most processes do not come back.
const STAYS: Duration = Duration::from_secs(120);

/// How long closing waits for the replies to be left.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Consumes the replies of one processor.
pub(super) struct Listener {
    broker: Arc<dyn Broker>,
    channel: Channel,
    pub(super) address: RoutingKey,
    pub(super) waiting: PendingCalls,
    /// Nothing while the replies are consumed, or else why not.
    state: watch::Sender<Option<String>>,
    task: Mutex<Option<JoinHandle<()>>>,
    pub(super) ended: Arc<CancellationToken>,
}

/// Notes on drop that the replies are no longer consumed, whatever the cause.
struct ListenerGuard<'a>(&'a Listener);

impl Drop for ListenerGuard<'_> {
    fn drop(&mut self) {
        let reason = "the runtime in which they were received has ended";
        self.0.state.send_replace(Some(reason.to_owned()));
    }
}

impl Listener {
    pub(super) fn new(broker: Arc<dyn Broker>, limit: usize, ended: Arc<CancellationToken>) -> Self {
        let address = super::reply::new_address();
        Self {
            broker,
            channel: Channel::temporary(address.as_str(), STAYS),
            address,
            waiting: PendingCalls::new(limit),
            state: watch::Sender::new(Some("it has not begun yet".to_owned())),
            task: Mutex::default(),
            ended,
        }
    }

    pub(super) fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// Waits until the replies are consumed.
    pub(super) async fn is_listening(self: &Arc<Self>) {
        self.start();
        let mut state = self.state.subscribe();
        // The sender is here.
        let _ = state.wait_for(Option::is_none).await;
    }

    /// Why the replies are not consumed.
    pub(super) fn reason(&self) -> String {
        self.state.borrow().clone().unwrap_or_default()
    }

    /// Begins with the first call, and again in another runtime if the one before is gone.
    fn start(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.ended.is_cancelled() && task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(Arc::clone(self).run()));
        }
    }

    async fn run(self: Arc<Self>) {
        // Dropped before its time with its runtime, it receives nothing, and a call that begins then must wait.
        let _note = ListenerGuard(&self);
        let mut attempts = ConsumeAttempts::new();
        let listening = async {
            loop {
                let lost = match attempts.consume(&*self.broker, &self.channel).await {
                    Ok(consumer) => {
                        self.state.send_replace(None);
                        self.listen(consumer).await
                    }
                    Err(error) => error,
                };
                let (reason, pause) = (report(&lost), attempts.pause(&lost));
                // Who waits goes on waiting: the channel outlives a lost connection, and a reply may be in it.
                tracing::warn!(channel = %self.channel.name, reason, "receiving replies failed; trying again");
                self.state.send_replace(Some(reason));
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            biased;
            () = self.ended.cancelled() => {}
            () = listening => {}
        }
        self.waiting.end();
    }

    /// Gives out replies until the channel is lost; says why it was.
    async fn listen(&self, mut consumer: Consumer) -> ChannelError {
        let mut acks = FuturesUnordered::new();
        let most = usize::from(self.channel.buffer.get());
        loop {
            tokio::select! {
                biased;
                Some(acked) = acks.next(), if !acks.is_empty() => {
                    if let Err(error) = acked {
                        let error = report(&error);
                        tracing::debug!(error, "could not ack a reply; it may be delivered again");
                    }
                }
                came = consumer.receive(), if acks.len() < most => match came {
                    Some(Ok(delivery)) => {
                        self.give(&delivery);
                        acks.push(delivery.ack());
                    }
                    Some(Err(error)) => return error,
                    None => return ChannelError::Closed,
                },
            }
        }
    }

    fn give(&self, delivery: &Delivery) {
        if let Some(reply) = delivery.shared() {
            if self.waiting.give(reply) {
                return;
            }
            let call = reply.header.correlation_id.as_ref();
            tracing::debug!(call = ?call, "reply dropped: no call waits for it");
        } else {
            tracing::warn!(channel = %self.channel.name, "reply dropped: it could not be read");
        }
        self.waiting.note_dropped();
        metrics::reply_dropped(self.broker.system(), "nobody_waits");
    }

    /// Waits until the reply channel is closed, up to a deadline.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // It is cancelled by the token, and cannot fail.
            let _ = timeout(CLOSE_WITHIN, task).await;
        }
        self.waiting.end();
    }
}
