//! The one path that expanded code may name.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};

/// `::brighter::__private`, in front of everything that an expansion names.
pub(crate) const PRIVATE: Private = Private;

pub(crate) struct Private;

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        // Of the macro's own edition and scope, whatever the user's crate is.
        tokens.extend(quote_spanned!(Span::mixed_site()=> ::brighter::__private));
    }
}

/// `::brighter::__private::name`, so that an error about it points at the user's tokens.
pub(crate) fn private_at(span: Span, name: &str) -> TokenStream {
    let span = Span::mixed_site().located_at(span);
    let name = Ident::new(name, span);
    quote_spanned!(span=> ::brighter::__private::#name)
}
