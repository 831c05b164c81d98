//! Out of the process and back: `call`.
//!
//! ```text
//!   call ──▶ request: reply_to, correlation id ──▶ topic ──▶ handler
//!    ▲                                                          │ reply, then ack
//!    └── who waits for that id ◀── listener ◀── reply_to ◀──────┘
//! ```
//!
//! One channel receives the replies of a processor, however many calls wait; what tells them apart is the correlation
//! id, new for each call. See `docs/adr/0041-calls.md`.

mod calls;
mod error;
mod listener;
mod reply;
mod waiting;

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use calls::CallStats;
pub(super) use calls::{AT_MOST, Calls};
pub use error::CallError;
pub(crate) use reply::{Reply, answer, is_waited_for};

use super::CommandProcessor;
use super::options::PostOptions;
use crate::telemetry::metrics::Began;
use brighter_core::__private::Op;
use brighter_core::__private::clock::after;
use brighter_core::channel::PublishError;
use brighter_core::context::Context;
use brighter_core::mapper::Callable;

impl CommandProcessor {
    /// Sends a command to the process that handles it, and waits for its reply, at most this long.
    ///
    /// The request goes straight to the broker, past the outbox: what nobody waits for any longer need not be kept. It
    /// comes to its handler like any other message, is retried like any other, and what the handler gives back is
    /// sent here before the message is acked. So the handler may run more than once, and after a lost ack there may be
    /// a second reply, which is dropped.
    ///
    /// A request that its handler rejects, or that fails at its last attempt, is answered with the reason, as
    /// [`CallError::Failed`], and is also kept as a dead letter, like any other message.
    ///
    /// Dropping the future gives up the call. Both do without the reply; the request goes its way.
    ///
    /// ```
    /// use std::time::Duration;
    /// use brighter::prelude::*;
    ///
    /// #[derive(Serialize, Deserialize, Message)]
    /// #[message(topic = "Invoice.Make", reply = Invoice)]
    /// struct MakeInvoice { order: u32 }
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Invoice { number: String }
    ///
    /// struct Accounts;
    ///
    /// #[handler]
    /// impl Handler<MakeInvoice> for Accounts {
    ///     async fn handle(&self, make: &MakeInvoice) -> Result<Invoice, BoxError> {
    ///         Ok(Invoice { number: format!("2026-{}", make.order) })
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let broker = brighter::InMemoryBroker::new();
    /// // In the process of the accounts:
    /// let accounts = CommandProcessor::builder().handler(Accounts).broker(broker.clone()).build()?;
    /// let dispatcher = Dispatcher::builder(accounts)
    ///     .subscription(Subscription::<MakeInvoice>::new("accounts"))
    ///     .build()?;
    /// dispatcher.receive();
    /// # dispatcher.wait_until_consuming().await;
    ///
    /// // In another:
    /// let processor = CommandProcessor::builder().broker(broker).build()?;
    /// let invoice = processor.call(MakeInvoice { order: 17 }, Duration::from_secs(5)).await?;
    /// assert_eq!(invoice.number, "2026-17");
    /// # dispatcher.end().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`], which says of each whether something was sent.
    pub async fn call<R: Callable>(&self, request: R, within: Duration) -> Result<R::Reply, CallError> {
        self.call_in(&request, within, None).await
    }

    /// How many calls wait, and how many replies came for nobody.
    #[must_use]
    pub fn call_stats(&self) -> CallStats {
        let calls = self.0.calls.as_ref();
        calls.map_or_else(CallStats::default, |calls| CallStats {
            in_flight: calls.listener.waiting.in_flight(),
            dropped_replies: calls.listener.waiting.dropped(),
        })
    }

    pub(super) async fn call_in<R: Callable>(
        &self,
        request: &R,
        within: Duration,
        cx: Option<&Context>,
    ) -> Result<R::Reply, CallError> {
        let calls = self.0.calls.as_ref().ok_or(CallError::NoBroker)?;
        if within.is_zero() {
            return Err(CallError::NoTime);
        }
        let options = PostOptions::caused_by(cx);
        let op = self.creates::<R>("call", &options);
        let called = op
            .run(self.call_within(&op, calls, request, within, &options))
            .await;
        called.inspect_err(|error| op.failed(error.kind()))
    }

    async fn call_within<R: Callable>(
        &self,
        op: &Op,
        calls: &Calls,
        request: &R,
        within: Duration,
        options: &PostOptions<'_>,
    ) -> Result<R::Reply, CallError> {
        let listener = &calls.listener;
        if listener.ended.is_cancelled() {
            return Err(CallError::Closed);
        }
        let deadline = after(Instant::now(), within);
        // Dropped on every way out of here.
        let mut ticket = listener.waiting.enter()?;
        let message = self
            .message_for(op, request, options, |header| {
                header.correlation_id = Some(ticket.id.clone());
                header.reply_to = Some(listener.address.clone());
            })
            .map_err(CallError::NotMade)?;
        tokio::select! {
            biased;
            () = listener.ended.cancelled() => return Err(CallError::Closed),
            listening = timeout_at(deadline, listener.is_listening()) => {
                listening.map_err(|_| CallError::NotListening { after: within, reason: listener.reason() })?;
            }
        }
        let (broker, began) = (&**listener.broker(), Began::now());
        let sent = |failed| {
            let topic = &message.header.topic;
            calls.metrics.sent(broker.system(), topic, began, failed);
        };
        let published = async {
            let published = broker.publish(&message).await;
            sent(published.as_ref().err().map(PublishError::kind));
            published
        };
        let timed_out = |_| CallError::TimedOut { after: within };
        let replied = async {
            // The reply may be quicker than the confirm, and says the same.
            tokio::select! {
                biased;
                reply = &mut ticket.reply => {
                    let reply = reply.map_err(|_| CallError::Closed)?;
                    sent(None);
                    return Ok(reply);
                }
                published = published => published.map_err(CallError::NotSent)?,
            }
            (&mut ticket.reply).await.map_err(|_| CallError::Closed)
        };
        let reply = timeout_at(deadline, replied).await.map_err(timed_out)??;
        let body = reply::read(&reply)?;
        (R::FORM.read)(body).map_err(|source| CallError::Unreadable {
            request: std::any::type_name::<R>(),
            source,
        })
    }
}
