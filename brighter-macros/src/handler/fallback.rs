//! Repairs an impl that cannot be completed, so that the compiler reports nothing more: the mistake has been reported.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{FnArg, PatType, ReturnType, Type};

use super::check::{self, Gap};
use super::expand::add_context;
use super::model::{Content, HandlerImpl, HandlerMethod, Member, Takes};
use super::transaction;
use crate::condition::Condition;
use crate::path::Private;

/// Gives the impl a correct `handle` where no missing part can be added: in place of each wrong one, or of a missing
/// one.
pub(super) fn repair(
    handler: &mut HandlerImpl,
    gaps: &[Option<Gap>],
    request: &Type,
    takes: Takes,
    private: &Private,
) {
    if !gaps.is_empty() && gaps.iter().all(Option::is_some) {
        return;
    }
    handler
        .members
        .retain(|member| member.is_handle() || !matches!(member.content, Content::Method(_)));
    let mut wrong = Vec::new();
    let handles = handler.members.iter_mut().filter(|member| member.is_handle());
    for (member, _) in handles.zip(gaps).filter(|(_, gap)| gap.is_none()) {
        let there = Condition::of(&member.attributes);
        let inside = inside(&member.content, private);
        member.attributes = there.attributes();
        member.content = Content::Other(method(inside, request, takes, private));
        wrong.push(there);
    }
    if gaps.is_empty() {
        let always = Condition::default();
        handler.add(&always, Content::Other(method(None, request, takes, private)));
        wrong.push(always);
    }
    let errors = handler.errors();
    if !errors.iter().any(Condition::is_always) {
        for there in wrong {
            let missing = there.and_none_of(&errors);
            handler.add(&missing, Content::Error(quote!(type Error = #private::BoxError;)));
        }
    }
}

/// Keeps the user's code within the method, so that an editor still knows the types in it.
fn inside(content: &Content, private: &Private) -> Option<TokenStream> {
    let Content::Method(method) = content else {
        return None;
    };
    let signature = &method.signature;
    let parameters = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(PatType { attrs, pat, ty, .. }) => Some(quote!(#(#attrs)* let #pat: #ty)),
        FnArg::Receiver(_) => None,
    });
    let result = match &signature.output {
        ReturnType::Type(_, result) if !matches!(**result, Type::ImplTrait(_)) => result.to_token_stream(),
        ReturnType::Type(..) => quote!(_),
        ReturnType::Default => quote!(()),
    };
    let body = &method.body;
    Some(quote! {
        #(#parameters = #private::unimplemented!();)*
        let _: #result = async #body.await;
    })
}

fn method(inside: Option<TokenStream>, request: &Type, takes: Takes, private: &Private) -> TokenStream {
    let (parameter, reply) = match takes {
        Takes::Request => (quote!(&#request), quote!(<#request as #private::Request>::Reply)),
        Takes::Batch => (quote!(#private::Batch<'_, #request>), quote!(())),
    };
    quote! {
        #[allow(unused, clippy::all)]
        async fn handle(
            &self,
            _: #parameter,
            _: &#private::Context,
        ) -> #private::Result<#reply, Self::Error> {
            #inside
            #private::unimplemented!()
        }
    }
}

/// Completes a method that should be under `#[handler]` and is not: a method without `cx` lacks `type Error` too.
pub(crate) fn complete(method: TokenStream, private: &Private) -> TokenStream {
    completed(method.clone(), private).unwrap_or(method)
}

fn completed(method: TokenStream, private: &Private) -> syn::Result<TokenStream> {
    let mut member: Member = syn::parse2(method)?;
    let mut error = None;
    if let Content::Method(method) = &mut member.content
        && let HandlerMethod { signature, body, .. } = &mut **method
    {
        *body = transaction::remove(signature, body.clone(), private);
        if signature.inputs.len() == 2 {
            error = Some(check::error_of(check::result(signature)?, private)?);
            add_context(signature, &Condition::default(), private);
        }
    }
    let error = error.map(|error| quote!(type Error = #error;));
    Ok(quote!(#error #member))
}
