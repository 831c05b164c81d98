//! `#[handler]`, on an impl of `Handler` or on the type.

mod attr;
mod batch;
mod check;
mod expand;
mod fallback;
mod model;
mod transaction;

use proc_macro2::TokenStream;
use quote::ToTokens;

use batch::BatchArgs;
pub(crate) use fallback::complete;
use model::{Form, HandlerImpl, HandlerType, Takes};

use crate::args::Args;
use crate::condition::Condition;
use crate::invisible;
use crate::item::{ItemKind, Outline};
use crate::path::Private;
use crate::shell::Errors;
use crate::step::{self, Innermost};

pub(crate) fn handler(args: TokenStream, item: TokenStream, errors: &Errors) -> TokenStream {
    let item = invisible::open(item);
    let (args, private) = attr::read(args, errors);
    let kind = Outline::of(item.clone()).kind;
    let Some(private) = private else {
        // Without the library an impl cannot be completed. An editor does not reach this: see `externs`.
        return match kind {
            ItemKind::Impl => TokenStream::new(),
            _ => step::strip(item, &Private::USUAL),
        };
    };
    let written = match kind {
        ItemKind::Impl => on_impl(args, item.clone(), &private, errors),
        ItemKind::Type => on_type(args, item.clone(), &private, errors),
        ItemKind::Method | ItemKind::Function | ItemKind::Other => Err(attr::wrong_item()),
    };
    written.unwrap_or_else(|error| {
        errors.push(error);
        step::strip(item, &private)
    })
}

fn on_impl(args: Args, item: TokenStream, private: &Private, errors: &Errors) -> syn::Result<TokenStream> {
    let (pipeline, batch) = attr::of_impl(args, errors);
    let mut handler: HandlerImpl = syn::parse2(item)?;
    let steps = check::steps(&mut handler, pipeline, private, errors);
    let steps = step::in_order(steps, errors);
    let Some(request) = check::request(&handler.trait_, errors) else {
        return Ok(expand::item(&handler));
    };
    let takes = match batch {
        Some(_) => Takes::Batch,
        None => Takes::Request,
    };
    let mut form = match takes {
        Takes::Batch if transaction::is_refused(&steps, errors) => Form::Wrong,
        _ => transaction::form(&handler, pipeline, &steps, errors),
    };
    let mut gaps = check::gaps(&handler, form, takes, private, errors);
    if form == Form::Transactional && gaps.iter().any(Option::is_none) {
        // What is repaired is a `Handler`.
        form = Form::Wrong;
        gaps.iter_mut().for_each(|gap| *gap = None);
    }
    let steps: Vec<_> = steps
        .into_iter()
        .filter(|step| form == Form::Transactional || !step.is_transaction())
        .collect();
    expand::fill(&mut handler, form, &gaps, private);
    fallback::repair(&mut handler, &gaps, &request, takes, private);
    let innermost = match batch {
        None => Innermost::Handler,
        Some(BatchArgs { max, within }) => Innermost::Batch { max, within },
    };
    let steps = step::for_innermost(steps, &innermost, errors);
    Ok(expand::of_impl(
        handler, form, &request, pipeline, &innermost, &steps, private,
    ))
}

fn on_type(args: Args, item: TokenStream, private: &Private, errors: &Errors) -> syn::Result<TokenStream> {
    let mut handler: HandlerType = syn::parse2(item)?;
    let there = Condition::of(&handler.attrs);
    let steps = step::take(&mut handler.attrs, &there, private, errors);
    let steps = step::in_order(steps, errors);
    Ok(match attr::of_type(args, errors) {
        Some(request) => expand::of_type(&handler, &request, &steps, private),
        None => handler.to_token_stream(),
    })
}
