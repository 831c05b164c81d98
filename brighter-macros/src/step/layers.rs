//! The layers that a step stands for.

use proc_macro2::{Span, TokenStream};

/// A layer that the wiring is asked for: `wiring.method(step, arguments)`.
pub(crate) struct Layer {
    pub(crate) method: &'static str,
    pub(crate) arguments: TokenStream,
    /// The types that the method is told.
    pub(crate) types: Types,
    /// What the compiler's errors about it point at, if not `#[handler]`.
    pub(crate) at: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    None,
    Request,
    /// The request, and by what is in the arguments the handler, [`HANDLER`] there, and its method.
    RequestAndMethod,
}

impl Layer {
    pub(crate) fn new(method: &'static str, arguments: TokenStream) -> Self {
        Self {
            method,
            arguments,
            types: Types::None,
            at: None,
        }
    }

    pub(crate) fn with(self, types: Types) -> Self {
        Self { types, ..self }
    }

    pub(crate) fn at(self, span: Span) -> Self {
        Self {
            at: Some(span),
            ..self
        }
    }
}

/// The name of the handler, in an `Arc`, among the arguments of a layer with [`Types::RequestAndMethod`].
pub(crate) const HANDLER: &str = "handler";
