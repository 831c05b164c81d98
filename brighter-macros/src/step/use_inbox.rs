//! `#[use_inbox(context = "mail", lease = "5m", on_duplicate = warn, step = 1)]`

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;
use syn::{Attribute as Written, LitStr};

use super::attribute::{Attribute, Role};
use super::layers::{Layer, Types};
use crate::args::{Args, Given};
use crate::duration;
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "use_inbox",
    example: "use_inbox(step = 1)",
    keys: &["context", "lease", "on_duplicate"],
    never_after: Some("the inbox decides before the request is handled"),
    role: Role::Other,
    layers,
};

/// Longer than most handlers take.
const DEFAULT_LEASE: Duration = Duration::from_secs(300);

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let context = context(args.value("context", "\"mail\"", errors), private, errors);
    let lease = lease(args.value("lease", "\"5m\"", errors), errors);
    let given = args.value::<Ident>("on_duplicate", "warn", errors);
    let (method, at) = match &given {
        Given::Value(word, _) => (on_duplicate(word, errors), word.span()),
        Given::Missing => ("inbox_or_warn", written.path().span()),
        Given::Wrong => (UNKNOWN, written.path().span()),
    };
    let lease = duration::expression(lease, private);
    let arguments = quote_spanned!(Span::mixed_site()=> #context, #lease);
    vec![Layer::new(method, arguments).with(Types::Request).at(at)]
}

/// Requires nothing more of the request, so no other error is reported.
const UNKNOWN: &str = "inbox_or_reject";

fn on_duplicate(word: &Ident, errors: &Errors) -> &'static str {
    match word.to_string().as_str() {
        "warn" => "inbox_or_warn",
        "reject" => "inbox_or_reject",
        "replay" => "inbox_or_replay",
        other => {
            let advice = advice(other, &["warn", "reject", "replay"]);
            errors.at(word, format!("unknown way with a duplicate `{other}`{advice}"));
            UNKNOWN
        }
    }
}

/// Returns the context: the given name, or else that of the handler's own type, in any wrapper.
pub(super) fn context(given: Given<LitStr>, private: &Private, errors: &Errors) -> TokenStream {
    match given {
        Given::Value(name, _) => {
            if name.value().is_empty() {
                errors.at(&name, "a context is a name; leave it out for that of the type");
            }
            quote_spanned!(Span::mixed_site()=> #private::InboxContext::Named(#name))
        }
        Given::Missing | Given::Wrong => {
            let handler = quote_spanned!(Span::mixed_site()=> #private::type_name::<Self>());
            quote_spanned!(Span::mixed_site()=> #private::InboxContext::OfHandler(#handler))
        }
    }
}

fn lease(given: Given<LitStr>, errors: &Errors) -> Duration {
    let text = given.value();
    let parsed = text.and_then(|text| errors.keep(duration::parse(&text)));
    parsed.unwrap_or(DEFAULT_LEASE)
}
