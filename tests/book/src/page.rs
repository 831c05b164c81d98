//! [`Page`]: a file of `docs`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::Block;

/// A page of the book, or beside it.
#[derive(Debug)]
pub struct Page {
    /// Where it is, from `docs` on.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl Page {
    /// Reads a page of `docs`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let text = fs::read_to_string(docs().join(&path))?;
        Ok(Self { path, text })
    }

    /// Reads all pages whose blocks are compiled: those of the book, and those that stand in `docs` itself.
    ///
    /// # Errors
    /// A folder or a file cannot be read.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut paths = Vec::new();
        files(&docs(), false, &mut paths)?;
        files(&docs().join("book/src"), true, &mut paths)?;
        paths.sort();
        paths
            .iter()
            .map(|path| Self::read(path.strip_prefix(docs()).unwrap_or(path)))
            .collect()
    }

    /// Returns its first heading.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix("# "))
    }

    /// Returns its blocks of code.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        Block::of(&self.text)
    }
}

/// Returns the folder `docs` of the repository.
#[must_use]
pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

fn files(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && deep {
            files(&path, deep, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}
