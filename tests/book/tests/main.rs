//! What the book says, checked: the tutorial runs, every error has its entry, every snippet is compiled.

mod csharp;
mod errors;
mod snippets;
mod terminal;
mod tutorial;
