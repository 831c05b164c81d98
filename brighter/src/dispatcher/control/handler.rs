//! Obeys what comes by the control topic, and reports.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::report::ControlReport;
use super::signed::{Gate, Order, Signed};
use super::topic::{Control, milliseconds};
use crate::dispatcher::{Dispatcher, EndReport, Inner};
use crate::handler::Handler;
use crate::pipeline::{HandlerPipeline, HandlerService, Pipeline, Wiring};
use brighter_core::__private::report;
use brighter_core::channel::{Broker, PublishError};
use brighter_core::context::Context;
use brighter_core::error::{BoxError, Invalid};
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, MessageMapper};
use brighter_core::message::{MessageHeader, MessageType};

/// Obeys the orders for one node.
pub(super) struct Obeys {
    control: Control,
    broker: Arc<dyn Broker>,
    gate: Mutex<Gate>,
    /// Filled once there is one. Weak, for the dispatcher has this.
    dispatcher: Arc<OnceLock<Weak<Inner>>>,
}

impl Obeys {
    pub(super) fn new(
        control: Control,
        broker: Arc<dyn Broker>,
        dispatcher: Arc<OnceLock<Weak<Inner>>>,
    ) -> Self {
        let (topic, secret) = (control.topic.clone(), control.secret.clone());
        Self {
            gate: Mutex::new(Gate::new(topic, secret, control.window, milliseconds())),
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

impl Handler<Signed> for Obeys {
    type Error = BoxError;

    async fn handle(&self, signed: &Signed, _: &Context) -> Result<(), BoxError> {
        let admitted = {
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            gate.admit(signed, milliseconds())
        };
        let order = admitted.map_err(|refusal| Invalid::because(refusal.to_string()))?;
        let ours = order.node.as_ref().is_none_or(|node| *node == self.control.node);
        if ours {
            self.obey(order).await;
        }
        Ok(())
    }
}

impl HandlerPipeline<Signed> for Obeys {
    fn pipeline(handler: Arc<Self>, _: &mut Wiring<'_>) -> Pipeline<Signed> {
        Pipeline::new(HandlerService::new(handler))
    }
}
