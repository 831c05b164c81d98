//! `#[monitor(step = 1)]`

use proc_macro2::TokenStream;

use super::attribute::{Attribute, Role};
use super::layers::Layer;

pub(super) const ATTRIBUTE: Attribute = Attribute {
    name: "monitor",
    example: "monitor(step = 1)",
    keys: &[],
    never_after: Some("a monitor is around what it watches"),
    role: Role::Other,
    layers: |_, _, _, _| vec![Layer::new("monitor", TokenStream::new())],
};
