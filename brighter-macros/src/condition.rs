//! Handles `cfg` and `cfg_attr` inside an item: the compiler has not evaluated them when an attribute on the item is
//! expanded.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Meta, Token};

/// The configuration under which an item exists: all of these predicates.
#[derive(Clone, Default)]
pub(crate) struct Condition(Vec<TokenStream>);

impl Condition {
    /// Returns the condition of an item or a member with these attributes.
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        Self(attributes.iter().flat_map(predicates).collect())
    }

    pub(crate) fn is_always(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Returns the condition as attributes: one, or none.
    pub(crate) fn attributes(&self) -> Vec<Attribute> {
        Attribute::parse_outer
            .parse2(self.to_token_stream())
            .unwrap_or_default() // It is one.
    }

    /// Returns this condition, combined with the negation of all others.
    pub(crate) fn and_none_of<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        let none = others.into_iter().map(|Self(all)| quote!(not(all(#(#all),*))));
        Self(self.0.iter().cloned().chain(none).collect())
    }
}

impl ToTokens for Condition {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self.0.as_slice() {
            [] => {}
            [one] => tokens.extend(quote!(#[cfg(#one)])),
            all => tokens.extend(quote!(#[cfg(all(#(#all),*))])),
        }
    }
}

/// Returns the predicates of `#[cfg(…)]`, and of a `cfg_attr` that contains one.
fn predicates(attribute: &Attribute) -> Vec<TokenStream> {
    if attribute.path().is_ident("cfg") {
        return attribute
            .meta
            .require_list()
            .map(|list| vec![list.tokens.clone()])
            .unwrap_or_default();
    }
    let Some((predicate, given)) = conditional(attribute) else {
        return Vec::new();
    };
    let inner = given.iter().filter_map(|given| with_meta(attribute, given));
    let inner: Vec<_> = inner.flat_map(|inner| predicates(&inner)).collect();
    inner
        .iter()
        .map(|inner| quote!(any(not(#predicate), #inner)))
        .collect()
}

/// Removes the wanted attributes, also from any `cfg_attr`, and returns each with its condition.
pub(crate) fn extract(
    attributes: &mut Vec<Attribute>,
    wanted: &dyn Fn(&Attribute) -> bool,
) -> Vec<(Condition, Attribute)> {
    let mut taken = Vec::new();
    for attribute in std::mem::take(attributes) {
        if wanted(&attribute) {
            taken.push((Condition::default(), attribute));
            continue;
        }
        let Some((predicate, given)) = conditional(&attribute) else {
            attributes.push(attribute);
            continue;
        };
        let before = taken.len();
        let mut kept = Vec::new();
        for given in given {
            let Some(inner) = with_meta(&attribute, &given) else {
                kept.push(given);
                continue;
            };
            let mut inner = vec![inner];
            let here = Condition(vec![predicate.clone()]);
            let found = extract(&mut inner, wanted);
            taken.extend(found.into_iter().map(|(there, found)| (here.and(&there), found)));
            kept.extend(inner.into_iter().map(|inner| inner.meta.into_token_stream()));
        }
        if taken.len() == before {
            attributes.push(attribute);
        } else if !kept.is_empty() {
            attributes.extend(with_meta(&attribute, &quote!(cfg_attr(#predicate, #(#kept),*))));
        }
    }
    taken
}

/// Returns the predicate of a `cfg_attr`, and the attributes that it adds.
fn conditional(attribute: &Attribute) -> Option<(TokenStream, Vec<TokenStream>)> {
    if !attribute.path().is_ident("cfg_attr") {
        return None;
    }
    let list = attribute.meta.require_list().ok()?;
    let mut parts = split_at_commas.parse2(list.tokens.clone()).ok()?.into_iter();
    Some((parts.next()?, parts.collect()))
}

fn split_at_commas(input: ParseStream<'_>) -> syn::Result<Vec<TokenStream>> {
    let mut parts = Vec::new();
    while !input.is_empty() {
        let mut part = TokenStream::new();
        while !(input.is_empty() || input.peek(Token![,])) {
            part.extend([input.parse::<TokenTree>()?]);
        }
        input.parse::<Option<Token![,]>>()?;
        parts.push(part);
    }
    Ok(parts)
}

fn with_meta(attribute: &Attribute, meta: &TokenStream) -> Option<Attribute> {
    let meta = syn::parse2::<Meta>(meta.clone()).ok()?;
    Some(Attribute {
        meta,
        ..attribute.clone()
    })
}
