//! Which files have snippets that are compiled. The build script needs this too.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Returns the root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the pages of `docs`, also those of the book, and the README of each crate and example, from the root on. The README of the repository is compiled by `brighter`.
///
/// # Errors
/// A folder cannot be read.
pub fn pages() -> io::Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    pages_in("docs".as_ref(), &mut pages)?;
    for folder in ["", "examples"] {
        for entry in fs::read_dir(root().join(folder))? {
            let readme = Path::new(folder).join(entry?.file_name()).join("README.md");
            if root().join(&readme).is_file() {
                pages.push(readme);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

fn pages_in(folder: &Path, pages: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root().join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            pages_in(&path, pages)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    Ok(())
}
