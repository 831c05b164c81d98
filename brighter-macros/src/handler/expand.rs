//! Generates the output of `#[handler]`: the user's item, completed, and its pipeline.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Signature, Type, parse_quote_spanned};

use super::attr::Steps;
use super::check::Gap;
use super::model::{Content, Form, HandlerImpl, HandlerType};
use super::transaction;
use crate::condition::Condition;
use crate::generics::where_also;
use crate::lints;
use crate::path::Private;
use crate::step::{self, Innermost, StepAttribute};

/// Adds the missing parts.
pub(super) fn fill(handler: &mut HandlerImpl, form: Form, gaps: &[Option<Gap>], private: &Private) {
    if form == Form::Transactional {
        let types: Vec<_> = handler
            .handles()
            .filter_map(|(attributes, method)| {
                let ty = transaction::type_of(transaction::of(&method.signature)?)?;
                Some((Condition::of(attributes), ty))
            })
            .collect();
        for (condition, ty) in types {
            handler.add(&condition, Content::Other(quote!(type Transaction = #ty;)));
        }
    }
    for (method, gap) in handler.handles_mut().zip(gaps) {
        if let Some(condition) = gap.as_ref().and_then(|gap| gap.context.as_ref()) {
            add_context(&mut method.signature, condition, private);
        }
    }
    for (condition, error) in gaps.iter().flatten().filter_map(|gap| gap.error.as_ref()) {
        handler.add(condition, Content::Error(quote!(type Error = #error;)));
    }
}

pub(super) fn add_context(signature: &mut Signature, condition: &Condition, private: &Private) {
    // A parameter without a name causes no lint, and cannot collide with a name of the user's.
    let context = parse_quote_spanned!(Span::mixed_site()=> #condition _: &#private::Context);
    signature.inputs.push(context);
}

/// Generates the impl itself, as the user wrote it.
pub(super) fn item(handler: &HandlerImpl) -> TokenStream {
    let trait_ = &handler.trait_;
    item_of(handler, &quote!(#trait_))
}

/// Generates the impl, of this trait.
fn item_of(handler: &HandlerImpl, trait_: &TokenStream) -> TokenStream {
    let HandlerImpl {
        attributes,
        unsafety,
        impl_token,
        generics,
        for_token,
        self_type,
        inner,
        members,
        ..
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

/// Generates the impl and its pipeline.
pub(super) fn of_impl(
    mut handler: HandlerImpl,
    form: Form,
    request: &Type,
    steps: Steps,
    innermost: &Innermost,
    list: &[StepAttribute],
    private: &Private,
) -> TokenStream {
    let there = Condition::of(&handler.attributes);
    let alone = match innermost {
        Innermost::Handler => TokenStream::new(),
        Innermost::Batch { .. } => alone(&mut handler, request, private),
    };
    let item = if form == Form::Transactional {
        let item = item_of(&handler, &quote!(#private::TransactionalHandler<#request>));
        let used = transaction::use_of(&handler);
        quote!(#item #there #used)
    } else {
        item(&handler)
    };
    if steps == Steps::OnStruct {
        return item;
    }
    let HandlerImpl {
        generics, self_type, ..
    } = &handler;
    let only_there = there;
    let lints = lints::beside(&handler.attributes);
    // For a generic request, the compiler would then know nothing else: not even its reply, which steps need.
    let given = if generics.params.is_empty() {
        let given = given(request, form == Form::Transactional, private);
        match innermost {
            Innermost::Handler => given,
            Innermost::Batch { .. } => {
                let of_batch = given_of_batch(request, private);
                quote!(#given, #of_batch)
            }
        }
    } else {
        TokenStream::new()
    };
    let where_clause = where_also(generics, &given);
    let pipeline = step::pipeline(request, innermost, list, private);
    quote! {
        #item

        #alone

        #only_there
        #lints
        #[automatically_derived]
        impl #generics #private::HandlerPipeline<#request> for #self_type #where_clause {
            #pipeline
        }
    }
}

/// Makes the impl one of `BatchHandler`. Generates the impl of `Handler`, which handles one request: with the path that the
/// user wrote, which is imported for it.
fn alone(handler: &mut HandlerImpl, request: &Type, private: &Private) -> TokenStream {
    let span = Span::mixed_site();
    let batch_handler = private.at(handler.trait_.span(), "BatchHandler");
    let written = std::mem::replace(
        &mut handler.trait_,
        parse_quote_spanned!(span=> #batch_handler<#request>),
    );
    let HandlerImpl {
        generics, self_type, ..
    } = &*handler;
    let only_there = Condition::of(&handler.attributes);
    let lints = lints::beside(&handler.attributes);
    let given = if generics.params.is_empty() {
        given_of_batch(request, private)
    } else {
        TokenStream::new()
    };
    let where_clause = where_also(generics, &given);
    quote_spanned! {span=>
        #only_there
        #lints
        #[automatically_derived]
        impl #generics #written for #self_type #where_clause {
            type Error = #private::BoxError;

            async fn handle(
                &self,
                request: &#request,
                cx: &#private::Context,
            ) -> #private::Result<<#request as #private::Request>::Reply, #private::BoxError> {
                #private::handle_alone::<Self, #request>(self, request, cx).await
            }
        }
    }
}

/// Returns bounds that the compiler assumes, because of the `for`. A mistake in the user's impl is then reported once,
/// there, and not again here.
fn given(request: &Type, in_transaction: bool, private: &Private) -> TokenStream {
    let handler = match in_transaction {
        true => quote!(TransactionalHandler),
        false => quote!(Handler),
    };
    quote!(for<'__brighter> #request: #private::Request, for<'__brighter> Self: #private::#handler<#request>)
}

/// Returns bounds that the compiler assumes of a batch handler.
fn given_of_batch(request: &Type, private: &Private) -> TokenStream {
    quote! {
        for<'__brighter> <#request as #private::Request>::Reply: #private::NoReply,
        for<'__brighter> Self: #private::BatchHandler<#request>
    }
}

/// Generates the type and its pipeline. The impl of `Handler` is elsewhere, and the compiler checks that it exists.
pub(super) fn of_type(
    handler: &HandlerType,
    request: &Type,
    steps: &[StepAttribute],
    private: &Private,
) -> TokenStream {
    let name = &handler.ident;
    let only_there = Condition::of(&handler.attrs);
    let lints = lints::beside(&handler.attrs);
    let (generics, arguments, _) = handler.generics.split_for_impl();
    let in_transaction = steps.iter().any(StepAttribute::is_transaction);
    let where_clause = where_also(&handler.generics, &given(request, in_transaction, private));
    // A generic type is a handler only with the bounds of its impl, which are checked where the type is used.
    let check = handler.generics.params.is_empty().then(|| {
        let handles = match in_transaction {
            true => private.at(name.span(), "handles_in_transaction"),
            false => private.at(name.span(), "handles"),
        };
        quote!(#only_there #lints const _: fn() = #handles::<#name, #request>;)
    });
    let pipeline = step::pipeline(request, &Innermost::Handler, steps, private);
    quote! {
        #handler

        #check

        #only_there
        #lints
        #[automatically_derived]
        impl #generics #private::HandlerPipeline<#request> for #name #arguments #where_clause {
            #pipeline
        }
    }
}
