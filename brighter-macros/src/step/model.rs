//! One step of one pipeline.

use syn::LitInt;

use super::attribute::Attribute;
use super::layers::Layer;
use crate::condition::Condition;

/// Derived `Ord` is the order from the outside in: what acts after stands inside of all that acts before, so
/// that the highest step acts first on the way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StepTiming {
    Before,
    After,
}

/// One step.
pub(crate) struct StepAttribute {
    pub(crate) attribute: &'static Attribute,
    /// When it is there at all.
    pub(crate) condition: Condition,
    pub(crate) timing: StepTiming,
    pub(crate) number: u32,
    /// Where the number was written.
    pub(crate) at: LitInt,
    /// Outermost first.
    pub(crate) layers: Vec<Layer>,
}
