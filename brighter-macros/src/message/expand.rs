//! Generates the output of the derives.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::model::{Id, RequestModel, TopicRoute};
use crate::generics::where_also;
use crate::path::Private;

pub(super) fn request(request: &RequestModel<'_>) -> TokenStream {
    let RequestModel {
        private,
        lints,
        name,
        generics,
        kind,
        ..
    } = request;
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    // A generic request meets the bounds of every request only if its parameters do.
    let where_request = if generics.params.is_empty() {
        quote!(#where_clause)
    } else {
        where_also(generics, &quote!(Self: #private::Send + #private::Sync + 'static))
    };
    let variant = Ident::new(kind.variant(), Span::mixed_site());
    let marker = Ident::new(kind.marker(), Span::mixed_site());
    let reply = request.reply.clone().unwrap_or_else(|| quote!(()));
    let id = request.id.as_ref().map(|it| id(it, private));
    let postable = request.route.as_ref().map(|route| postable(request, route));
    quote! {
        #[automatically_derived]
        #lints
        impl #parameters #private::Request for #name #arguments #where_request {
            type Reply = #reply;
            const KIND: #private::RequestKind = #private::RequestKind::#variant;
            #id
        }

        #[automatically_derived]
        #lints
        impl #parameters #private::#marker for #name #arguments #where_request {}

        #postable
    }
}

fn id(id: &Id<'_>, private: &Private) -> TokenStream {
    let Id { member, of } = id;
    // Called with the span of the type, so that an error about it is reported there.
    let message_id = private.at(of.span(), "message_id");
    // One hygiene scope, because the type may come from another macro than the rest.
    let this = Ident::new("self", of.span());
    let field = quote_spanned!(of.span()=> &#this.#member);
    quote! {
        fn id(&#this) -> #private::Option<&#private::MessageId> {
            #private::Some(#message_id(#field))
        }
    }
}

fn postable(request: &RequestModel<'_>, route: &TopicRoute) -> TokenStream {
    let RequestModel {
        private,
        lints,
        name,
        generics,
        ..
    } = request;
    let (parameters, arguments, _) = generics.split_for_impl();
    let TopicRoute {
        topic,
        event_type,
        mapper,
    } = route;
    let event_type = event_type
        .as_ref()
        .map(|event_type| quote!(const EVENT_TYPE: &'static #private::str = #event_type;));
    let mut added = if generics.params.is_empty() {
        TokenStream::new()
    } else {
        quote!(Self: #private::Send + #private::Sync + 'static,)
    };
    let mut check = TokenStream::new();
    let mapper = mapper.clone().unwrap_or_else(|| {
        // The compiler assumes the bound, because of the `for`. A mistake is reported once, by the check, or for a
        // generic request where it is used.
        added.extend(quote!(for<'__brighter> Self: #private::Json));
        if generics.params.is_empty() {
            let json = private.at(name.span(), "json");
            check.extend(quote!(#lints const _: fn() = #json::<#name>;));
        }
        quote!(#private::JsonMapper)
    });
    let where_clause = where_also(generics, &added);
    let (form, callable) = callable(request, &where_clause).unzip();
    quote! {
        #check


        #[automatically_derived]
        #lints
        impl #parameters #private::Postable for #name #arguments #where_clause {
            const TOPIC: &'static #private::str = #topic;
            #event_type
            #form
            type Mapper = #mapper;
        }

        #callable
    }
}

/// Generates the form of the reply of a request. Its type is checked where it is written.
fn callable(request: &RequestModel<'_>, where_clause: &TokenStream) -> Option<(TokenStream, TokenStream)> {
    let RequestModel {
        private,
        lints,
        name,
        generics,
        ..
    } = request;
    let reply = request.reply.as_ref()?;
    let (parameters, arguments, _) = generics.split_for_impl();
    let form = private.at(reply.span(), "ReplyForm");
    Some((
        quote!(const REPLY: #private::Option<#private::ReplyForm<#reply>> =
            #private::Some(<Self as #private::Callable>::FORM);),
        quote! {
            #[automatically_derived]
        #lints
            impl #parameters #private::Callable for #name #arguments #where_clause {
                const FORM: #private::ReplyForm<#reply> = #form::json();
            }
        },
    ))
}
