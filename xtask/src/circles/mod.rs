//! `cargo xtask circles`: no two files of a crate import each other, directly or in a ring.
//!
//! A file imports another when it names an item that the other one defines: in a `use`, a path, or what a macro is
//! given. A path leads through re-exports to the file with the item: that `mod.rs` declares its children and passes
//! their items on is no import by `mod.rs`, and what is named through it is no import of it. But an item defined in
//! `mod.rs` is imported from there, also by its children. A call of a method imports nothing, and nor does an `impl`
//! what it implements for callers: `impl X { fn builder() -> Builder }` stands beside `Builder`. Test code is left out.
//!
//! In the same pass the borders inside a crate are checked, which are no borders of crates.

mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, bail};
use tree::{Arrow, Tree};

use crate::workspace;

/// Prints every circle and crossed border of the published crates of a checkout, or of those that are named.
pub(crate) fn run(root: &Path, only: &[String]) -> Result<()> {
    let root = &root.canonicalize()?;
    let packages = match only {
        [] => workspace::published(root)?,
        only => {
            let mut packages = workspace::packages(root)?;
            if let Some(unknown) = only
                .iter()
                .find(|name| packages.iter().all(|one| one.name() != *name))
            {
                bail!("the workspace has no crate `{unknown}`");
            }
            packages.retain(|package| only.iter().any(|name| name == package.name()));
            packages
        }
    };
    let (mut count, mut crossed) = (0, 0);
    for package in &packages {
        for file in package.roots() {
            let tree = Tree::read(&file)?;
            let arrows = tree.arrows();
            let circles = circles(&arrows);
            circles
                .iter()
                .for_each(|circle| println!("{}", shown(root, circle, &arrows)));
            let borders = borders(file.parent().unwrap_or(root), root, &tree, &arrows);
            borders.iter().for_each(|border| println!("{border}"));
            (count, crossed) = (count + circles.len(), crossed + borders.len());
        }
    }
    let text = format!(
        "{count} circles of files, {crossed} crossed borders in {} crates",
        packages.len()
    );
    if count + crossed > 0 {
        bail!("{text} (printed above)");
    }
    eprintln!("circles: {text}");
    Ok(())
}

type Files<'a> = BTreeSet<&'a Path>;

/// Returns the sets of files in which each leads to each other one.
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

/// Returns the files that a file leads to, by however many arrows.
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
            text += &format!("\n  {} → {}:", below(root, from), below(root, to));
        }
        text += &format!(" {item} (line {line})");
    }
    text
}

/// Returns each border inside a crate that is crossed.
fn borders(source: &Path, root: &Path, tree: &Tree, arrows: &[Arrow]) -> Vec<String> {
    let crossed = arrows.iter().filter_map(|Arrow { from, to, item, line }| {
        let rule = broken_rule(&below(source, from), &below(source, to))?;
        Some(format!(
            "{}:{line} uses {item} of {}: {rule}",
            below(root, from),
            below(root, to)
        ))
    });
    let private = "expanded code names nothing of brighter but `::brighter::__private`";
    let expansions = tree
        .expansions()
        .map(|(file, line)| format!("{}:{line}: {private}", below(root, file)));
    crossed.chain(expansions).collect()
}

/// Returns the rule that an import breaks, if it breaks one. The files are named from the folder of the sources.
fn broken_rule(from: &str, to: &str) -> Option<&'static str> {
    let module = |file: &str, depth| {
        file.trim_end_matches(".rs")
            .split('/')
            .nth(depth)
            .map(str::to_owned)
    };
    let part = |file, depth| module(file, depth).unwrap_or_default();
    let (from_top, to_top) = (part(from, 0), part(to, 0));
    let (from_layer, to_layer) = (part(from, 1), part(to, 1));
    if from_top == "layer"
        && to_top == "layer"
        && from_layer != to_layer
        && from_layer != "mod"
        && to_layer != "mod"
    {
        Some("a layer does not use another; what they share goes to layer/mod.rs")
    } else if from_top == "processor" && to_top == "dispatcher" {
        Some("the processor does not use the dispatcher")
    } else if to_top == "testing" && from_top != "testing" {
        Some("nothing depends on testing")
    } else {
        None
    }
}

