//! `#[brighter::derive(…, Message, topic = "…")]`: the standard derive, with the arguments of `#[message(…)]` in it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::parse::Parser;

use super::model::{Derive, KEYS};
use crate::args::{Arg, Args, Values};
use crate::library;
use crate::nearest::nearest;
use crate::shell::Errors;

/// Only distributes the arguments: the standard derive reports mistakes in the traits, and `#[derive(Message)]` reports
/// all others.
pub(crate) fn derive(args: TokenStream, item: &TokenStream, errors: &Errors) -> TokenStream {
    let (keyed, traits) = Args::parse(args, Values::Types).split();
    let traits = traits.into_iter().map(|arg| arg.value);
    let traits: Vec<TokenStream> = traits.collect();
    // Each derive of brighter gets the path of its crate; all other arguments are for a message.
    let (library, keyed): (Vec<Arg>, Vec<Arg>) = keyed.into_iter().partition(is_library);
    let ours = Derive::ALL
        .into_iter()
        .filter(|derive| traits.iter().any(|path| is(*derive, path)));
    let ours: Vec<Derive> = ours.collect();
    let attributes = ours.iter().map(|derive| {
        let keyed = keyed.iter().filter(|_| *derive == Derive::Message);
        let arguments: Vec<_> = library.iter().chain(keyed).collect();
        let name = Ident::new(derive.attribute(), Span::call_site());
        (!arguments.is_empty()).then(|| quote!(#[#name(#(#arguments),*)]))
    });
    let attributes: Vec<_> = attributes.collect();
    match (keyed.as_slice(), library.as_slice()) {
        ([first, ..], _) if !ours.contains(&Derive::Message) => errors.at(first, without_message(first)),
        ([], [first, ..]) if ours.is_empty() => errors.at(
            first,
            "`crate` is for `Message`, `Command` and `Event`; add one of them to this derive, or remove this",
        ),
        _ => {}
    }
    let standard = quote_spanned!(Span::mixed_site()=> ::core::prelude::v1::derive);
    quote! {
        #[#standard(#(#traits),*)]
        #(#attributes)*
        #item
    }
}

fn is_library(arg: &Arg) -> bool {
    arg.key.as_ref().is_some_and(|key| key == library::KEY)
}

fn is(derive: Derive, path: &TokenStream) -> bool {
    let path = Path::parse_mod_style.parse2(path.clone());
    path.is_ok_and(|path| {
        path.segments
            .last()
            .is_some_and(|last| last.ident == derive.name())
    })
}

fn without_message(arg: &Arg) -> String {
    let key = arg.key.as_ref().map(ToString::to_string).unwrap_or_default();
    let key = nearest(&key, KEYS).unwrap_or(&key);
    format!("`{key}` is for a message; add `Message` to this derive")
}
