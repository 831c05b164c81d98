//! Settings that an operator changes without the program.

pub use brighter_config::*;
