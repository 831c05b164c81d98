//! What the book says, checked: the tutorial runs, every error has its entry, every snippet is compiled.

mod terminal;
mod tutorial;
