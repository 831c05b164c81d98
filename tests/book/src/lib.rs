//! The pages of `docs`: their Rust blocks are the doctests of this crate, and its tests read what they say.
//!
//! The doctests are named after the page: `pages::book_how_to_testing (line 20)` is line 20 of
//! `docs/book/src/how-to/testing.md`.

mod block;
mod page;

pub use block::Block;
pub use page::{Page, docs};

#[cfg(doctest)]
mod pages {
    include!(concat!(env!("OUT_DIR"), "/pages.rs"));
}
