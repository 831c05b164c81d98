//! The steps of a pipeline: `#[use_policy(retry, step = 2)]` and its like. One file an attribute, and a line
//! for it in the table.

mod alone;
mod attr;
mod check;
mod expand;
mod model;
mod request_logging;
mod timeout;
mod use_inbox;
mod use_policy;

pub(crate) use alone::alone;
pub(crate) use attr::{is_step, strip, take};
pub(crate) use check::in_order;
pub(crate) use expand::pipeline;
pub(crate) use model::{Attribute, Layer, Step, Types};

/// Every attribute that is a step.
pub(crate) const ALL: &[Attribute] = &[
    request_logging::ATTRIBUTE,
    timeout::ATTRIBUTE,
    use_inbox::ATTRIBUTE,
    use_policy::ATTRIBUTE,
];
