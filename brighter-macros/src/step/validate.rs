//! `#[validate(step = 1)]`

use proc_macro2::TokenStream;

use super::attribute::{Attribute, Role};
use super::layers::{Layer, Types};

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "validate",
    example: "validate(step = 1)",
    keys: &[],
    never_after: Some("a request is validated before it is handled"),
    role: Role::Other,
    layers: |_, _, _, _| vec![Layer::new("validate", TokenStream::new()).with(Types::Request)],
};
