//! The rule on file sizes: a file is one idea, and can be read in one sitting.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell;

/// No file is longer …
const LONGEST: usize = 700;
/// … and nine in ten are no longer than this.
const LONG: usize = 400;
/// Files in a folder of this name may be longer: tests are read one by one.
const TESTS: &str = "tests";

/// Measures every Rust file, in whatever folder, that git tracks or would track.
pub(crate) fn check() -> Result<()> {
    let list = &mut shell::git(&[
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
        "--",
        "*.rs",
    ]);
    let listed = shell::read(list)?;
    // One that git knows and that is gone from the disk is about to leave git as well.
    let files = listed
        .lines()
        .filter_map(|file| Some((file, fs::read_to_string(file).ok()?.lines().count())));
    let sizes = verdict(files)?;
    eprintln!("file sizes: {sizes}");
    Ok(())
}

/// The summary in one line, or every broken rule.
fn verdict<'f>(files: impl Iterator<Item = (&'f str, usize)>) -> Result<String> {
    let mut files: Vec<_> = files.collect();
    files.sort_by_key(|(_, lines)| *lines);
    let (_, median) = files
        .get(files.len() / 2)
        .context("git lists no Rust files here")?;
    let long: Vec<_> = files.iter().filter(|(_, lines)| *lines > LONG).collect();
    let summary = format!(
        "{} files, median {median} lines, {} over {LONG}",
        files.len(),
        long.len()
    );

    let is_test = |file: &str| Path::new(file).iter().any(|part| part == TESTS);
    let too_long = long
        .iter()
        .filter(|(file, lines)| *lines > LONGEST && !is_test(file));
    let mut broken: Vec<_> = too_long
        .map(|(file, lines)| format!("{file}: {lines} lines; {LONGEST} is the most"))
        .collect();
    if long.len() * 10 > files.len() {
        broken.extend(long.iter().map(|(file, lines)| format!("{file}: {lines} lines")));
        broken.push(format!("more than one file in ten is over {LONG} lines"));
    }
    if !broken.is_empty() {
        bail!("{summary}\n{}", broken.join("\n"));
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn one_file_too_long_is_named() {
        let short = (0..20).map(|_| ("short.rs", 100));
        let error = verdict(short.clone().chain([("long.rs", 701)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("long.rs: 701"), "{error}");
        let tests = verdict(short.chain([("tests/long.rs", 701)])).unwrap();
        assert!(tests.contains("median 100"), "{tests}");
    }

    #[test]
    fn too_many_long_files() {
        assert!(verdict([("a.rs", 401), ("b.rs", 10)].into_iter()).is_err());
        assert!(verdict(std::iter::empty()).is_err());
    }
}
