//! Writes a module for each page that has Rust in it, so that no page is forgotten: its blocks become doctests.

#[path = "src/files.rs"]
#[allow(unreachable_pub, reason = "the library has it too")]
mod files;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let mut modules = String::new();
    let mut folders = BTreeSet::new();
    for page in files::pages()? {
        let file = files::root().join(&page);
        println!("cargo::rerun-if-changed={}", file.display());
        folders.extend(file.parent().map(Path::to_owned));
        if fs::read_to_string(&file)?.contains("```rust") {
            let _ = writeln!(
                modules,
                "#[doc = include_str!({file:?})]\npub mod {} {{}}",
                name(&page)
            );
        }
    }
    // So that a page that is added is seen. Other folders have more in them than a README.
    for folder in folders
        .iter()
        .filter(|folder| folder.components().any(|part| part.as_os_str() == "docs"))
    {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("pages.rs"), modules)
}

/// Returns the path of a page as the name of a module: `docs/guarantees.md` is `docs_guarantees`.
fn name(page: &Path) -> String {
    let path = page.with_extension("").display().to_string();
    path.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .to_lowercase()
}
