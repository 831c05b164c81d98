//! `#[fallback(method, on = broken_circuit, step = 1)]`

use proc_macro2::{Ident, Span};
use quote::{quote, quote_spanned};
use syn::Attribute as Written;
use syn::ext::IdentExt;

use super::attribute::{Attribute, Role};
use super::layers::{HANDLER, Layer, Types};
use crate::args::{Args, Given};
use crate::nearest::advice;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "fallback",
    example: "fallback(method, step = 1)",
    keys: &["on"],
    never_after: Some("a fallback is around what may fail"),
    role: Role::Policy,
    layers,
};

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let on = args.value::<Ident>("on", "broken_circuit", errors);
    let Some(given) = ATTRIBUTE.only(args, "a method of the handler", written, errors) else {
        return Vec::new();
    };
    let Ok(method) = syn::parse2::<Ident>(given.clone()) else {
        errors.at(
            given,
            "a fallback is the name of a method of the handler, like `later`, and nothing more",
        );
        return Vec::new();
    };
    let on = match on {
        Given::Value(word, _) => match word.to_string().as_str() {
            "any" => quote!(Any),
            "broken_circuit" => quote!(BrokenCircuit),
            other => {
                let advice = advice(other, &["any", "broken_circuit"]);
                errors.at(&word, format!("unknown cause `{other}`{advice}"));
                quote!(Any)
            }
        },
        Given::Missing | Given::Wrong => quote!(Any),
    };
    let handler = Ident::new(HANDLER, Span::mixed_site());
    let name = method.unraw().to_string();
    // The whole expression has the span of the method's name, so that an error about its form is reported there.
    let path = quote_spanned!(method.span()=> Self::#method);
    let arguments = quote! {
        #name, #private::FallbackOn::#on, #private::Clone::clone(&#handler), #path
    };
    vec![
        Layer::new("fallback", arguments)
            .with(Types::RequestAndMethod)
            .at(method.span()),
    ]
}
