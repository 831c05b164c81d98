//! Answering those who wait for it: see [`call`](crate::CommandProcessor::call).

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::route::Route;
use super::settlement::{RELEASE_DELAY, Settlement};
use super::within::within;
use crate::processor::{Reply, answer};
use crate::telemetry::metrics;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, Delivery, PublishError};
use brighter_core::message::Message;

/// For how long a reply is kept in hand that the broker does not take; then the message is given back, and handled
/// again, as far as its handler does not know it.
const KEPT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long the broker may take for one, so that one who hangs is told from one who is slow.
const SEND_WITHIN: Duration = Duration::from_secs(60);

/// Sends replies for the messages of one subscription.
pub(super) struct ReplySender<'a> {
    pub(super) broker: &'a dyn Broker,
    pub(super) route: &'a dyn Route,
    pub(super) stop: &'a CancellationToken,
}

impl ReplySender<'_> {
    /// Sends a reply before its message is settled, so that what dies in between sends it again rather than never.
    /// Gives what becomes of the message.
    pub(super) async fn reply(
        &self,
        delivery: &Delivery,
        reply: Reply,
        settlement: Settlement,
    ) -> Settlement {
        let message = delivery.message().ok().filter(|_| settlement == Settlement::Ack);
        let Some(answer) = message.and_then(|message| answer(&message.header, reply)) else {
            return settlement;
        };
        let (deadline, mut pause) = (Instant::now() + KEPT, FIRST_PAUSE);
        loop {
            let Err(error) = self.send(&answer).await else {
                return settlement;
            };
            if !error.is_outage() {
                self.not_replied(&answer, &error);
                return settlement;
            }
            if Instant::now() + pause > deadline {
                tracing::warn!(
                    error = report(&error),
                    "sending a reply failed; the request will be retried"
                );
                return Settlement::Requeue {
                    delay: RELEASE_DELAY,
                    counted: false,
                };
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Settlement::Release,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    /// Returns the message for a caller that waits for a reply that will never come, once the request is set aside.
    pub(super) fn apology(&self, delivery: &Delivery, settlement: &Settlement) -> Option<Message> {
        let Settlement::Reject(rejection) = settlement else {
            return None;
        };
        let message = delivery.message().ok()?;
        if !self.route.is_waited_for(message) {
            return None;
        }
        answer(&message.header, Reply::Failed(rejection.reason.clone()))
    }

    /// Sends the apology, once. A caller that does not get it runs into its timeout.
    pub(super) async fn apologize(&self, apology: Message) {
        if let Err(error) = self.send(&apology).await {
            self.not_replied(&apology, &error);
        }
    }

    async fn send(&self, answer: &Message) -> Result<(), PublishError> {
        let sent = within(SEND_WITHIN, self.broker.publish(answer)).await;
        sent.unwrap_or(Err(PublishError::TimedOut { after: SEND_WITHIN }))
    }

    fn not_replied(&self, answer: &Message, error: &PublishError) {
        metrics::reply_dropped(self.broker.system(), "nobody_there");
        let call = &answer.header.correlation_id;
        match error {
            // Who called is gone, which is his own business.
            PublishError::Unroutable { .. } => {
                tracing::debug!(?call, "reply dropped: its caller no longer waits");
            }
            error => {
                tracing::warn!(
                    ?call,
                    error = report(error),
                    "reply dropped: the broker does not accept it"
                );
            }
        }
    }
}
