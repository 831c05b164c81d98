//! Settings from files and variables.

mod layers;
mod program;
mod roles;
mod wrong;
