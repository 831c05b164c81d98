//! [`Page`]: a file of Markdown.

use std::path::PathBuf;
use std::{fs, io};

use crate::Block;
use crate::files::{pages, root};

/// A page of the book, or another file of Markdown.
#[derive(Debug)]
pub struct Page {
    /// Where it is, from the root of the repository on.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

impl Page {
    /// Reads a page by its path from the root of the repository.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let text = fs::read_to_string(root().join(&path))?;
        Ok(Self { path, text })
    }

    /// Reads all pages whose blocks are compiled.
    ///
    /// # Errors
    /// A folder or a file cannot be read.
    pub fn all() -> io::Result<Vec<Self>> {
        pages()?.into_iter().map(Self::read).collect()
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
