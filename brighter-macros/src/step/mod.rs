//! The steps of a pipeline: `#[use_policy(retry, step = 2)]` and its like. One file an attribute, and a line
//! for it in the table.

mod alone;
mod attr;
mod backstop;
mod check;
mod expand;
mod fallback;
mod feature_switch;
mod layer;
mod model;
mod monitor;
mod request_logging;
mod timeout;
mod use_inbox;
mod use_policy;
mod validate;

pub(crate) use alone::alone;
pub(crate) use attr::{is_step, strip, take};
pub(crate) use check::in_order;
pub(crate) use expand::pipeline;
pub(crate) use model::{Attribute, HANDLER, Layer, Role, Step, Types};

/// Every attribute that is a step.
pub(crate) const ALL: &[Attribute] = &[
    backstop::REJECT,
    backstop::DEFER,
    backstop::DONT_ACK,
    fallback::ATTRIBUTE,
    feature_switch::ATTRIBUTE,
    layer::ATTRIBUTE,
    monitor::ATTRIBUTE,
    request_logging::ATTRIBUTE,
    timeout::ATTRIBUTE,
    use_inbox::ATTRIBUTE,
    use_policy::ATTRIBUTE,
    validate::ATTRIBUTE,
];
