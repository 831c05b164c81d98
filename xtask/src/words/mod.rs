//! `cargo xtask words`: the part of "Plain words" in CONTRIBUTING that a program can check.
//!
//! Three rules: a type name is used once, the documentation of an item begins with words that stand alone, and some
//! phrases do not come back. What a sentence means, a reader has to judge.

mod docs;
mod names;
mod phrases;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A place where a rule is broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

/// A file that git tracks, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == "rs")
    }

    /// Whether the file is part of a published crate, and no test.
    fn is_published(&self) -> bool {
        let mut parts = self.path.split('/');
        let is_crate = parts.next().is_some_and(|first| first.starts_with("brighter"));
        is_crate && parts.next() == Some("src") && parts.all(|part| part != "tests" && part != "tests.rs")
    }

    /// Returns the items of the file.
    fn parsed(&self) -> Result<syn::File> {
        syn::parse_file(&self.text).with_context(|| format!("could not parse {}", self.path))
    }
}

/// Prints every finding in the files whose paths begin so, or in all files, and fails if there is one.
pub(crate) fn run(beginnings: &[String]) -> Result<()> {
    let sources = sources()?;
    let mut findings = findings(&sources)?;
    findings.retain(|finding| {
        beginnings.is_empty()
            || beginnings
                .iter()
                .any(|beginning| finding.file.starts_with(beginning.as_str()))
    });
    for Finding { file, line, what } in &findings {
        println!("{file}:{line}: {what}");
    }
    if !findings.is_empty() {
        bail!("{} findings in words (printed above)", findings.len());
    }
    eprintln!("words: 0 findings in {} files", sources.len());
    Ok(())
}

fn findings(sources: &[Source]) -> Result<Vec<Finding>> {
    let mut findings = names::check(sources)?;
    for source in sources {
        findings.extend(phrases::check(source));
        if source.is_rust() && source.is_published() {
            findings.extend(docs::check(source)?);
        }
    }
    findings.sort();
    Ok(findings)
}

/// Reads what a person reads: the Rust files and the pages.
fn sources() -> Result<Vec<Source>> {
    let listed = shell::read(&mut shell::git(&["ls-files", "--", "*.rs", "*.md"]))?;
    // One that git tracks and that is not on the disk is about to leave git as well.
    let files = listed.lines().filter(|path| Path::new(path).exists());
    files
        .map(|path| {
            let text = fs::read_to_string(path).with_context(|| format!("could not read {path}"))?;
            Ok(Source {
                path: path.to_owned(),
                text,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn planted_findings_are_found_and_nothing_else() {
        let sources = [
            source(
                "brighter/src/a.rs",
                "/// The same, but later.\npub struct Parcel;\n\n/// Returns early.\nfn f() {} // and waits for\n// ever\n",
            ),
            source("brighter-sql/src/b.rs", "struct Parcel;\nstruct State;\n"),
            source(
                "brighter-sql/src/c.rs",
                "struct State;\n#[cfg(test)]\nmod tests { struct Parcel; }\n",
            ),
            source(
                "brighter-sql/src/tests/d.rs",
                "/// The same.\npub struct Parcel;\n",
            ),
            source(
                "docs/page.md",
                "Nobody waits for ever.\n\n> Whoever reads\n> this\n",
            ),
        ];
        let found = findings(&sources).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.file.as_str(), found.line))
            .collect();
        assert_eq!(
            found,
            [
                ("brighter-sql/src/b.rs", 1),
                ("brighter/src/a.rs", 1),
                ("brighter/src/a.rs", 2),
                ("brighter/src/a.rs", 5),
                ("docs/page.md", 1),
                ("docs/page.md", 3),
            ]
        );
    }
}
