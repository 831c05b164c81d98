//! The only path that expanded code may name.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;
use syn::ext::IdentExt;

/// The path `::brighter::__private`, or the same below the path of `crate = …`: the prefix of every name in an
/// expansion.
#[derive(Clone)]
pub(crate) struct Private {
    /// The path that the user gave.
    library: Option<Path>,
}

impl Private {
    /// The path of the library under its usual name.
    pub(crate) const USUAL: Self = Self { library: None };

    pub(crate) fn below(library: Path) -> Self {
        let library = Some(library);
        Self { library }
    }

    /// Returns `::brighter::__private::name`, spanned so that an error about it is reported at the user's tokens.
    pub(crate) fn at(&self, span: Span, name: &str) -> TokenStream {
        let path = self.located_at(span);
        let name = Ident::new(name, Span::mixed_site().located_at(span));
        quote_spanned!(span=> #path::#name)
    }

    /// Returns whether this is the path of an item at the root of the library: `brighter::use_policy`, or with `crate =
    /// queue` also `queue::use_policy`.
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
        // In the macro's own edition and scope, independent of the user's crate.
        let span = Span::mixed_site().located_at(place);
        let private = Ident::new("__private", span);
        let Some(library) = &self.library else {
            return quote_spanned!(span=> ::brighter::__private);
        };
        // The user's path is resolved where it was written. It has one span, so that an error about it is reported
        // once.
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
