//! [`Attribute`]: the definition of a step attribute.

use proc_macro2::TokenStream;

use super::layers::Layer;
use crate::args::Args;
use crate::path::Private;
use crate::shell::Errors;

/// One of the attributes in the table.
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    /// An example for messages.
    pub(crate) example: &'static str,
    /// The keys beside `step` and `timing`.
    pub(crate) keys: &'static [&'static str],
    /// The reason why it cannot act after the handler, if it cannot.
    pub(crate) never_after: Option<&'static str>,
    pub(crate) role: Role,
    /// Returns its layers, outermost first, from the arguments that are its own.
    pub(crate) layers: fn(&mut Args, &syn::Attribute, &Private, &Errors) -> Vec<Layer>,
}

/// The role of an attribute among the others of its pipeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Acts on errors from inside, so no backstop may be inside it.
    Policy,
    /// A policy that, on a batch handler, limits one call for several messages.
    CallLimit,
    /// Converts every error to an action on the message, so it must be outside of every policy.
    Backstop,
    /// Passes a transaction to the handler.
    Transaction,
    Other,
}

impl Attribute {
    /// Returns whether the handler inside of it may be called several times, or may fail while this succeeds.
    pub(crate) fn may_hide_failures(&self) -> bool {
        matches!(self.name, "use_policy" | "fallback" | "layer")
    }

    /// Takes the only argument without a key of this step; `what` describes it.
    pub(super) fn only(
        &self,
        args: &mut Args,
        what: &str,
        written: &syn::Attribute,
        errors: &Errors,
    ) -> Option<TokenStream> {
        let Self { name, example, .. } = self;
        let mut given = args.positional().into_iter();
        let only = given.next();
        if only.is_none() {
            errors.at(
                &written.meta,
                format!("`{name}` needs {what}; write `#[{example}]`"),
            );
        }
        for more in given {
            errors.at(more, format!("`{name}` takes {what} and no more; remove this"));
        }
        only
    }
}
