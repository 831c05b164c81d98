//! The frame of every macro: collects and reports errors, and prints the output of a macro if that is enabled.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::thread;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::condition::Condition;

/// The mistakes in one use of a macro, so that all are reported at once, each at its own place.
#[derive(Default)]
pub(crate) struct Errors {
    list: RefCell<Vec<(Condition, syn::Error)>>,
    /// The condition under which the current code exists.
    condition: RefCell<Condition>,
    reported: Cell<bool>,
}

impl Errors {
    /// Adds an error about these tokens.
    pub(crate) fn at(&self, tokens: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&self, error: syn::Error) {
        let condition = self.condition.borrow().clone();
        self.list.borrow_mut().push((condition, error));
    }

    /// Returns the value, or keeps the error and returns `None`.
    pub(crate) fn keep<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Reports errors that `look` finds only under this condition.
    pub(crate) fn under<T>(&self, condition: &Condition, look: impl FnOnce() -> T) -> T {
        let inner = self.condition.borrow().and(condition);
        let outer = self.condition.replace(inner);
        let seen = look();
        self.condition.replace(outer);
        seen
    }

    fn report(&self) -> TokenStream {
        self.reported.set(true);
        let list = self.list.take();
        let each = list
            .into_iter()
            .flat_map(|(condition, error)| error.into_iter().map(move |error| (condition.clone(), error)));
        each.map(|(condition, error)| {
            let error = error.to_compile_error();
            quote!(#condition #error)
        })
        .collect()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        // A mistake that was found and not reported would let wrong code compile.
        assert!(
            self.reported.get() || thread::panicking(),
            "the errors of a macro were not reported"
        );
    }
}

/// Returns the errors of a macro, and then its output. There is always output: an editor needs the user's item most
/// when it is half typed, and the rest of the program must not fail because it is missing. An incomplete item comes
/// last, so that it affects nothing else.
pub(crate) fn expand(write: impl FnOnce(&Errors) -> TokenStream) -> TokenStream {
    let errors = Errors::default();
    let written = write(&errors);
    let mut tokens = errors.report();
    tokens.extend(written);
    tokens
}

/// Runs [`expand`] for the compiler. With `BRIGHTER_MACROS_DEBUG=1` the expansion is printed to stderr too.
pub(crate) fn run(name: &str, write: impl FnOnce(&Errors) -> TokenStream) -> proc_macro::TokenStream {
    let tokens = expand(write);
    if std::env::var_os("BRIGHTER_MACROS_DEBUG").is_some_and(|value| value == "1") {
        eprintln!("// {name}\n{tokens}\n");
    }
    tokens.into()
}
