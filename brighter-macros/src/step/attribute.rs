//! What a step attribute is to the macros.

use proc_macro2::TokenStream;

use super::layers::Layer;
use crate::args::Args;
use crate::path::Private;
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
    pub(crate) layers: fn(&mut Args, &syn::Attribute, &Private, &Errors) -> Vec<Layer>,
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

impl Attribute {
    /// Takes the one argument without a key that this step has, `what` it is.
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
