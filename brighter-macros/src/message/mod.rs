//! `#[derive(Command)]`, `#[derive(Event)]`, `#[derive(Message)]`, and `derive` with a topic in it.

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

/// There is no fallback: what is wrong is left out of the model, and what is written for the rest keeps the
/// program together.
pub(crate) fn request(derive: Derive, item: TokenStream, errors: &Errors) -> TokenStream {
    let Some(item) = errors.keep(syn::parse2::<DeriveInput>(item)) else {
        return TokenStream::new();
    };
    let written = attr::read(derive, &item, errors);
    let request = check::model(derive, &item, written, errors);
    request.as_ref().map(expand::request).unwrap_or_default()
}
