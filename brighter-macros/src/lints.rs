//! What the user says of lints: what is written beside an item says it too, as it names the same types.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta};

/// The attributes for what is written beside an item that has these.
pub(crate) fn beside(attributes: &[Attribute]) -> TokenStream {
    attributes.iter().filter_map(one).collect()
}

fn one(attribute: &Attribute) -> Option<TokenStream> {
    let path = attribute.path();
    if path.is_ident("deprecated") {
        // Its own impls are no use of it.
        return Some(quote!(#[allow(deprecated)]));
    }
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if path.is_ident("expect") {
        // It is fulfilled where the user wrote it, and need not be here.
        let lints = &list.tokens;
        return Some(quote!(#[allow(#lints)]));
    }
    let levels = ["allow", "warn", "deny", "forbid"];
    let says = levels.iter().any(|level| path.is_ident(level));
    says.then(|| quote!(#attribute))
}
