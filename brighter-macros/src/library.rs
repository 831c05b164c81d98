//! The path of the library in the user's crate: `crate = path`, or `::brighter`.

use proc_macro2::{Ident, Span};
use syn::Path;

use crate::args::{Args, Given};
use crate::externs::{self, BrighterCrate};
use crate::path::Private;
use crate::shell::Errors;

/// The key of the argument.
pub(crate) const KEY: &str = "crate";

/// Takes `crate = path`. Without it the library has its usual name. If no crate has that name, the error shows
/// `example`: the attribute with another path, in place of its `…`.
pub(crate) fn take(args: &mut Args, example: &str, errors: &Errors) -> Option<Private> {
    match args.value_by(KEY, Path::parse_mod_style, "path::to::brighter", errors) {
        Given::Value(path, _) => return Some(Private::below(path)),
        Given::Wrong => return Some(Private::USUAL),
        Given::Missing => {}
    }
    let (message, private) = match externs::find() {
        BrighterCrate::Here => return Some(Private::USUAL),
        BrighterCrate::Called(name) => {
            let written = example.replace('…', &name);
            let message = format!(
                "cannot find the crate `brighter`, which is called `{name}` here; write `{written}`, or once at the \
                 root of your crate `extern crate {name} as brighter;`"
            );
            let path = Path::from(Ident::new(&name, Span::call_site()));
            (message, Some(Private::below(path)))
        }
        BrighterCrate::Nowhere => {
            let written = example.replace('…', "platform::brighter");
            let message = format!(
                "cannot find the crate `brighter` among the dependencies; add it, or say which path re-exports it, \
                 like `{written}`"
            );
            (message, None)
        }
    };
    errors.push(syn::Error::new(Span::call_site(), message));
    private
}
