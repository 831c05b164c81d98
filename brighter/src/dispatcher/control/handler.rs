//! [`ControlHandler`]: applies the commands of a control topic, and reports.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::report::ControlReport;
use super::signed::{CommandVerifier, Order, OrderVerdict, Refusal, Signed};
use super::topic::{Control, milliseconds};
use crate::dispatcher::check::UncheckedSubscription;
use crate::dispatcher::status::ShutdownReport;
use crate::dispatcher::{Dispatcher, Inner, KnownSubscription};
use crate::handler::Handler;
use crate::pipeline::{HandlerPipeline, HandlerService, Pipeline, Wiring};
use crate::processor::{BuildErrors, CommandProcessor};
use crate::subscription::Subscription;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, PublishError};
use brighter_core::context::Context;
use brighter_core::error::{BoxError, DontAck, Invalid};
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, MessageMapper};
use brighter_core::message::{MessageHeader, MessageType};

/// A control topic on its way into a dispatcher.
pub(in crate::dispatcher) struct Controlled {
    /// The subscription that brings this node's commands.
    pub(in crate::dispatcher) subscription: UncheckedSubscription,
    /// Applies what the subscription brings; it is not the application's.
    processor: CommandProcessor,
    /// To be filled with the dispatcher.
    dispatcher: Arc<OnceLock<Weak<Inner>>>,
}

impl Controlled {
    pub(in crate::dispatcher) fn new(control: Control, broker: Arc<dyn Broker>) -> Result<Self, BuildErrors> {
        let name = format!("{}.{}", control.topic, control.node);
        let subscription = Subscription::<Signed>::new(name)
            .routing_key(control.topic.clone())
            // A command that no node was there to apply does not count any more.
            .time_to_live(control.window);
        let dispatcher = Arc::new(OnceLock::new());
        let handler = ControlHandler::new(control, broker, Arc::clone(&dispatcher), milliseconds);
        let processor = CommandProcessor::builder().handler(handler).build()?;
        Ok(Self {
            subscription: UncheckedSubscription::new(&processor, subscription),
            processor,
            dispatcher,
        })
    }

    /// Gives the subscription to this dispatcher, which the commands are applied to.
    pub(in crate::dispatcher) fn attach(self, dispatcher: &Dispatcher) {
        let registered = self.subscription.register();
        dispatcher.0.state().control = Some(KnownSubscription::new(registered, self.processor));
        // It is new, so nothing is in it yet.
        let _ = self.dispatcher.set(Arc::downgrade(&dispatcher.0));
    }
}

/// Applies the commands for one node.
struct ControlHandler {
    control: Control,
    broker: Arc<dyn Broker>,
    verifier: Mutex<CommandVerifier>,
    /// The time, in milliseconds since 1970.
    clock: fn() -> u64,
    /// Filled once there is one. Weak, for the dispatcher has this.
    dispatcher: Arc<OnceLock<Weak<Inner>>>,
}

impl ControlHandler {
    fn new(
        control: Control,
        broker: Arc<dyn Broker>,
        dispatcher: Arc<OnceLock<Weak<Inner>>>,
        clock: fn() -> u64,
    ) -> Self {
        let (topic, secret) = (control.topic.clone(), control.secret.clone());
        let verifier = CommandVerifier::new(topic, secret, control.window, clock());
        Self {
            verifier: Mutex::new(verifier),
            control,
            broker,
            clock,
            dispatcher,
        }
    }

    /// The order, once it counts; nothing, if the dispatcher ends before.
    async fn admitted(&self, signed: &Signed, cx: &Context) -> Result<Option<Order>, Refusal> {
        loop {
            let verdict = {
                let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
                verifier.admit(signed, (self.clock)())
            };
            let early = match verdict? {
                OrderVerdict::Obey(order) => return Ok(Some(order)),
                OrderVerdict::Early(by) => by,
            };
            if early > Duration::from_secs(1) {
                tracing::warn!(
                    node = self.control.node,
                    ?early,
                    "a control command was given after now, by the clock of this node, and is obeyed when that has passed: \
                     set the clocks right"
                );
            }
            tokio::select! {
                () = tokio::time::sleep(early) => {}
                () = cx.cancelled() => return Ok(None),
            }
        }
    }

