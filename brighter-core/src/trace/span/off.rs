//! Without the feature `otel` nothing is recorded, and the calls compile to nothing.

use super::TraceContext;

/// An operation, which is no span without the feature.
#[derive(Debug, Clone)]
pub struct Op;

/// The attributes of a span, which there is none of without the feature.
pub struct Attributes(());

/// Begins a span below the current one.
#[doc(hidden)]
#[macro_export]
macro_rules! __op {
    ($($span:tt)*) => {{
        let _ = || tracing::info_span!(target: "brighter::trace", $($span)*);
        $crate::__private::Op::none()
    }};
}

/// A future that runs within an operation.
pub type OpFuture<F> = F;

impl From<tracing::Span> for Op {
    #[inline]
    fn from(_: tracing::Span) -> Self {
        Self
    }
}

impl Op {
    #[doc(hidden)]
    #[inline]
    pub fn none() -> Self {
        Self
    }

    #[doc(hidden)]
    #[inline]
    pub fn apart(self) -> Self {
        self
    }

    #[doc(hidden)]
    #[inline]
    pub fn run<F: Future>(&self, future: F) -> OpFuture<F> {
        future
    }

    #[doc(hidden)]
    #[inline]
    pub fn linked_to(self, _: &Self) -> Self {
        self
    }

    #[doc(hidden)]
    #[inline]
    pub fn below(self, _: &TraceContext) -> Self {
        self
    }

    #[doc(hidden)]
    #[inline]
    pub fn of_message(self, _: &TraceContext) -> Self {
        self
    }

    #[doc(hidden)]
    #[inline]
    pub fn describe(&self, _: impl FnOnce(&mut Attributes)) {}

    #[doc(hidden)]
    #[inline]
    pub fn failed(&self, _: &'static str) {}

    #[doc(hidden)]
    #[inline]
    pub fn trace(&self) -> Option<TraceContext> {
        None
    }
}

impl Attributes {
    #[doc(hidden)]
    #[inline]
    pub fn rename<T>(&mut self, _: T) {}

    #[doc(hidden)]
    #[inline]
    pub fn set<T>(&mut self, _: &'static str, _: T) {}
}
