//! `cargo xtask package`: the published crates as crates.io would get them.

use std::path::Path;

use anyhow::Result;

use crate::stop::Stop;
use crate::{shell, workspace};

/// Packages the published crates together, for they depend on each other, and builds each from its package.
pub(crate) fn run(allow_dirty: bool, stop: &Stop) -> Result<()> {
    let mut package = shell::locked(&["package"]);
    for one in workspace::published(Path::new("."))? {
        package.args(["--package", one.name()]);
    }
    package.args(allow_dirty.then_some("--allow-dirty"));
    shell::run(&mut package, stop)
}
