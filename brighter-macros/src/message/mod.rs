//! The derives `#[derive(Command)]`, `#[derive(Event)]` and `#[derive(Message)]`, and `derive` with a topic.

mod attr;
mod check;
mod derive;
mod expand;
mod model;

use proc_macro2::TokenStream;
use syn::DeriveInput;

pub(crate) use derive::derive;
pub(crate) use model::Derive;

use crate::shell::Errors;

/// Needs no fallback: mistakes are omitted from the model, and the code that is generated for the rest keeps the
/// program compiling.
pub(crate) fn request(derive: Derive, item: TokenStream, errors: &Errors) -> TokenStream {
    let Some(item) = errors.keep(syn::parse2::<DeriveInput>(item)) else {
        return TokenStream::new();
    };
    let written = attr::read(derive, &item, errors);
    let request = check::model(derive, &item, written, errors);
    request.as_ref().map(expand::request).unwrap_or_default()
}
