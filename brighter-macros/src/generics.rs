//! Extends where clauses.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Generics;

/// Returns the where clause of these generics, with more predicates.
pub(crate) fn where_also(generics: &Generics, added: &TokenStream) -> TokenStream {
    let written = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    quote!(where #(#written,)* #added)
}
