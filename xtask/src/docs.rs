//! `cargo xtask docs`: builds the book, and checks that every link in it leads somewhere.
//!
//! On GitHub a link leads to another file of the repository. In the book it leads to the page that has this file, or to
//! GitHub where none has. A page of the book may consist of a file of `docs`.

mod links;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::stop::Stop;
use crate::{markdown, shell, tools, workspace};

const MDBOOK: &str = "mdbook@0.5.4";
/// Without its own server.
const FEATURES: &[&str] = &["--no-default-features", "--features", "search"];
const BOOK: &str = "docs/book";

/// Builds the book into `target/book/html`.
pub(crate) fn run(stop: &Stop) -> Result<()> {
    markdown::check()?;
    let mdbook = tools::install_with(MDBOOK, FEATURES, stop)?;
    let out = shell::target().join("book");
    let staged = out.join("staged");
    if staged.exists() {
        fs::remove_dir_all(&staged).context("could not remove what was built before")?;
    }
    let pages = stage(Path::new(BOOK), &staged)?;
    let html = out
        .join("html")
        .canonicalize()
        .unwrap_or_else(|_| absolute(&out.join("html")));
    shell::run(
        Command::new(mdbook)
            .arg("build")
            .arg(&staged)
            .arg("--dest-dir")
            .arg(&html),
        stop,
    )?;
    let links = links::check(&html)?;
    let snippets = snippets(&staged.join("src"))?;
    eprintln!(
        "book: {pages} pages, {snippets} Rust snippets (compiled by `cargo test -p brighter-book --doc`), {links}"
    );
    eprintln!("book: {}", html.join("index.html").display());
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Copies the source of the book, with the pages of `docs` in it. Returns how many pages it has.
fn stage(book: &Path, staged: &Path) -> Result<usize> {
    let mut files = Vec::new();
    list(book, &mut files)?;
    // Where each file is in the book.
    let mut places: BTreeMap<_, _> = files.iter().map(|file| (file.clone(), file.clone())).collect();
    for page in files.iter().filter(|file| is_page(file)) {
        if let Some(file) = markdown::included(page, &read(page)?) {
            places.insert(file, page.clone());
        }
    }
    let repository = repository()?;
    for file in &files {
        let copy = staged.join(file.strip_prefix(book)?);
        fs::create_dir_all(copy.parent().context("a file has a folder")?)?;
        if is_page(file) {
            let from = markdown::included(file, &read(file)?).unwrap_or_else(|| file.clone());
            let text = lead_from(&read(&from)?, &from, file, &places, &repository);
            fs::write(&copy, text)?;
        } else {
            fs::copy(file, &copy)?;
        }
    }
    let summary = read(&book.join("src/SUMMARY.md"))?;
    Ok(markdown::relative_links(&summary).len())
}

/// Returns the text of a file with links that are right on a page of the book.
fn lead_from(
    text: &str,
    from: &Path,
    page: &Path,
    places: &BTreeMap<PathBuf, PathBuf>,
    repository: &str,
) -> String {
    let mut text = text.to_owned();
    // From the end on, so that the places before it stay right.
    let mut links = markdown::relative_links(&text);
    links.sort_by_key(|(_, range)| std::cmp::Reverse(range.start));
    for (target, range) in links.into_iter().filter(|(target, _)| !target.starts_with('#')) {
        let (path, anchor) = target.split_at(target.find('#').unwrap_or(target.len()));
        let file = markdown::join(from, path);
        let new = match places.get(&file) {
            Some(place) => format!("{}{anchor}", relative(page, place)),
            None => format!("{repository}/blob/main/{}{anchor}", file.display()),
        };
        if let Some(at) = text[range.clone()].rfind(&target) {
            let start = range.start + at;
            text.replace_range(start..start + target.len(), &new);
        }
    }
    text
}

/// Returns the way from one page of the book to another.
fn relative(from: &Path, to: &Path) -> String {
    let up = from
        .strip_prefix(BOOK)
        .unwrap_or(from)
        .components()
        .count()
        .saturating_sub(2);
    let to = to.strip_prefix(Path::new(BOOK).join("src")).unwrap_or(to);
    format!("{}{}", "../".repeat(up), to.display())
}

fn snippets(pages: &Path) -> Result<usize> {
    let mut files = Vec::new();
    list(pages, &mut files)?;
    let mut snippets = 0;
    for page in files.iter().filter(|file| is_page(file)) {
        snippets += read(page)?
            .lines()
            .filter(|line| line.trim_start().starts_with("```rust"))
            .count();
    }
    Ok(snippets)
}

fn repository() -> Result<String> {
    let published = workspace::published(Path::new("."))?;
    let repository = published.first().and_then(|package| package.text("repository"));
    Ok(repository
        .context("no crate says where its repository is")?
        .to_owned())
}

fn is_page(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_included_page_are_rewritten() {
        let operate = PathBuf::from("docs/book/src/how-to/operate.md");
        let faults = PathBuf::from("docs/book/src/reference/faults.md");
        let places = BTreeMap::from([
            (operate.clone(), operate.clone()),
            (PathBuf::from("docs/lab/faults.md"), faults.clone()),
        ]);
        let lead = |text, from: &Path, page: &Path| lead_from(text, from, page, &places, "https://r");

        let text = "[a](../../../lab/faults.md#b), [c](operate.md), [d](../../../../brighter/x.rs), [e](#f), [g](https://h.i).";
        assert_eq!(
            lead(text, &operate, &operate),
            "[a](../reference/faults.md#b), [c](../how-to/operate.md), [d](https://r/blob/main/brighter/x.rs), [e](#f), \
             [g](https://h.i)."
        );

        let text = "[a](../book/src/how-to/operate.md), [b](mutants.md).";
        assert_eq!(
            lead(text, Path::new("docs/lab/faults.md"), &faults),
            "[a](../how-to/operate.md), [b](https://r/blob/main/docs/lab/mutants.md)."
        );
    }
}
