//! Finds the kind of an item without parsing it: it may be half typed.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::Attribute;
use syn::parse::{ParseStream, Parser};

/// The kinds of items that are distinguished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Impl,
    /// A struct or an enum.
    Type,
    /// A function with `self`.
    Method,
    Function,
    Other,
}

/// The outline of an item.
pub(crate) struct Outline {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) kind: ItemKind,
    pub(crate) name: Option<Ident>,
}

impl Outline {
    pub(crate) fn of(item: TokenStream) -> Self {
        let split = |input: ParseStream<'_>| {
            let attributes = Attribute::parse_outer(input).unwrap_or_default();
            Ok((attributes, input.parse::<TokenStream>()?))
        };
        let (attributes, rest) = split.parse2(item).unwrap_or_default();
        let mut rest = rest.into_iter();
        let keyword = rest.find_map(|token| match token {
            TokenTree::Ident(word) => keyword(&word),
            _ => None,
        });
        let mut kind = keyword.unwrap_or(ItemKind::Other);
        let name = match rest.next() {
            Some(TokenTree::Ident(name)) if kind != ItemKind::Impl => Some(name),
            _ => None,
        };
        if kind == ItemKind::Function && has_receiver(rest) {
            kind = ItemKind::Method;
        }
        Self {
            attributes,
            kind,
            name,
        }
    }
}

fn keyword(word: &Ident) -> Option<ItemKind> {
    match word.to_string().as_str() {
        "impl" => Some(ItemKind::Impl),
        "struct" | "enum" => Some(ItemKind::Type),
        "fn" => Some(ItemKind::Function),
        "mod" | "static" | "trait" | "type" | "union" | "use" => Some(ItemKind::Other),
        _ => None,
    }
}

/// Returns whether the first parentheses, those of the parameters, contain a `self`.
fn has_receiver(mut tokens: impl Iterator<Item = TokenTree>) -> bool {
    let parameters = tokens.find_map(|token| match token {
        TokenTree::Group(group) => Some(group.stream()),
        _ => None,
    });
    parameters.is_some_and(|parameters| {
        let mut words = parameters.into_iter();
        words.any(|token| matches!(token, TokenTree::Ident(word) if word == "self"))
    })
}
