//! The one path that expanded code may name.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;

/// `::brighter::__private`, or the same below the path of `crate = …`: it stands before everything that an
/// expansion names.
#[derive(Clone)]
pub(crate) struct Private {
    /// The path that the user gave.
    library: Option<Path>,
}

impl Private {
    /// Of the library at its usual place.
    pub(crate) const USUAL: Self = Self { library: None };

    pub(crate) fn below(library: Path) -> Self {
        let library = Some(library);
        Self { library }
    }

    /// `::brighter::__private::name`, so that an error about it points at the user's tokens.
    pub(crate) fn at(&self, span: Span, name: &str) -> TokenStream {
        let path = self.located_at(span);
        let name = Ident::new(name, Span::mixed_site().located_at(span));
        quote_spanned!(span=> #path::#name)
    }

    /// Whether this is the path of an item that the library has at its root: `brighter::use_policy`, or with
    /// `crate = queue` also `queue::use_policy`.
    pub(crate) fn is_parent_of(&self, path: &Path) -> bool {
        let words = |path: &Path| -> Vec<Ident> {
            let segments = path.segments.iter();
            segments.map(|segment| segment.ident.unraw()).collect()
        };
        let mut parent = words(path);
        parent.pop();
        let usual = matches!(parent.as_slice(), [first, ..] if first == "brighter");
        usual
            || self
                .library
                .as_ref()
                .is_some_and(|library| words(library) == parent)
    }

    fn located_at(&self, place: Span) -> TokenStream {
        // Of the macro's own edition and scope, whatever the user's crate is.
        let span = Span::mixed_site().located_at(place);
        let private = Ident::new("__private", span);
        let Some(library) = &self.library else {
            return quote_spanned!(span=> ::brighter::__private);
        };
        // What the user wrote is looked up where it was written. It is in one place, so that an error about it is one.
        let library = library.to_token_stream().into_iter().map(|mut token: TokenTree| {
            token.set_span(token.span().located_at(place));
            token
        });
        quote_spanned!(span=> #(#library)*::#private)
    }
}

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.located_at(Span::call_site()));
    }
}
