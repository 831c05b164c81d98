//! `#[validate(step = 1)]`

use proc_macro2::TokenStream;

use super::{Attribute, Layer, Role, Types};

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "validate",
    example: "validate(step = 1)",
    keys: &[],
    never_after: Some("a request is validated before it is handled"),
    role: Role::Other,
    layers: |_, _, _| vec![Layer::new("validate", TokenStream::new()).with(Types::Request)],
};
