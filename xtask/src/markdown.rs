//! Checks Markdown: links and anchors lead somewhere, and tables are whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::shell;

const INCLUDE: &str = "{{#include ";

/// Checks every Markdown file that git knows or would add.
pub(crate) fn check() -> Result<()> {
    let mut list = shell::git(&["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]);
    let files = shell::read(&mut list)?;
    let (mut links, mut tables, mut broken) = (0, 0, Vec::new());
    let mut anchors = BTreeMap::new();
    for file in files.lines().map(Path::new).filter(|file| file.is_file()) {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        let mut report = |at: usize, what: String| {
            let line = text[..at].lines().count() + 1;
            broken.push(format!("{}:{line}: {what}", file.display()));
        };
        for (target, range) in relative_links(&text) {
            links += 1;
            if let Err(what) = follow(file, &target, &mut anchors) {
                report(range.start, what);
            }
        }
        tables += check_tables(&text, &mut report);
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    eprintln!(
        "Markdown: {} files, {links} links, {tables} tables",
        files.lines().count()
    );
    Ok(())
}

fn parser(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
}

/// Returns the targets of links and images that are no URL, and where they stand.
pub(crate) fn relative_links(text: &str) -> Vec<(String, Range<usize>)> {
    let events = parser(text).into_offset_iter();
    let links = events.filter_map(|(event, range)| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some((dest_url.into_string(), range))
        }
        _ => None,
    });
    links
        .filter(|(target, _)| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

fn follow(file: &Path, target: &str, known: &mut BTreeMap<PathBuf, BTreeSet<String>>) -> Result<(), String> {
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() {
        file.to_owned()
    } else {
        join(file, path)
    };
    if !path.exists() {
        return Err(format!(
            "there is no {}, to which `{target}` leads",
            path.display()
        ));
    }
    let (Some(anchor), true) = (
        anchor,
        path.extension().is_some_and(|extension| extension == "md"),
    ) else {
        return Ok(());
    };
    if !known.contains_key(&path) {
        let text = expand(&path).map_err(|error| format!("{error:#}"))?;
        known.insert(path.clone(), anchors(&text));
    }
    if known.get(&path).is_some_and(|anchors| anchors.contains(anchor)) {
        return Ok(());
    }
    Err(format!("{} has no heading for `#{anchor}`", path.display()))
}

/// Returns the path to which a link in a file leads.
pub(crate) fn join(file: &Path, target: &str) -> PathBuf {
    let mut path = file.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(target).components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path
}

/// Returns the file that a page of the book consists of, where it only includes one.
pub(crate) fn included(page: &Path, text: &str) -> Option<PathBuf> {
    let target = text.trim().strip_prefix(INCLUDE)?.strip_suffix("}}")?;
    (!target.contains('\n')).then(|| join(page, target))
}

fn expand(page: &Path) -> Result<String> {
    let text = fs::read_to_string(page).with_context(|| format!("could not read {}", page.display()))?;
    included(page, &text).map_or(Ok(text), |file| expand(&file))
}

/// Returns the anchors of the headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in parser(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = slug(&heading.take().unwrap_or_default());
                let taken = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone())
                    .chain(taken)
                    .find(|name| !anchors.contains(name));
                anchors.extend(free);
            }
            _ => {}
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = |c: char| match c {
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        c if c.is_whitespace() => Some('-'),
        _ => None,
    };
    heading.to_lowercase().chars().filter_map(kept).collect()
}

/// Reports rows that are outside of their table, and rows with too few or too many cells. Returns how many tables there are.
fn check_tables(text: &str, report: &mut impl FnMut(usize, String)) -> usize {
    let mut tables = 0;
    let mut in_table = false;
    for (event, range) in parser(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(columns)) => {
                (tables, in_table) = (tables + 1, true);
                let mut at = range.start;
                for row in text[range].split_inclusive('\n') {
                    let cells = cells(row);
                    if cells != columns.len() {
                        report(
                            at,
                            format!("a row of {cells} cells in a table of {} columns", columns.len()),
                        );
                    }
                    at += row.len();
                }
            }
            Event::End(TagEnd::Table) => in_table = false,
            Event::Start(Tag::Paragraph) if !in_table && text[range.clone()].starts_with('|') => {
                report(
                    range.start,
                    "a row outside of a table: is there a blank line before it?".to_owned(),
                );
            }
            _ => {}
        }
    }
    tables
}

/// Returns how many cells a row has: a `|` counts unless a `\` is before it.
fn cells(row: &str) -> usize {
    let row = row.trim().trim_start_matches('>').trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let row = row
        .strip_suffix('|')
        .filter(|row| !row.ends_with('\\'))
        .unwrap_or(row);
    let mut escaped = false;
    let borders = row.chars().filter(|&c| {
        let border = c == '|' && !escaped;
        escaped = c == '\\' && !escaped;
        border
    });
    borders.count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        check_tables(text, &mut |at, what| faults.push(format!("{at}: {what}")));
        faults
    }

    #[test]
    fn a_blank_line_in_a_table_is_found() {
        let whole = "| a | b |\n|---|---|\n| 1 | 2 |\n";
        assert!(faults(whole).is_empty());
        assert_eq!(faults(&format!("{whole}\n| 3 | 4 |\n")).len(), 1);
    }

    #[test]
    fn a_row_with_too_many_cells_is_found() {
        assert_eq!(faults("| a | b |\n|---|---|\n| 1 | 2 | 3 |\n").len(), 1);
        assert!(faults("| a | b |\n|---|---|\n| `1 \\| 2` | 3 |\n").is_empty());
    }

    #[test]
    fn anchors_are_those_of_github() {
        let text = "# One two\n## `[policies.<name>]`\n## What's “new”?\n## One two\n";
        let expected = ["one-two", "one-two-1", "policiesname", "whats-new"];
        assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_link_without_a_target_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("a.md");
        fs::write(&page, "# Here\n").unwrap();
        let mut known = BTreeMap::new();
        assert_eq!(follow(&page, "a.md#here", &mut known), Ok(()));
        assert!(follow(&page, "b.md", &mut known).unwrap_err().contains("b.md"));
        assert!(
            follow(&page, "#there", &mut known)
                .unwrap_err()
                .contains("#there")
        );
    }

    #[test]
    fn a_page_that_only_includes_another_is_told_from_others() {
        let page = Path::new("docs/book/src/reference/guarantees.md");
        assert_eq!(
            included(page, "{{#include ../../../guarantees.md}}\n"),
            Some(PathBuf::from("docs/guarantees.md"))
        );
        assert_eq!(included(page, "# A\n\n{{#include a.svg}}\n"), None);
    }
}
