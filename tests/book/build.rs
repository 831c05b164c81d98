//! Writes a module for each page that has Rust in it, so that no page is forgotten: its blocks become doctests.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let mut modules = String::new();
    for folder in [docs.clone(), docs.join("book/src")] {
        // A folder is named, so that a page that is added is seen.
        println!("cargo::rerun-if-changed={}", folder.display());
        let deep = folder.ends_with("src");
        for page in pages(&folder, deep)? {
            println!("cargo::rerun-if-changed={}", page.display());
            let text = fs::read_to_string(&page)?;
            if text.contains("```rust") {
                let name = name(page.strip_prefix(&folder).unwrap_or(&page), deep);
                let _ = writeln!(modules, "#[doc = include_str!({page:?})]\npub mod {name} {{}}");
            }
        }
    }
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    fs::write(Path::new(&out).join("pages.rs"), modules)
}

/// Returns the pages of a folder, and of those in it if it is to be searched deep.
fn pages(folder: &Path, deep: bool) -> io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && deep {
            println!("cargo::rerun-if-changed={}", path.display());
            pages.extend(self::pages(&path, deep)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// Returns the path of a page as the name of a module: `how-to/web-api.md` is `book_how_to_web_api`.
fn name(page: &Path, deep: bool) -> String {
    let path = page.with_extension("").display().to_string();
    let name = path
        .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        .to_lowercase();
    format!("{}_{name}", if deep { "book" } else { "docs" })
}
