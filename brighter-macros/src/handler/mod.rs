//! `#[handler]`, on an impl of `Handler` or on the type.

mod attr;
mod check;
mod expand;
mod fallback;
mod model;

use proc_macro2::TokenStream;

use crate::item::{Kind, Outline};
use crate::shell::Errors;
use crate::step;
pub(crate) use fallback::complete;
use model::{HandlerImpl, HandlerType};

pub(crate) fn handler(args: TokenStream, item: TokenStream, errors: &Errors) -> TokenStream {
    let written = match Outline::of(item.clone()).kind {
        Kind::Impl => on_impl(args, item.clone(), errors),
        Kind::Type => on_type(args, item.clone(), errors),
        Kind::Method | Kind::Function | Kind::Other => Err(attr::wrong_item()),
    };
    written.unwrap_or_else(|error| {
        errors.push(error);
        step::strip(item)
    })
}

fn on_impl(args: TokenStream, item: TokenStream, errors: &Errors) -> syn::Result<TokenStream> {
    let pipeline = attr::of_impl(args, errors);
    let mut handler: HandlerImpl = syn::parse2(item)?;
    let steps = step::in_order(check::steps(&mut handler, pipeline, errors), errors);
    let Some(request) = check::request(&handler.trait_, errors) else {
        return Ok(expand::item(&handler));
    };
    match check::gaps(&handler, errors) {
        Some(gaps) => expand::fill(&mut handler, gaps),
        None => fallback::repair(&mut handler, &request),
    }
    Ok(expand::of_impl(&handler, &request, pipeline, &steps))
}

fn on_type(args: TokenStream, item: TokenStream, errors: &Errors) -> syn::Result<TokenStream> {
    let mut handler: HandlerType = syn::parse2(item)?;
    let steps = step::in_order(step::take(&mut handler.attrs, errors), errors);
    Ok(match attr::of_type(args, errors) {
        Some(request) => expand::of_type(&handler, &request, &steps),
        None => quote::ToTokens::to_token_stream(&handler),
    })
}
