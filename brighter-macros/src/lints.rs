//! Copies the user's lint attributes to the generated code beside an item, which names the same types.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta};

/// Returns the attributes for the code beside an item with these attributes.
pub(crate) fn beside(attributes: &[Attribute]) -> TokenStream {
    attributes.iter().filter_map(one).collect()
}

fn one(attribute: &Attribute) -> Option<TokenStream> {
    let path = attribute.path();
    if path.is_ident("deprecated") {
        // The impls of a deprecated item do not count as uses of it.
        return Some(quote!(#[allow(deprecated)]));
    }
    let Meta::List(list) = &attribute.meta else {
        return None;
    };
    if path.is_ident("expect") {
        // The expectation is fulfilled in the user's code, and need not be in the generated code.
        let lints = &list.tokens;
        return Some(quote!(#[allow(#lints)]));
    }
    let levels = ["allow", "warn", "deny", "forbid"];
    let says = levels.iter().any(|level| path.is_ident(level));
    says.then(|| quote!(#attribute))
}
