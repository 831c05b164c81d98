//! The attributes and derives of brighter.
use proc_macro::TokenStream;
#[proc_macro_derive(Command, attributes(command))] pub fn command(_: TokenStream) -> TokenStream { TokenStream::new() }
#[proc_macro_derive(Event)] pub fn event(_: TokenStream) -> TokenStream { TokenStream::new() }
#[proc_macro_derive(Message, attributes(message))] pub fn message(_: TokenStream) -> TokenStream { TokenStream::new() }
#[proc_macro_attribute] pub fn derive(_: TokenStream, i: TokenStream) -> TokenStream { i }
#[proc_macro_attribute] pub fn handler(_: TokenStream, i: TokenStream) -> TokenStream { i }
#[proc_macro_attribute] pub fn request_logging(_: TokenStream, i: TokenStream) -> TokenStream { i }
#[proc_macro_attribute] pub fn use_policy(_: TokenStream, i: TokenStream) -> TokenStream { i }
