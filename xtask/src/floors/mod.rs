//! The floors check: a floor of the library uses only what is below it, and expanded code names only
//! `::brighter::__private`.

mod paths;
mod source;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result, failed};

const LIBRARY: &str = "brighter/src";
const MACROS: &str = "brighter-macros/src";

/// The module that defines each macro by example: the language has its name at the root of the crate.
type Macros = BTreeMap<String, Vec<String>>;

/// Reads both crates and names every arrow that must not be.
pub(crate) fn check() -> Result {
    let library_files = read(LIBRARY)?;
    let macro_files = read(MACROS)?;
    let defined: Macros = library_files
        .iter()
        .flat_map(|(file, source)| defined_macros(file, source))
        .collect();

    let mut violations = Vec::new();
    for (file, source) in &library_files {
        violations.extend(
            library(file, source, &defined)
                .into_iter()
                .map(|text| named(LIBRARY, file, &text)),
        );
    }
    for (file, source) in &macro_files {
        violations.extend(macros(source).into_iter().map(|text| named(MACROS, file, &text)));
    }
    let files = library_files.len() + macro_files.len();
    if violations.is_empty() {
        eprintln!("floors: {files} files, every arrow points down");
        return Ok(());
    }
    for violation in &violations {
        eprintln!("{violation}");
    }
    Err(failed(format_args!(
        "{} arrows that must not be (named above)",
        violations.len()
    )))
}

fn named(folder: &str, file: &Path, text: &str) -> String {
    format!("{folder}/{}{text}", file.display())
}

/// Every Rust file in a folder, by its path inside it.
fn read(folder: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut read = Vec::new();
    for file in rust_files(Path::new(folder))? {
        let source = fs::read_to_string(&file).doing(format_args!("read {}", file.display()))?;
        read.push((file.strip_prefix(folder).unwrap_or(&file).to_owned(), source));
    }
    Ok(read)
}

fn defined_macros(file: &Path, source: &str) -> Macros {
    let tokens = source::tokens(source);
    let defined = tokens
        .windows(3)
        .filter(|three| three[0].text == "macro_rules" && three[1].text == "!");
    defined
        .map(|three| (three[2].text.clone(), module_path(file)))
        .collect()
}

/// `:line: arrow: rule` for every forbidden arrow in a file of the library.
fn library(file: &Path, source: &str, defined: &Macros) -> Vec<String> {
    let module = module_path(file);
    let Some(first) = module.first() else {
        return Vec::new();
    };
    if table::FACE.contains(&first.as_str()) || module.last().is_some_and(|last| last == "tests") {
        return Vec::new();
    }
    let Some(known) = table::module(first) else {
        return vec![format!(
            ":1: `{first}` has no floor; give it one in xtask/src/floors/table.rs"
        )];
    };
    paths::paths(&source::tokens(source), &module, &known.crates())
        .iter()
        .filter_map(|path| {
            let home = match path.names.as_slice() {
                [only] => defined.get(only),
                _ => None,
            };
            let rule = table::broken_rule(&module, home.unwrap_or(&path.names))?;
            Some(format!(
                ":{}: {} → {}: {rule}",
                path.line,
                module.join("::"),
                path.names.join("::").trim_start_matches("::")
            ))
        })
        .collect()
}

/// `:line: …` for every `::brighter` in the macros' source that does not go on with `::__private`.
fn macros(source: &str) -> Vec<String> {
    let tokens = source::tokens(source);
    tokens
        .windows(4)
        .filter(|four| four[0].text == "::" && four[1].text == "brighter")
        .filter(|four| four[2].text != "::" || four[3].text != "__private")
        .map(|four| {
            format!(
                ":{}: expanded code names nothing of brighter but `::brighter::__private`",
                four[1].line
            )
        })
        .collect()
}

/// `layer/retry.rs` and `layer/retry/mod.rs` are both `["layer", "retry"]`.
fn module_path(file: &Path) -> Vec<String> {
    let mut names: Vec<_> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if names.last().is_some_and(|last| last == "mod") {
        names.pop();
    }
    names
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).doing(format_args!("read the folder {}", folder.display()))? {
        let path = entry
            .doing(format_args!("read the folder {}", folder.display()))?
            .path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrows(file: &str, source: &str) -> Vec<String> {
        library(Path::new(file), source, &Macros::new())
    }

    #[test]
    fn a_forbidden_arrow_is_named_with_its_line_and_rule() {
        let source = "//! crate::lapin\nuse crate::{\n    id::MessageId,\n    request::Request,\n};\n";
        assert_eq!(
            arrows("message/header.rs", source),
            [":4: message::header → request::Request: message never uses request"]
        );
        let source = "use serde_json::Value;";
        assert_eq!(
            arrows("message/mod.rs", source),
            [":1: message → serde_json::Value: message never uses serde_json"]
        );
    }

    #[test]
    fn the_face_of_the_crate_names_anything() {
        for face in ["lib.rs", "prelude.rs", "__private.rs"] {
            assert!(arrows(face, "pub use crate::transport::rabbitmq::RabbitMq;").is_empty());
        }
    }

    #[test]
    fn a_module_without_a_floor_is_named() {
        assert_eq!(arrows("jobs/mod.rs", "").len(), 1);
    }

    #[test]
    fn a_macro_belongs_to_the_module_that_defines_it() {
        let defined = defined_macros(
            Path::new("testing/outbox.rs"),
            "#[macro_export] macro_rules! contract { () => {} }",
        );
        let source = "pub use crate::contract;";
        assert!(library(Path::new("testing/mod.rs"), source, &defined).is_empty());
        assert_eq!(library(Path::new("store/mod.rs"), source, &defined).len(), 1);
    }

    #[test]
    fn expanded_code_names_only_private() {
        let source =
            "quote! { ::brighter::__private::Step }; quote!(:: brighter :: Handler); // ::brighter::x";
        assert_eq!(macros(source).len(), 1);
    }
}
