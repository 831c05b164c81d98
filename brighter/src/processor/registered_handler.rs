//! [`RegisteredHandler`]: one handler with its layers.

use std::any::TypeId;

use crate::pipeline::Pipeline;
use brighter_core::request::Request;

/// One handler with its layers, as registered.
pub(super) struct RegisteredHandler<R: Request> {
    /// The type of the handler.
    pub(super) id: TypeId,
    pub(super) handler: &'static str,
    pub(super) pipeline: Pipeline<R>,
}
