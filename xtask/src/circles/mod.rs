//! `cargo xtask circles`: no two files of a crate import each other, directly or in a ring.
//!
//! A file imports another when it names an item that the other one defines. A path leads through re-exports to the file
//! with the item: that `mod.rs` declares its children and passes their items on is no import by `mod.rs`, and what is
//! named through it is no import of it. But an item defined in `mod.rs` itself is imported from there. Test code is
//! left out.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tree::{Arrow, Tree};

use crate::error::{Doing, Error, Result, failed};
use crate::shell;

/// Prints every circle of the published crates of a checkout, or of the crates that are named.
pub(crate) fn check(root: &Path, only: &[String]) -> Result {
    let mut broken = 0;
    for target in targets(root, only)? {
        let arrows = Tree::read(&target)?.arrows();
        let circles = circles(&arrows);
        for circle in &circles {
            println!("{}", shown(root, circle, &arrows));
        }
        eprintln!("circles: {} in {}", circles.len(), short(root, &target));
        broken += circles.len();
    }
    match broken {
        0 => Ok(()),
        _ => Err(failed(format_args!(
            "{broken} circles of files that import each other (printed above)"
        ))),
    }
}

/// The root files of the libraries and programs.
fn targets(root: &Path, only: &[String]) -> Result<Vec<PathBuf>> {
    let mut metadata = shell::cargo();
    metadata
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root);
    let metadata: Value =
        serde_json::from_str(&shell::read(&mut metadata)?).doing("read `cargo metadata`")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages = list(&metadata["packages"]);
    if let Some(unknown) = only
        .iter()
        .find(|name| !packages.iter().any(|package| package["name"] == **name))
    {
        return Err(Error::Usage(format!("the workspace has no crate `{unknown}`")));
    }
    Ok(packages
        .iter()
        .filter(|package| match only {
            [] => package["publish"].is_null(),
            only => only.iter().any(|name| package["name"] == **name),
        })
        .flat_map(|package| list(&package["targets"]))
        .filter(|target| {
            ["lib", "proc-macro", "bin"]
                .iter()
                .any(|kind| list(&target["kind"]).iter().any(|have| have == kind))
        })
        .filter_map(|target| target["src_path"].as_str().map(PathBuf::from))
        .collect())
}

type Files<'a> = BTreeSet<&'a Path>;

/// The sets of files in which each leads to each other one.
fn circles(arrows: &[Arrow]) -> BTreeSet<Files<'_>> {
    let mut next = BTreeMap::<&Path, Files<'_>>::new();
    for arrow in arrows {
        next.entry(&arrow.from).or_default().insert(&arrow.to);
    }
    let reached: BTreeMap<&Path, Files<'_>> = next.keys().map(|file| (*file, reached(&next, file))).collect();
    let mut circles = BTreeSet::new();
    for (file, those) in &reached {
        let leads_back = |to: &&Path| reached.get(to).is_some_and(|back| back.contains(file));
        let circle: Files<'_> = those.iter().copied().filter(leads_back).collect();
        if !circle.is_empty() {
            circles.insert(circle);
        }
    }
    circles
}

/// The files that a file leads to, by however many arrows.
fn reached<'a>(next: &BTreeMap<&'a Path, Files<'a>>, from: &'a Path) -> Files<'a> {
    let mut reached = BTreeSet::new();
    let mut todo = vec![from];
    while let Some(file) = todo.pop() {
        let new = next.get(file).into_iter().flatten();
        todo.extend(new.filter(|to| reached.insert(**to)));
    }
    reached
}

fn shown(root: &Path, circle: &Files<'_>, arrows: &[Arrow]) -> String {
    let inside = |arrow: &&Arrow| circle.contains(&*arrow.from) && circle.contains(&*arrow.to);
    let mut text = format!("circle of {} files:", circle.len());
    let mut last = None;
    for Arrow { from, to, item, line } in arrows.iter().filter(inside) {
        if last.replace((from, to)) != Some((from, to)) {
            text += &format!("\n  {} → {}:", short(root, from), short(root, to));
        }
        text += &format!(" {item} (line {line})");
    }
    text
}

fn short(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}
