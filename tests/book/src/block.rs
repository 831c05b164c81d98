//! [`Block`]: a block of code on a page, and what the page says about it.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What stands behind the fence: `rust,no_run`, `sh`; nothing, if there is no fence.
    pub info: String,
    /// The code.
    pub code: String,
    /// The text between the block before and this one.
    pub intro: String,
    /// The line of the page at which it begins, counted from 1.
    pub line: usize,
}

impl Block {
    /// Returns the blocks of a page, in their order.
    #[must_use]
    pub fn of(markdown: &str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut end_of_last = 0;
        let mut open: Option<(String, String, Range<usize>)> = None;
        for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    open = Some((info, String::new(), range));
                }
                Event::Text(text) => {
                    if let Some((_, code, _)) = &mut open {
                        code.push_str(&text);
                    }
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some((info, code, range)) = open.take() {
                        blocks.push(Self {
                            info,
                            code,
                            intro: markdown[end_of_last..range.start].to_owned(),
                            line: markdown[..range.start].lines().count() + 1,
                        });
                        end_of_last = range.end;
                    }
                }
                _ => {}
            }
        }
        blocks
    }

    /// Returns the language: what stands before the first comma.
    #[must_use]
    pub fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    /// Returns whether an attribute stands behind the language: `no_run`.
    #[must_use]
    pub fn has(&self, attribute: &str) -> bool {
        self.info
            .split(',')
            .skip(1)
            .any(|other| other.trim() == attribute)
    }

    /// Returns the last `code` of the text before the block: the file that it is meant for.
    #[must_use]
    pub fn named(&self) -> Option<&str> {
        self.intro.rsplit('`').nth(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_knows_its_file_its_attributes_and_its_line() {
        let page = "# A\n\nText.\n\n```sh\nls\n```\n\nReplace `src/main.rs` with `this`, no, with `b.rs`:\n\n```rust,no_run\nfn main() {}\n```\n";
        let blocks = Block::of(page);
        assert_eq!(blocks.len(), 2);
        assert_eq!(
            (blocks[0].language(), &*blocks[0].code, blocks[0].line),
            ("sh", "ls\n", 5)
        );
        assert_eq!(
            (blocks[1].language(), blocks[1].named(), blocks[1].line),
            ("rust", Some("b.rs"), 11)
        );
        assert!(blocks[1].has("no_run") && !blocks[1].has("ignore"));
        assert!(!blocks[1].intro.contains("ls"));
    }
}
