//! What cargo knows of the workspace. Nothing else in xtask has a list of crates.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The root of this repository.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A crate of the workspace, as `cargo metadata` tells it.
pub(crate) struct Package(Value);

/// Returns the crates of the workspace in this folder.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>> {
    let mut metadata = shell::cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let mut metadata: Value = serde_json::from_str(&shell::read(metadata.current_dir(root))?)
        .context("could not read `cargo metadata`")?;
    let packages = metadata["packages"].take();
    Ok(array(&packages).iter().cloned().map(Package::from).collect())
}

/// Returns the crates that are published.
pub(crate) fn published(root: &Path) -> Result<Vec<Package>> {
    let mut packages = packages(root)?;
    packages.retain(|package| package.0["publish"].is_null());
    Ok(packages)
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl From<Value> for Package {
    fn from(package: Value) -> Self {
        Self(package)
    }
}

impl Package {
    pub(crate) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Returns the text at this place, if there is one: `description`, or `readme`.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0[key].as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.text(key).is_some() || !array(&self.0[key]).is_empty()
    }

    /// Returns the `[package.metadata.NAME]` of its manifest.
    pub(crate) fn metadata(&self, name: &str) -> &Value {
        &self.0["metadata"][name]
    }

    pub(crate) fn features(&self) -> impl Iterator<Item = &str> {
        self.0["features"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }

    /// Returns what a feature turns on.
    pub(crate) fn feature(&self, name: &str) -> impl Iterator<Item = &str> {
        array(&self.0["features"][name]).iter().filter_map(Value::as_str)
    }

    /// Returns the names and requirements of what it depends on, beside tests.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = (&str, &str)> {
        let normal = array(&self.0["dependencies"])
            .iter()
            .filter(|dependency| dependency["kind"] != "dev");
        normal.filter_map(|dependency| Some((dependency["name"].as_str()?, dependency["req"].as_str()?)))
    }

    /// Returns whether it has a target of this kind: `lib`, `proc-macro`, `bin`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        array(&self.0["targets"])
            .iter()
            .any(|target| array(&target["kind"]).iter().any(|of| of == kind))
    }

    /// Returns the root files of its library and its programs.
    pub(crate) fn roots(&self) -> impl Iterator<Item = PathBuf> {
        let is_root = |kind: &Value| ["lib", "proc-macro", "bin"].iter().any(|root| kind == root);
        let targets = array(&self.0["targets"]).iter();
        let roots = targets.filter(move |target| array(&target["kind"]).iter().any(is_root));
        roots.filter_map(|target| target["src_path"].as_str().map(PathBuf::from))
    }
}
