//! `#[layer(TraceLayer::new(), step = 1)]`

use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute as Written, Expr};

use super::attribute::{Attribute, Role};
use super::layers::Layer;
use crate::args::Args;
use crate::path::Private;
use crate::shell::Errors;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "layer",
    example: "layer(my_layer(), step = 1)",
    keys: &[],
    never_after: Some("a layer is around what is inside it"),
    role: Role::Other,
    layers,
};

fn layers(args: &mut Args, written: &Written, private: &Private, errors: &Errors) -> Vec<Layer> {
    let Some(given) = ATTRIBUTE.only(args, "an expression that makes a layer", written, errors) else {
        return Vec::new();
    };
    let Ok(layer) = syn::parse2::<Expr>(given.clone()) else {
        errors.at(given, "a layer is an expression, like `my_layer()`");
        return Vec::new();
    };
    let span = layer.to_token_stream().span();
    vec![Layer::new("foreign_layer", quote!(#private::stringify!(#layer), #layer)).at(span)]
}
