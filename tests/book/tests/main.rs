//! What the book says, checked: the tutorial runs, every error has its entry, every snippet is compiled.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attributes;
mod csharp;
mod decisions;
mod errors;
mod permissions;
mod questions;
mod snippets;
mod terminal;
mod tutorial;
mod virtual_host;
