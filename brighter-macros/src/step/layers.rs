//! The layers of a step.

use proc_macro2::{Span, TokenStream};

/// A call of the wiring for a layer: `wiring.method(step, arguments)`.
pub(crate) struct Layer {
    pub(crate) method: &'static str,
    pub(crate) arguments: TokenStream,
    /// The type arguments of the method.
    pub(crate) types: Types,
    /// The span for the compiler's errors about it, if not `#[handler]`.
    pub(crate) at: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    None,
    Request,
    /// The request, and, by the arguments, the handler and its method. The handler is [`HANDLER`] there.
    RequestAndMethod,
    /// The request, and the transaction of the handler. The handler is [`HANDLER`] in the arguments. One more argument
    /// says whether the handler may be called several times, or fail, in one transaction that is committed.
    RequestAndTransaction,
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

/// The name of the handler, in an `Arc`, among the arguments of a layer with [`Types::RequestAndMethod`] or
/// [`Types::RequestAndTransaction`].
pub(crate) const HANDLER: &str = "handler";
