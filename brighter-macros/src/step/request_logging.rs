//! `#[request_logging(step = 1, timing = before)]`

use proc_macro2::TokenStream;

use super::{Attribute, Layer, Role};

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "request_logging",
    example: "request_logging(step = 1)",
    keys: &[],
    never_after: None,
    role: Role::Other,
    layers: |_, _, _| vec![Layer::new("request_logging", TokenStream::new())],
};
