//! The pages of the book, and other Markdown: their Rust blocks are the doctests of this crate, and its tests read what they
//! say.
//!
//! The doctests are named after the page: `pages::docs_guarantees (line 20)` is line 20 of
//! `docs/guarantees.md`.

mod block;
mod files;
mod page;

pub use block::Block;
pub use files::{pages, root};
pub use page::Page;

#[cfg(doctest)]
mod pages {
    include!(concat!(env!("OUT_DIR"), "/pages.rs"));
}
