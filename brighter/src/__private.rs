//! Everything that the code written by the macros may name. Not for people: it may change in any release.

pub use std::sync::Arc;

pub use tower::Layer;

pub use crate::context::Context;
pub use crate::handler::Handler;
pub use crate::id::MessageId;
pub use crate::mapper::{JsonMapper, Postable};
pub use crate::pipeline::{HandlerPipeline, HandlerService, Pipeline, Step, Timing, Wiring};
pub use crate::request::{Command, Event, Request, RequestKind};
