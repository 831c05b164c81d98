//! The page of attributes has each attribute of the macros, and each of their keys.

use std::fs;
use std::path::{Path, PathBuf};

use brighter_book::{Page, root};
use syn::Item;

#[test]
fn every_attribute_and_every_key_is_on_the_page() {
    let macros = root().join("brighter-macros/src");
    let mut wanted = attributes(&macros.join("lib.rs"));
    for folder in ["step", "message"] {
        keys(&macros.join(folder), &mut wanted);
    }
    let page = Page::read("docs/book/src/reference/attributes.md").unwrap();
    // A key without a value ends at once: `read_only`.
    let stands = |code: &String| page.text.contains(code) || page.text.contains(&code.replace(" = ", "`"));
    let missing: Vec<_> = wanted.iter().filter(|code| !stands(code)).collect();
    assert!(missing.is_empty(), "the page has none of {missing:?}");
    assert!(wanted.len() > 20, "only {wanted:?} were found in the macros");
    println!("attributes: {} attributes and keys", wanted.len());
}

/// Returns how the page writes the attributes and derives of a crate of macros.
fn attributes(file: &Path) -> Vec<String> {
    let code = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
    let mut written = Vec::new();
    for item in code.items {
        let Item::Fn(function) = item else { continue };
        let name = function.sig.ident.to_string();
        for attribute in &function.attrs {
            if attribute.path().is_ident("proc_macro_attribute") {
                // `derive` is the standard one, with arguments.
                written.push(if name == "derive" {
                    "`brighter::derive`".to_owned()
                } else {
                    format!("`#[{name}")
                });
            } else if attribute.path().is_ident("proc_macro_derive") {
                let capital = name[..1].to_uppercase();
                written.push(format!("| `{capital}{}` |", &name[1..]));
            }
        }
    }
    written
}

/// Collects the keys that the files of a folder declare: `keys: &["on"]`.
fn keys(folder: &Path, written: &mut Vec<String>) {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "rs"));
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for list in text
            .split("keys: &[")
            .skip(1)
            .chain(text.split("KEYS: &[&str] = &[").skip(1))
        {
            let list = list.split(']').next().unwrap_or_default();
            written.extend(list.split('"').skip(1).step_by(2).map(|key| format!("`{key} = ")));
        }
    }
}
