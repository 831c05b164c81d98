//! Every Rust block of the book is compiled, and most are run: as doctests of this crate.

use std::collections::BTreeMap;

use brighter_book::Page;

/// What may stand behind `rust`. `ignore` may not: a block that needs a server is `no_run`, and compiled.
const ALLOWED: [&str; 2] = ["no_run", "should_panic"];

#[test]
fn no_rust_block_escapes_the_compiler() {
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut wrong = Vec::new();
    for page in Page::all().unwrap() {
        for block in page.blocks() {
            if block.info.is_empty() {
                // rustdoc takes it for Rust, and a reader's eye has no colours.
                wrong.push(format!(
                    "{}:{}: a block without a language",
                    page.path.display(),
                    block.line
                ));
            }
            if block.language() != "rust" {
                continue;
            }
            for attribute in block.info.split(',').skip(1).map(str::trim) {
                if !ALLOWED.contains(&attribute) {
                    wrong.push(format!("{}:{}: `{attribute}`", page.path.display(), block.line));
                }
            }
            *counts
                .entry(if block.has("no_run") {
                    "compiled"
                } else {
                    "compiled and run"
                })
                .or_default() += 1;
        }
    }
    println!("snippets: {} in all, {counts:?}", counts.values().sum::<usize>());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!counts.is_empty(), "no snippet is found");
}
