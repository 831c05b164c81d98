//! Generates the output of `#[handler]`: the user's item, completed, and its pipeline.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Signature, Type, parse_quote_spanned};

use super::attr::Steps;
use super::check::Gap;
use super::model::{Content, Form, HandlerImpl, HandlerType};
use super::transaction;
use crate::condition::Condition;
use crate::generics::where_also;
use crate::lints;
use crate::path::Private;
use crate::step::{self, StepAttribute};

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
    handler: &HandlerImpl,
    form: Form,
    request: &Type,
    steps: Steps,
    list: &[StepAttribute],
    private: &Private,
) -> TokenStream {
    let there = Condition::of(&handler.attributes);
    let item = if form == Form::Transactional {
        let item = item_of(handler, &quote!(#private::TransactionalHandler<#request>));
        let used = transaction::use_of(handler);
        quote!(#item #there #used)
    } else {
        item(handler)
    };
    if steps == Steps::OnStruct {
        return item;
    }
    let HandlerImpl {
        generics, self_type, ..
    } = handler;
    let only_there = there;
    let lints = lints::beside(&handler.attributes);
    // For a generic request, the compiler would then know nothing else: not even its reply, which steps need.
    let given = if generics.params.is_empty() {
        given(request, form == Form::Transactional, private)
    } else {
        TokenStream::new()
    };
    let where_clause = where_also(generics, &given);
    let pipeline = step::pipeline(request, list, private);
    quote! {
        #item

        #only_there
        #lints
        #[automatically_derived]
        impl #generics #private::HandlerPipeline<#request> for #self_type #where_clause {
            #pipeline
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
    let pipeline = step::pipeline(request, steps, private);
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