    async fn apply(&self, order: Order) {
        let Some(inner) = self.dispatcher.get().and_then(Weak::upgrade) else {
            return;
        };
        let dispatcher = Dispatcher(inner);
        tracing::info!(node = self.control.node, command = ?order.command, command_id = %order.id, "obeying a control command");
        let done = dispatcher.apply(order.command.clone()).await;
        let (ended, refused) = match done {
            Ok(ended) => (ended, None),
            Err(error) => (ShutdownReport::default(), Some(report(&error))),
        };
        if let Some(refused) = &refused {
            tracing::warn!(node = self.control.node, command_id = %order.id, refused, "a control command was not obeyed");
        }
        let answer = ControlReport {
            command_id: order.id,
            command: order.command,
            node: self.control.node.clone(),
            refused,
            interrupted: ended.interrupted,
            readiness: dispatcher.readiness(),
            subscriptions: dispatcher.status(),
        };
        drop(dispatcher);
        self.report(&answer).await;
    }

    async fn report(&self, answer: &ControlReport) {
        let header = MessageHeader::new(MessageId::new(), self.control.reports(), MessageType::Event)
            .with_correlation_id(answer.command_id.clone());
        let message = match JsonMapper.to_message(answer, header) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(
                    error = report(&error),
                    "a report on a control command cannot be written"
                );
                return;
            }
        };
        match self.broker.publish(&message).await {
            Ok(()) => {}
            Err(PublishError::Unroutable { .. }) => {
                tracing::debug!(topic = %message.header.topic, "no channel is bound for reports on control commands");
            }
            Err(error) => {
                tracing::warn!(
                    error = report(&error),
                    "a report on a control command was not published"
                );
            }
        }
    }
}

impl Handler<Signed> for ControlHandler {
    type Error = BoxError;

    async fn handle(&self, signed: &Signed, cx: &Context) -> Result<(), BoxError> {
        let admitted = self.admitted(signed, cx).await;
        let admitted = admitted.map_err(|refusal| Invalid::because(refusal.to_string()))?;
        let Some(order) = admitted else {
            return Err(DontAck::because("the dispatcher ends before the command counts").into());
        };
        let ours = order.node.as_ref().is_none_or(|node| *node == self.control.node);
        if ours {
            self.apply(order).await;
        }
        Ok(())
    }
}

impl HandlerPipeline<Signed> for ControlHandler {
    fn pipeline(handler: Arc<Self>, _: &mut Wiring<'_>) -> Pipeline<Signed> {
        Pipeline::new(HandlerService::new(handler))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::dispatcher::{ControlCommand, ControlSecret};
    use crate::in_memory::broker::InMemoryBroker;

    /// Real time that follows tokio's, which a test can move.
    fn clock() -> u64 {
        thread_local! {
            static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
        }
        let passed = BEGUN.with(|begun| begun.elapsed());
        1_800_000_000_000 + u64::try_from(passed.as_millis()).unwrap()
    }

    fn node() -> ControlHandler {
        let control = Control::topic("ops", ControlSecret::new("s".repeat(32)).unwrap());
        ControlHandler::new(control, Arc::new(InMemoryBroker::new()), Arc::default(), clock)
    }

    fn order(given_at: u64) -> Signed {
        let order = Order {
            id: MessageId::new(),
            node: None,
            given_at,
            command: ControlCommand::StopAll,
        };
        Signed::new(
            &order,
            &"ops".into(),
            &ControlSecret::new("s".repeat(32)).unwrap(),
        )
        .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_order_waits_and_is_obeyed_once() {
        let (first, began) = (node(), clock());
        let order = order(began + 50_000);
        let cx = Context::new();
        assert!(first.admitted(&order, &cx).await.unwrap().is_some());
        assert!(clock() > began + 50_000, "it waited {} ms", clock() - began);
        // The process is replaced at once, and the order comes again.
        tokio::time::advance(Duration::from_millis(10)).await;
        assert_eq!(node().admitted(&order, &cx).await, Err(Refusal::BeforeStart));
        assert_eq!(first.admitted(&order, &cx).await, Err(Refusal::Replayed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_order_is_left_to_the_next_process() {
        let (node, began) = (node(), clock());
        let ends = Arc::new(CancellationToken::new());
        let cx = Context::new().with_cancellation(Arc::clone(&ends));
        let order = order(began + 50_000);
        let ending = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            ends.cancel();
        };
        let (admitted, ()) = tokio::join!(node.admitted(&order, &cx), ending);
        assert_eq!(admitted, Ok(None));
        assert!(clock() < began + 2_000, "it waited {} ms", clock() - began);
        let next = super::tests::node();
        assert!(next.admitted(&order, &Context::new()).await.unwrap().is_some());
    }
}
