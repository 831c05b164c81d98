//! [`ControlHandler`]: applies the commands of a control topic, and reports.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::report::ControlReport;
use super::signed::{CommandVerifier, Order, Signed};
use super::topic::{Control, milliseconds};
use crate::dispatcher::check::UncheckedSubscription;
use crate::dispatcher::status::EndReport;
use crate::dispatcher::{Dispatcher, Inner, KnownSubscription};
use crate::handler::Handler;
use crate::pipeline::{HandlerPipeline, HandlerService, Pipeline, Wiring};
use crate::processor::{BuildErrors, CommandProcessor};
use crate::subscription::Subscription;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, PublishError};
use brighter_core::context::Context;
use brighter_core::error::{BoxError, Invalid};
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
        let handler = ControlHandler::new(control, broker, Arc::clone(&dispatcher));
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
    /// Filled once there is one. Weak, for the dispatcher has this.
    dispatcher: Arc<OnceLock<Weak<Inner>>>,
}

impl ControlHandler {
    fn new(control: Control, broker: Arc<dyn Broker>, dispatcher: Arc<OnceLock<Weak<Inner>>>) -> Self {
        let (topic, secret) = (control.topic.clone(), control.secret.clone());
        Self {
            verifier: Mutex::new(CommandVerifier::new(
                topic,
                secret,
                control.window,
                milliseconds(),
            )),
            control,
            broker,
            dispatcher,
        }
    }

    async fn obey(&self, order: Order) {
        let Some(inner) = self.dispatcher.get().and_then(Weak::upgrade) else {
            return;
        };
        let dispatcher = Dispatcher(inner);
        tracing::info!(node = self.control.node, command = ?order.command, id = %order.id, "obeying a control command");
        let done = dispatcher.obey(order.command.clone()).await;
        let (ended, refused) = match done {
            Ok(ended) => (ended, None),
            Err(error) => (EndReport::default(), Some(report(&error))),
        };
        if let Some(refused) = &refused {
            tracing::warn!(node = self.control.node, id = %order.id, refused, "a control command was not obeyed");
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
                tracing::debug!(topic = %message.header.topic, "nobody wants the reports on control commands");
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

    async fn handle(&self, signed: &Signed, _: &Context) -> Result<(), BoxError> {
        let admitted = {
            let mut verifier = self.verifier.lock().unwrap_or_else(PoisonError::into_inner);
            verifier.admit(signed, milliseconds())
        };
        let order = admitted.map_err(|refusal| Invalid::because(refusal.to_string()))?;
        let ours = order.node.as_ref().is_none_or(|node| *node == self.control.node);
        if ours {
            self.obey(order).await;
        }
        Ok(())
    }
}

impl HandlerPipeline<Signed> for ControlHandler {
    fn pipeline(handler: Arc<Self>, _: &mut Wiring<'_>) -> Pipeline<Signed> {
        Pipeline::new(HandlerService::new(handler))
    }
}
