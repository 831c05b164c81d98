//! `cargo xtask lint`: every check that needs no server, and the network only to install what checks.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::stop::{Stop, Stopped};
use crate::workspace::{self, Package};
use crate::{circles, dependencies, file_size, markdown, shell, words};

/// A check and the words by which the summary names it.
type Check = (&'static str, fn(&[Package], &Stop) -> Result<()>);

const CHECKS: &[Check] = &[
    ("formatting", |_, stop| {
        component("fmt", "rustfmt")?;
        shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]), stop)
    }),
    // With every feature, so that what is left for the next checks is what lacks a feature.
    ("clippy", |_, stop| {
        component("clippy", "clippy")?;
        clippy(&["--workspace", "--all-targets", "--all-features"], stop)
    }),
    // One by one, so that no other crate of the workspace turns a feature on.
    ("clippy, each crate by its features", by_features),
    ("documentation", |_, stop| {
        let mut doc = shell::locked(&["doc", "--workspace", "--no-deps", "--all-features"]);
        shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"), stop)
    }),
    ("circles and borders", |_, _| circles::run(Path::new("."), &[])),
    ("file sizes", |_, _| file_size::check()),
    ("Markdown", |_, _| markdown::check()),
    ("words", |_, _| words::run(&[])),
    ("manifests", |published, _| manifests(published)),
    ("unused dependencies", |_, stop| dependencies::unused(stop)),
    ("lock files", |_, stop| dependencies::lock_files(stop)),
];

/// Runs every check and tells all failures at the end, so that one run shows all there is to mend.
pub(crate) fn run(stop: &Stop) -> Result<()> {
    let published = workspace::published(Path::new("."))?;
    let mut broken = Vec::new();
    for (name, check) in CHECKS {
        match check(&published, stop) {
            Err(error) if error.is::<Stopped>() => return Err(error),
            Err(error) => broken.push(format!("{name}: {error:#}")),
            Ok(()) => {}
        }
    }
    if !broken.is_empty() {
        bail!(
            "lint: {} of {} checks failed\n\n{}",
            broken.len(),
            CHECKS.len(),
            broken.join("\n\n")
        );
    }
    eprintln!("lint: all {} checks are good", CHECKS.len());
    Ok(())
}

fn clippy(what: &[&str], stop: &Stop) -> Result<()> {
    shell::run(
        shell::locked(&["clippy"])
            .args(what)
            .args(["--", "-D", "warnings"]),
        stop,
    )
}

/// Each published crate as it comes, without features, and with each feature alone. Clippy's `incompatible_msrv` holds
/// what each says in `rust-version`, here and in the check of the workspace.
fn by_features(published: &[Package], stop: &Stop) -> Result<()> {
    for package in published {
        let (name, rust) = (package.name(), package.text("rust_version").unwrap_or("any"));
        eprintln!("{name}: needs Rust {rust}, by `rust-version`; clippy names calls that are newer");
        clippy(&["--no-deps", "--package", name], stop)?;
        if package.features().next().is_none() {
            continue;
        }
        clippy(&["--no-deps", "--package", name, "--no-default-features"], stop)?;
        for feature in alone(package) {
            let check = [
                "check",
                "--quiet",
                "--package",
                name,
                "--no-default-features",
                "--features",
                feature,
            ];
            shell::run(&mut shell::locked(&check), stop)?;
        }
    }
    Ok(())
}

/// Returns the features to check alone. Checked before are `default` and what is all of it; what begins with `_` is a
/// part of others.
fn alone(package: &Package) -> impl Iterator<Item = &str> {
    let default: Vec<_> = package.feature("default").collect();
    package
        .features()
        .filter(move |name| *name != "default" && !name.starts_with('_') && default != [*name])
}

/// Cargo's own words for a missing subcommand do not say how to get it.
fn component(subcommand: &str, component: &str) -> Result<()> {
    let version = shell::read(&mut shell::cargo(&[subcommand, "--version"]));
    let advice = || format!("{component} is not installed: `rustup component add {component}`");
    version.map(drop).with_context(advice)
}

/// The published crates have what crates.io and docs.rs show, and one version, by which they depend on each other.
fn manifests(published: &[Package]) -> Result<()> {
    let version = published
        .first()
        .and_then(|first| first.text("version"))
        .unwrap_or_default();
    let exact = format!("={version}");
    let mut broken = Vec::new();
    for package in published {
        let mut wrong = |what: String| broken.push(format!("{}: {what}", package.name()));
        for key in [
            "description",
            "keywords",
            "categories",
            "license",
            "repository",
            "readme",
            "rust_version",
        ] {
            if !package.has(key) {
                wrong(format!("has no `{}`", key.replace('_', "-")));
            }
        }
        let docs_rs = &package.metadata("docs")["rs"];
        if docs_rs["all-features"] != true || docs_rs["rustdoc-args"] != json!(["--cfg", "docsrs"]) {
            wrong("does not have docs.rs show every feature, by `[package.metadata.docs.rs]`".to_owned());
        }
        if package.text("version") != Some(version) {
            wrong(format!("has another version than {version}"));
        }
        for (name, required) in package.dependencies() {
            if required != exact && published.iter().any(|other| other.name() == name) {
                wrong(format!("depends on {name} by `{required}`, not by `{exact}`"));
            }
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    eprintln!(
        "manifests: {} published crates, all of version {version}",
        published.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn package(name: &str, required: &str) -> Package {
        Package::from(json!({
            "name": name, "version": "0.1.0", "description": "d", "keywords": ["k"], "categories": ["c"],
            "license": "MIT", "repository": "r", "readme": "README.md", "rust_version": "1.89",
            "metadata": {"docs": {"rs": {"all-features": true, "rustdoc-args": ["--cfg", "docsrs"]}}},
            "features": {"default": ["a"], "a": [], "_part": [], "b": ["a"]},
            "dependencies": [{"name": "core", "req": required, "kind": null}, {"name": "one", "req": "*", "kind": "dev"}],
        }))
    }

    #[test]
    fn a_feature_is_checked_alone_unless_another_check_has_it() {
        assert_eq!(alone(&package("one", "*")).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn published_crates_depend_on_each_other_exactly() {
        manifests(&[package("one", "=0.1.0"), package("core", "=0.1.0")]).unwrap();
        let error = manifests(&[package("one", "^0.1.0"), package("core", "=0.1.0")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "one: depends on core by `^0.1.0`, not by `=0.1.0`"
        );
    }

    #[test]
    fn a_manifest_hiding_features_on_docs_rs_is_named() {
        manifests(&[package("core", "=0.1.0")]).unwrap();
        let without = json!({"name": "core", "metadata": {"docs": {"rs": {"all-features": true}}}});
        let error = manifests(&[Package::from(without)]).unwrap_err().to_string();
        assert!(
            error.contains("core: does not have docs.rs show every feature"),
            "{error}"
        );
    }

    #[test]
    fn a_manifest_without_a_readme_is_named() {
        let mut bare = json!({"name": "one", "version": "0.1.0", "metadata": null});
        bare["readme"] = Value::Null;
        let error = manifests(&[Package::from(bare)]).unwrap_err().to_string();
        assert!(
            error.contains("one: has no `readme`") && error.contains("docs.rs"),
            "{error}"
        );
    }
}
