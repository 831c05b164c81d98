//! What `#[handler]` writes: the user's item, completed, and its pipeline.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Signature, Type, parse_quote_spanned};

use super::attr::Steps;
use super::check::Gaps;
use super::model::{Content, HandlerImpl, HandlerType};
use crate::generics::where_also;
use crate::path::{PRIVATE, private_at};
use crate::step::{self, Step};

/// Fills in what was left out.
pub(super) fn fill(handler: &mut HandlerImpl, gaps: Gaps) {
    if let Some(error) = gaps.error {
        handler.add(Content::Error(quote!(type Error = #error;)));
    }
    if let Some(method) = handler.handle_mut()
        && gaps.context
    {
        add_context(&mut method.signature);
    }
}

pub(super) fn add_context(signature: &mut Signature) {
    // Without a name nothing can be said about it by a lint, nor can it meet a name of the user's.
    let context = parse_quote_spanned!(Span::mixed_site()=> _: &#PRIVATE::Context);
    signature.inputs.push(context);
}

/// The impl itself.
pub(super) fn item(handler: &HandlerImpl) -> TokenStream {
    let HandlerImpl {
        attributes,
        unsafety,
        impl_token,
        generics,
        trait_,
        for_token,
        self_type,
        inner,
        members,
    } = handler;
    let where_clause = &generics.where_clause;
    quote! {
        #(#attributes)*
        #unsafety #impl_token #generics #trait_ #for_token #self_type #where_clause {
            #(#inner)*
            #(#members)*
        }
    }
}

/// The impl, and its pipeline.
pub(super) fn of_impl(handler: &HandlerImpl, request: &Type, steps: Steps, list: &[Step]) -> TokenStream {
    let item = item(handler);
    if steps == Steps::OnStruct {
        return item;
    }
    let HandlerImpl {
        generics, self_type, ..
    } = handler;
    let only_there = handler
        .attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"));
    // Of a generic request the compiler would then know no more than that: not even its reply, which steps ask for.
    let given = if generics.params.is_empty() {
        given(request)
    } else {
        TokenStream::new()
    };
    let where_clause = where_also(generics, &given);
    let pipeline = step::pipeline(request, list);
    quote! {
        #item

        #(#only_there)*
        #[automatically_derived]
        impl #generics #PRIVATE::HandlerPipeline<#request> for #self_type #where_clause {
            #pipeline
        }
    }
}

/// Under a `for` the compiler takes the bounds as given. Whatever is wrong with the user's impl is then reported
/// there, once, and not again here.
fn given(request: &Type) -> TokenStream {
    quote!(for<'__brighter> #request: #PRIVATE::Request, for<'__brighter> Self: #PRIVATE::Handler<#request>)
}

/// The type, and its pipeline. The impl of `Handler` is elsewhere: that it is there is for the compiler to see.
pub(super) fn of_type(handler: &HandlerType, request: &Type, steps: &[Step]) -> TokenStream {
    let name = &handler.ident;
    let only_there: Vec<_> = handler
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("cfg"))
        .collect();
    let (generics, arguments, _) = handler.generics.split_for_impl();
    let where_clause = where_also(&handler.generics, &given(request));
    // A generic handler is one where its impl says so, which is checked where it is used.
    let check = handler.generics.params.is_empty().then(|| {
        let handles = private_at(name.span(), "handles");
        quote!(#(#only_there)* const _: fn() = #handles::<#name, #request>;)
    });
    let pipeline = step::pipeline(request, steps);
    quote! {
        #handler

        #check

        #(#only_there)*
        #[automatically_derived]
        impl #generics #PRIVATE::HandlerPipeline<#request> for #name #arguments #where_clause {
            #pipeline
        }
    }
}
