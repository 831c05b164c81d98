//! The steps of a pipeline, such as `#[use_policy(retry, step = 2)]`.

mod attr;
mod attribute;
mod backstop;
mod check;
mod expand;
mod fallback;
mod feature_switch;
mod layer;
mod layers;
mod model;
mod monitor;
mod request_logging;
mod table;
mod timeout;
pub(crate) mod transactional;
mod use_inbox;
mod use_policy;
mod validate;

pub(crate) use attr::{extract, strip, take};
pub(crate) use check::{for_innermost, in_order};
pub(crate) use expand::pipeline;
pub(crate) use model::{Innermost, StepAttribute};
