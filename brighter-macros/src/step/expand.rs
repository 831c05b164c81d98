//! Generates the function that wraps a handler in its layers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;

use super::layers::{HANDLER, Types};
use super::model::{StepAttribute, StepTiming};
use crate::path::Private;

/// Generates the item of `impl HandlerPipeline<R>`.
pub(crate) fn pipeline(request: &Type, steps: &[StepAttribute], private: &Private) -> TokenStream {
    // In the macro's scope: an inline policy is the user's expression, and must not see these names.
    let span = Span::mixed_site();
    let [handler, stack] = [HANDLER, "stack"].map(|name| Ident::new(name, span));
    let asked = steps.iter().any(|step| step.condition.is_always());
    let wiring = Ident::new(if asked { "wiring" } else { "_wiring" }, span);

    // Innermost first, because each layer wraps the ones before.
    let layers = steps.iter().rev().flat_map(|step| {
        let (place, condition) = (place(step, private), &step.condition);
        let (wiring, stack) = (&wiring, &stack);
        step.layers.iter().rev().map(move |layer| {
            let span = layer.at.map_or(span, |at| span.located_at(at));
            let (method, arguments) = (Ident::new(layer.method, span), &layer.arguments);
            let types = match layer.types {
                Types::None => TokenStream::new(),
                Types::Request => quote!(::<#request>),
                Types::RequestAndMethod => quote_spanned!(span=> ::<#request, _, _>),
            };
            let [layer, asked] = ["Layer", "Wiring"].map(|name| private.at(span, name));
            quote_spanned! {span=>
                #condition
                let #stack = #layer::layer(&#asked::#method #types (#wiring, #place, #arguments), #stack);
            }
        })
    });
    let mut all = steps.iter().flat_map(|step| &step.layers);
    let innermost = if all.any(|layer| layer.types == Types::RequestAndMethod) {
        quote!(#private::Clone::clone(&#handler))
    } else {
        quote!(#handler)
    };
    quote! {
        fn pipeline(
            #handler: #private::Arc<Self>,
            #wiring: &mut #private::Wiring<'_>,
        ) -> #private::Pipeline<#request> {
            let #stack = #private::HandlerService::new(#innermost);
            #(#layers)*
            #private::Pipeline::new(#stack)
        }
    }
}

fn place(step: &StepAttribute, private: &Private) -> TokenStream {
    let number = step.number;
    let timing = match step.timing {
        StepTiming::Before => quote!(Before),
        StepTiming::After => quote!(After),
    };
    quote!(#private::Step { number: #number, timing: #private::Timing::#timing })
}