fn below(root: &Path, file: &Path) -> String {
    file.strip_prefix(root).unwrap_or(file).display().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The circles, and the borders, of a crate of these files.
    fn found(files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, text) in files {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        }
        let tree = Tree::read(&root.join("lib.rs")).unwrap();
        let arrows = tree.arrows();
        let circles = circles(&arrows);
        let circles = circles
            .iter()
            .map(|circle| shown(root, circle, &arrows))
            .collect();
        (circles, borders(root, root, &tree, &arrows))
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let (circles, _) = found(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::B;\npub struct A(B);\n"),
            ("b.rs", "pub struct B;\nfn f() {\n    let _: super::a::A;\n}\n"),
        ]);
        assert_eq!(
            circles,
            ["circle of 2 files:\n  a.rs → b.rs: B (line 1)\n  b.rs → a.rs: A (line 3)"]
        );
    }

    #[test]
    fn a_ring_is_found_through_re_exports_globs_and_macros() {
        let (circles, _) = found(&[
            ("lib.rs", "mod f; pub use f::*;"),
            (
                "f/mod.rs",
                "mod a; mod b; mod c; pub(crate) use a::A as First; pub use b::*; pub use c::C;",
            ),
            ("f/a.rs", "use crate::B; pub struct A;"),
            ("f/b.rs", "pub struct B; fn f() { assert!(super::c::C::IS) }"),
            ("f/c.rs", "use super::First; pub struct C;"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
        assert!(circles[0].starts_with("circle of 3 files"), "{circles:?}");
    }

    #[test]
    fn only_a_defining_parent_is_in_a_circle() {
        let child = ("f/a.rs", "use super::{B, b}; pub struct A(B); fn f() { b::g() }");
        let sibling = ("f/b.rs", "pub struct B; pub fn g() {}");
        let face = ("f/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;");
        assert!(found(&[("lib.rs", "mod f;"), face, child, sibling]).0.is_empty());

        let defines = ("f/mod.rs", "mod a; mod b; pub use b::B; pub struct P(a::A);");
        let child = ("f/a.rs", "use super::P; pub struct A;");
        let (circles, _) = found(&[("lib.rs", "mod f;"), defines, child, sibling]);
        assert_eq!(
            circles,
            ["circle of 2 files:\n  f/a.rs → f/mod.rs: P (line 1)\n  f/mod.rs → f/a.rs: A (line 1)"]
        );
    }

    #[test]
    fn test_code_and_methods_import_nothing() {
        let (circles, _) = found(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "pub struct A; impl A { fn f(&self) { self.g(); } } #[cfg(test)] mod tests { use crate::b::B; }",
            ),
            (
                "b.rs",
                "use crate::a::A; pub struct B; impl A { pub fn g(&self) {} } #[cfg(test)] use crate::a::A as X;",
            ),
        ]);
        assert!(circles.is_empty(), "{circles:?}");
    }

    #[test]
    fn borders_inside_a_crate() {
        for (from, to) in [
            ("layer/retry.rs", "layer/timeout/mod.rs"),
            ("processor/mod.rs", "dispatcher/mod.rs"),
            ("host.rs", "testing/mod.rs"),
        ] {
            assert!(broken_rule(from, to).is_some(), "{from} → {to}");
        }
        for (from, to) in [
            ("layer/retry/future.rs", "layer/retry/mod.rs"),
            ("layer/retry.rs", "layer/mod.rs"),
            ("layer/mod.rs", "layer/retry.rs"),
            ("dispatcher/mod.rs", "processor/mod.rs"),
            ("testing/app.rs", "testing/mod.rs"),
        ] {
            assert_eq!(broken_rule(from, to), None, "{from} → {to}");
        }
    }

    #[test]
    fn expanded_code_names_only_private() {
        let code = "fn f() { quote! { ::brighter::__private::Step }; quote!(x(:: brighter :: Handler)); } // ::brighter::x";
        assert_eq!(found(&[("lib.rs", code)]).1.len(), 1);
    }
}
