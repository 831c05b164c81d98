//! [`ControlReport`]: what a node answers to a command.

use serde::{Deserialize, Serialize};

use super::command::ControlCommand;
use crate::dispatcher::{InFlight, Readiness, SubscriptionStatus};
use brighter_core::id::MessageId;
use brighter_core::mapper::{JsonMapper, Postable};
use brighter_core::request::{Event, Request, RequestKind};

/// The answer of a node to a command: whether it applied the command, and its state. It is an event like any other, on
/// the topic `<control topic>.reports`.
///
/// ```
/// # use brighter::prelude::*;
/// use brighter::dispatcher::ControlReport;
///
/// struct Show;
///
/// #[handler]
/// impl Handler<ControlReport> for Show {
///     async fn handle(&self, report: &ControlReport) -> Result<(), BoxError> {
///         println!("{}: {}", report.node, report.readiness);
///         Ok(())
///     }
/// }
///
/// let subscription = Subscription::<ControlReport>::new("control-desk").routing_key("ops.control.reports");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ControlReport {
    /// The id that the command was sent with.
    pub command_id: MessageId,
    /// The command.
    pub command: ControlCommand,
    /// The name of the node.
    pub node: String,
    /// Why the command was not obeyed, if it was not.
    pub refused: Option<String>,
    /// The messages whose handling was cut short, if something was stopped.
    pub interrupted: Vec<InFlight>,
    /// Whether the node is ready.
    pub readiness: Readiness,
    /// The states of its subscriptions, after the command.
    pub subscriptions: Vec<SubscriptionStatus>,
}

// A user who forgot to derive a request does not look for this one.
#[diagnostic::do_not_recommend]
impl Request for ControlReport {
    type Reply = ();

    const KIND: RequestKind = RequestKind::Event;
}

impl Event for ControlReport {}

impl Postable for ControlReport {
    const TOPIC: &'static str = "brighter.control.reports";

    type Mapper = JsonMapper;
}
