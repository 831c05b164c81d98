//! [`Step`]: one step of one pipeline.

use std::time::Duration;

use syn::LitInt;

use super::attribute::{Attribute, Role};
use super::layers::Layer;
use crate::condition::Condition;

/// The time at which a step acts. The derived `Ord` is the order from the outside in. Steps that act after the handler
/// are inside all that act before it, so that the highest step acts first after a success.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepTiming {
    Before,
    After,
}

/// The innermost service of a pipeline, which calls the handler.
pub(crate) enum Innermost {
    Handler,
    /// A batch handler with its limits.
    Batch {
        max: u16,
        within: Duration,
    },
}

impl Innermost {
    /// Returns whether the step limits each call of a batch handler, instead of the handling of each message.
    pub(crate) fn limits_calls(&self, step: &StepAttribute) -> bool {
        matches!(self, Self::Batch { .. }) && step.attribute.role == Role::CallLimit
    }
}

/// One step of a pipeline.
pub(crate) struct StepAttribute {
    pub(crate) attribute: &'static Attribute,
    /// The condition under which the step exists.
    pub(crate) condition: Condition,
    pub(crate) timing: StepTiming,
    pub(crate) number: u32,
    /// The literal of its number.
    pub(crate) at: LitInt,
    /// The layers, outermost first.
    pub(crate) layers: Vec<Layer>,
}

impl StepAttribute {
    /// Returns whether the step passes a transaction to the handler.
    pub(crate) fn is_transaction(&self) -> bool {
        self.attribute.role == Role::Transaction
    }
}
