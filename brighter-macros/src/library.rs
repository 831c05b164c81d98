//! Where the user's crate has the library: `crate = path`, or `::brighter`.

use proc_macro2::{Ident, Span};
use syn::Path;

use crate::args::{Args, Given};
use crate::externs::{self, Found};
use crate::path::Private;
use crate::shell::Errors;

/// The key of the argument.
pub(crate) const KEY: &str = "crate";

/// Takes `crate = path`. Without it the library has its usual name; if no crate has that name here, `example` is
/// the attribute that says another one, with a `…` for its path.
pub(crate) fn take(args: &mut Args, example: &str, errors: &Errors) -> Option<Private> {
    match args.value_by(KEY, Path::parse_mod_style, "path::to::brighter", errors) {
        Given::Value(path, _) => return Some(Private::below(path)),
        Given::Wrong => return Some(Private::USUAL),
        Given::Missing => {}
    }
    let (why, path, private) = match externs::find() {
        Found::Here => return Some(Private::USUAL),
        Found::Called(name) => {
            let path = Path::from(Ident::new(&name, Span::call_site()));
            let private = Some(Private::below(path));
            (format!("this crate calls it `{name}`"), name, private)
        }
        Found::Nowhere => (
            "it is no dependency of this crate; name the path that re-exports it".to_owned(),
            "platform::brighter".to_owned(),
            None,
        ),
    };
    let example = example.replace('…', &path);
    let alias = path.split("::").next().unwrap_or_default();
    let message = format!(
        "cannot find the crate `brighter`: {why}; write `{example}`, or once at the root of the crate `extern crate \
         {alias} as brighter;`"
    );
    errors.push(syn::Error::new(Span::call_site(), message));
    private
}
