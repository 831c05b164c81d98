//! Reports a step attribute that the compiler expands itself: `#[handler]` did not take it, so it is missing or
//! misplaced.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::Attribute;

use crate::handler::complete;
use crate::invisible;
use crate::item::{ItemKind, Outline};
use crate::path::Private;
use crate::shell::Errors;
use crate::step::strip;

/// Returns the item without its steps, so that these do not repeat the error, and reports what to do.
pub(crate) fn alone(name: &str, item: TokenStream, errors: &Errors) -> TokenStream {
    let item = invisible::open(item);
    let outline = Outline::of(item.clone());
    let handler = outline.attributes.iter().find(|attribute| is_handler(attribute));
    let message = match (outline.kind, handler) {
        (ItemKind::Type, Some(handler)) => {
            let handler = handler.to_token_stream().to_string().replace("# [", "#[");
            format!(
                "`#[{name}]` stands above `{handler}`, which then cannot see it; put `#[handler(…)]` first"
            )
        }
        (ItemKind::Type, None) => {
            format!("`#[{name}]` is a step of a handler; put `#[handler(Request)]` first, above it")
        }
        (ItemKind::Impl, _) => format!(
            "`#[{name}]` is a step of the method `handle`; put `#[handler]` first, above the impl, and this above \
             `async fn handle`"
        ),
        (ItemKind::Method, _) if outline.name.as_ref().is_none_or(|name| name == "handle") => format!(
            "`#[{name}]` is a step of a handler; put `#[handler]` first, above the `impl Handler<…> for …` that \
             this method is in"
        ),
        (ItemKind::Method, _) => format!(
            "`#[{name}]` is a step of the method `handle`; put `#[handler]` first, above an `impl Handler<…> for \
             …`, and this above its `async fn handle`"
        ),
        (ItemKind::Function | ItemKind::Other, _) => format!(
            "`#[{name}]` is a step of a handler, and this is none; put `#[handler]` first, above an `impl \
             Handler<…> for …`, and this above its `async fn handle`"
        ),
    };
    errors.push(syn::Error::new(proc_macro2::Span::call_site(), message));
    let item = strip(item, &Private::USUAL);
    match outline.kind {
        ItemKind::Method if outline.name.is_some_and(|name| name == "handle") => {
            complete(item, &Private::USUAL)
        }
        _ => item,
    }
}

fn is_handler(attribute: &Attribute) -> bool {
    let name = attribute.path().segments.last();
    name.is_some_and(|segment| segment.ident == "handler")
}
