//! Checks the links of the HTML that was built: the anchors are those that a reader's browser finds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::markdown;

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pages: usize,
    links: usize,
    anchors: usize,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pages,
            links,
            anchors,
        } = self;
        write!(
            f,
            "{pages} files of HTML, {links} links and {anchors} anchors, none of them broken"
        )
    }
}

/// The page for printing has all others in it, with other anchors.
const NOT_A_PAGE: [&str; 3] = ["print.html", "toc.html", "404.html"];

pub(super) fn check(html: &Path) -> Result<Checked> {
    let mut files = Vec::new();
    super::list(html, &mut files)?;
    let is_page = |file: &PathBuf| {
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        name.ends_with(".html") && !NOT_A_PAGE.contains(&name)
    };
    let mut pages = BTreeMap::new();
    for file in files.iter().filter(|file| is_page(file)) {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        pages.insert(file.clone(), text);
    }
    let ids: BTreeMap<&PathBuf, BTreeSet<&str>> = pages
        .iter()
        .map(|(file, text)| (file, attributes(text, " id=\"").collect()))
        .collect();
    let mut checked = Checked {
        pages: pages.len(),
        ..Checked::default()
    };
    let mut broken = BTreeSet::new();
    for (file, text) in &pages {
        for target in attributes(text, " href=\"").chain(attributes(text, " src=\"")) {
            if target.contains("://") || target.starts_with("mailto:") || target.starts_with("data:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() {
                file.clone()
            } else {
                markdown::join(file, path)
            };
            checked.links += 1;
            if !to.exists() {
                broken.insert(format!("{}: there is no `{target}`", file.display()));
            } else if !anchor.is_empty() {
                checked.anchors += 1;
                if ids.get(&to).is_some_and(|ids| !ids.contains(anchor)) {
                    broken.insert(format!("{}: nothing is called `{target}`", file.display()));
                }
            }
        }
    }
    if !broken.is_empty() {
        bail!(
            "{} broken links:\n{}",
            broken.len(),
            broken.into_iter().collect::<Vec<_>>().join("\n")
        );
    }
    Ok(checked)
}

fn attributes<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    html.split(name).skip(1).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_missing_anchor_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let page = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        page(
            "a.html",
            r##"<a href="b.html#c">x</a> <a href="#d">y</a> <h1 id="d">z</h1>"##,
        );
        page(
            "b.html",
            r#"<h1 id="c">c</h1> <a href="https://example.com/q">far</a>"#,
        );
        let checked = check(folder.path()).unwrap();
        assert_eq!((checked.pages, checked.links, checked.anchors), (2, 2, 2));

        page("b.html", r#"<h1 id="e">c</h1> <a href="f.html">near</a>"#);
        let error = check(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("`b.html#c`") && error.contains("`f.html`"),
            "{error}"
        );
    }
}
