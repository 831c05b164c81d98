//! `#[reject_on_error(step = 1)]`, `#[defer_on_error("30s", step = 1)]`, `#[dont_ack_on_error(step = 1)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute as Written, LitStr};

use super::attribute::{Attribute, Role};
use super::layers::Layer;
use crate::args::Args;
use crate::duration;
use crate::path::Private;
use crate::shell::Errors;

const NEVER_AFTER: Option<&str> = Some("a backstop is around the errors that it stops");

pub(super) const REJECT: Attribute = Attribute {
    name: "reject_on_error",
    example: "reject_on_error(step = 1)",
    keys: &[],
    never_after: NEVER_AFTER,
    role: Role::Backstop,
    layers: |_, _, _, _| vec![Layer::new("reject_on_error", TokenStream::new())],
};

pub(super) const DEFER: Attribute = Attribute {
    name: "defer_on_error",
    example: "defer_on_error(\"30s\", step = 1)",
    keys: &[],
    never_after: NEVER_AFTER,
    role: Role::Backstop,
    layers: defer,
};

pub(super) const DONT_ACK: Attribute = Attribute {
    name: "dont_ack_on_error",
    example: "dont_ack_on_error(step = 1)",
    keys: &[],
    never_after: NEVER_AFTER,
    role: Role::Backstop,
    layers: |_, _, _, _| vec![Layer::new("dont_ack_on_error", TokenStream::new())],
};

/// Without a duration, the delay of the subscription applies.
fn defer(args: &mut Args, _: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let mut given = args.positional().into_iter();
    let delay = match given.next() {
        None => quote!(#private::None),
        Some(text) => {
            let Ok(text) = syn::parse2::<LitStr>(text.clone()) else {
                errors.at(text, "a length of time is a text, like `\"30s\"`");
                return Vec::new();
            };
            let Some(delay) = errors.keep(duration::parse(&text)) else {
                return Vec::new();
            };
            let delay = duration::expression(delay, private);
            quote!(#private::Some(#delay))
        }
    };
    for more in given {
        errors.at(more, "there is one length of time; remove this");
    }
    vec![Layer::new("defer_on_error", delay)]
}
