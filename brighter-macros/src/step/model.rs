//! What the step attributes are to the macros, and one step of one pipeline.

use proc_macro2::{Span, TokenStream};
use syn::LitInt;

use crate::args::Args;
use crate::shell::Errors;

/// One of the attributes in the table.
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    /// How it is written, for messages.
    pub(crate) example: &'static str,
    /// What it takes as `key = …` beside `step` and `timing`.
    pub(crate) keys: &'static [&'static str],
    /// Why it cannot act after the handler, if it cannot.
    pub(crate) never_after: Option<&'static str>,
    pub(crate) role: Role,
    /// Its layers, outermost first, from the arguments that are its own.
    pub(crate) layers: fn(&mut Args, &syn::Attribute, &Errors) -> Vec<Layer>,
}

/// What an attribute is to the others of its pipeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It looks at the errors of what is inside it, so no backstop may be there.
    Policy,
    /// It turns every error into what becomes of the message, so it is outside of every policy.
    Backstop,
    Other,
}

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

/// Derived `Ord` is the order from the outside in: what acts after stands inside of all that acts before, so
/// that the highest step acts first on the way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timing {
    Before,
    After,
}

/// One step.
pub(crate) struct Step {
    pub(crate) attribute: &'static Attribute,
    pub(crate) timing: Timing,
    pub(crate) number: u32,
    /// Where the number was written.
    pub(crate) at: LitInt,
    /// Outermost first.
    pub(crate) layers: Vec<Layer>,
}
