//! `#[brighter::derive(…, Message, topic = "…")]`: the standard derive, with the arguments of
//! `#[message(…)]` in it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Arg, Args};
use crate::nearest::nearest;
use crate::shell::Errors;

/// What `#[message(…)]` takes.
pub(super) const KEYS: &[&str] = &["topic", "type", "kind", "mapper", "reply"];

/// Only sorts: what is wrong with the traits the standard derive says, and what is wrong with the rest
/// `#[derive(Message)]`.
pub(crate) fn derive(args: TokenStream, item: &TokenStream, errors: &Errors) -> TokenStream {
    let (keyed, traits) = Args::parse(args).split();
    let traits = traits.into_iter().map(|arg| arg.value);
    let traits: Vec<TokenStream> = traits.collect();
    let message = match keyed.as_slice() {
        [] => None,
        keyed if traits.iter().any(is_message) => Some(quote!(#[message(#(#keyed),*)])),
        [first, ..] => {
            errors.at(first, without_message(first));
            None
        }
    };
    quote! {
        #[::core::prelude::v1::derive(#(#traits),*)]
        #message
        #item
    }
}

fn is_message(path: &TokenStream) -> bool {
    let last = path.clone().into_iter().last();
    last.is_some_and(|word| word.to_string() == "Message")
}

fn without_message(arg: &Arg) -> String {
    let key = arg.key.as_ref().map(ToString::to_string).unwrap_or_default();
    let key = nearest(&key, KEYS).unwrap_or(&key);
    format!("`{key}` is for a message; add `Message` to this derive")
}
