//! Which request has which pipelines.

use std::any::{Any, TypeId};
use std::fmt;

use serde::Serialize;

use super::registered_handler::RegisteredHandler;
use super::route_by::RoutingFunction;
use super::type_map::TypeMap;
use crate::pipeline::{BatchLimits, StepDescription};
use brighter_core::request::{Request, RequestKind};

/// The pipelines of every request. The type of a request is the key, so nothing is erased but the `Vec`.
#[derive(Default)]
pub(super) struct Registry {
    pipelines: TypeMap<Box<dyn Any + Send + Sync>>,
    /// Of the requests that go to one of several handlers.
    routes: TypeMap<Box<dyn Any + Send + Sync>>,
    descriptions: Vec<PipelineDescription>,
}

/// One pipeline: `Display` prints it step by step for a person to read, serde writes the same for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PipelineDescription {
    /// The type of the request.
    pub request: &'static str,
    /// How it is dispatched.
    pub kind: RequestKind,
    /// The type of the handler.
    pub handler: &'static str,
    /// The steps, the outermost first.
    pub steps: Vec<StepDescription>,
    /// How the handler is called, if one call handles several messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchLimits>,
}

impl fmt::Display for PipelineDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.request, self.handler)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))?;
        self.batch.map_or(Ok(()), |batch| write!(f, "\n  {batch}"))
    }
}

impl Registry {
    pub(super) fn add<R: Request>(
        &mut self,
        registered: RegisteredHandler<R>,
        steps: Vec<StepDescription>,
        batch: Option<BatchLimits>,
    ) {
        self.descriptions.push(PipelineDescription {
            request: std::any::type_name::<R>(),
            kind: R::KIND,
            handler: registered.handler,
            steps,
            batch,
        });
        let entry = self
            .pipelines
            .entry(TypeId::of::<R>())
            .or_insert_with(|| Box::new(Vec::<RegisteredHandler<R>>::new()));
        if let Some(pipelines) = entry.downcast_mut::<Vec<RegisteredHandler<R>>>() {
            pipelines.push(registered);
        }
    }

    pub(super) fn pipelines<R: Request>(&self) -> &[RegisteredHandler<R>] {
        self.pipelines
            .get(&TypeId::of::<R>())
            .and_then(|entry| entry.downcast_ref::<Vec<RegisteredHandler<R>>>())
            .map_or(&[], Vec::as_slice)
    }

    /// Routes requests of this type by this function. Returns whether there was one already.
    pub(super) fn set_route<R: Request>(&mut self, route: RoutingFunction<R>) -> bool {
        let before = self.routes.insert(TypeId::of::<R>(), Box::new(route));
        before.is_some()
    }

    /// Returns the function that chooses among several handlers. Most processors have none, and look no further.
    pub(super) fn route_by<R: Request>(&self) -> Option<&RoutingFunction<R>> {
        if self.routes.is_empty() {
            return None;
        }
        self.routes.get(&TypeId::of::<R>())?.downcast_ref()
    }

    pub(super) fn descriptions(&self) -> impl Iterator<Item = &PipelineDescription> {
        self.descriptions.iter()
    }
}
