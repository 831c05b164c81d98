//! `cargo xtask words`: the part of "Plain words" in CONTRIBUTING that a program can check.
//!
//! A type name is used once. The documentation of an item begins with words that stand alone. Some phrases do not come
//! back. No line of the log has a field twice. Texts of errors and of the log are plain. The name of a test has at most
//! ten words. What a sentence means, a reader has to judge.

mod docs;
mod literals;
mod logs;
mod names;
mod phrases;
mod test_names;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use proc_macro2::{LexError, TokenStream};

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

    /// Returns the tokens of the file.
    fn tokens(&self) -> Result<TokenStream> {
        let tokens = self.text.parse();
        tokens.map_err(|error: LexError| anyhow!("could not parse {}: {error}", self.path))
    }

    /// Makes a finding in this file.
    fn finding(&self, line: usize, what: String) -> Finding {
        Finding {
            file: self.path.clone(),
            line,
            what,
        }
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
    let (repeated, exceptions) = names::repeated(&sources)?;
    let exceptions: Vec<_> = exceptions
        .iter()
        .map(|(name, types)| format!("{name} {types}"))
        .collect();
    let exceptions = exceptions.join(", ");
    eprintln!("type names defined more than once: {repeated} beside the exceptions ({exceptions})");
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
            findings.extend(literals::errors(source)?);
            findings.extend(logs::check(source)?);
        }
        // A template has placeholders, and is no Rust yet.
        if source.is_rust() && !source.path.starts_with("templates/") {
            findings.extend(test_names::check(source)?);
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

    /// What is found in one file, as lines and parts of texts.
    fn assert_found(path: &str, text: &str, expected: &[(usize, &str)]) {
        let found = findings(&[source(path, text)]).unwrap();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, (line, part)) in found.iter().zip(expected) {
            assert_eq!(found.line, *line, "{found:?}");
            assert!(found.what.contains(part), "{found:?} has no {part}");
        }
    }

    #[test]
    fn a_field_of_the_span_is_found_in_its_event() {
        let text = "fn f() {\n let _s = tracing::info_span!(\"ship\", parcel, %weight);\n \
                    tracing::warn!(%parcel, port, \"parcel lost\");\n select! { _ = a => info!(x, x = 1, \"late\") }\n}\n";
        assert_found(
            "brighter/src/a.rs",
            text,
            &[
                (3, "`parcel` of this event is in the span"),
                (4, "`x` stands twice"),
            ],
        );
    }

    #[test]
    fn a_field_of_the_span_of_another_file_is_found() {
        let text = "fn f() { tracing::info!(policy, %id, \"circuit closed\") }\n";
        assert_found("brighter/src/policy/a.rs", text, &[(1, "`id`")]);
        assert_found("brighter/src/publication.rs", text, &[]);
    }

    #[test]
    fn texts_of_errors_and_events_are_checked() {
        let text = "#[derive(Error)]\nenum E {\n #[error(\"Parcel {id} came for nobody.\")]\n Lost,\n \
                    #[error(\"TLS handshake failed\")]\n Tls,\n}\nfn f() { warn!(a, \"trying on: {}\", \"nobody\") }\n";
        let expected = [
            (3, "`came for nobody` in"),
            (3, "`nobody` in"),
            (3, "begins with a capital"),
            (3, "ends with a full stop"),
            (8, "trying on"),
        ];
        let mut found = findings(&[source("brighter/src/a.rs", text)]).unwrap();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (line, part) in expected {
            let at = found
                .iter()
                .position(|it| it.line == line && it.what.contains(part));
            found.remove(at.unwrap_or_else(|| panic!("{part} in {found:#?}")));
        }
    }

    #[test]
    fn long_test_names_and_roles_are_found() {
        let text = "#[tokio::test]\nasync fn a_b_c_d_e_f_g_h_i_j_k() {}\nmod m {\n #[test]\n fn what_came() {}\n \
                    #[test]\n fn one_two_three_four_five_six_seven_eight_nine_ten() {}\n}\nfn what_is() {}\n";
        assert_found("tests/a.rs", text, &[(2, "11 words"), (5, "`what_`")]);
    }

    #[test]
    fn documentation_of_private_items_is_checked() {
        let text = "/// The same.\nstruct Parcel;\n/// Whether it weighs.\nfn weighs() {}\n/// What it weighs.\nfn weight() {}\n";
        assert_found("brighter/src/a.rs", text, &[(1, "`The same`"), (5, "`What`")]);
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
