//! The page of errors has an entry for each variant of each public error, and none that is not there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use brighter_book::{Page, root};
use syn::{Attribute, Item, Visibility};

const CRATES: [&str; 6] = [
    "brighter",
    "brighter-core",
    "brighter-config",
    "brighter-cron",
    "brighter-rabbitmq",
    "brighter-sql",
];
/// Errors without variants are in one table.
const STRUCTS: &str = "Structs";

#[test]
fn every_variant_of_a_public_error_has_its_entry() {
    let mut known = BTreeSet::new();
    for name in CRATES {
        collect(&root().join(name).join("src"), &mut known);
    }
    let page = Page::read("docs/book/src/reference/errors.md").unwrap();
    let written = entries(&page.text);
    let missing: Vec<_> = known.difference(&written).collect();
    let stale: Vec<_> = written.difference(&known).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "no entry for {missing:#?}; no such variant: {stale:#?}"
    );
    println!("errors: {} entries", written.len());
}

/// Collects `Type::Variant`, or `Structs::Type`. The lint `unreachable_pub` makes sure that what says `pub` is public.
fn collect(folder: &Path, known: &mut BTreeSet<String>) {
    let mut items = Vec::new();
    read(folder, &mut items);
    let written_out: BTreeSet<String> = items.iter().filter_map(implements_error).collect();
    let is_error = |name: &syn::Ident, visibility: &Visibility, attributes: &[Attribute]| {
        matches!(visibility, Visibility::Public(_))
            && (attributes.iter().any(derives_error) || written_out.contains(&name.to_string()))
    };
    for item in &items {
        match item {
            Item::Enum(item) if is_error(&item.ident, &item.vis, &item.attrs) => {
                known.extend(
                    item.variants
                        .iter()
                        .map(|variant| format!("{}::{}", item.ident, variant.ident)),
                );
            }
            Item::Struct(item) if is_error(&item.ident, &item.vis, &item.attrs) => {
                known.insert(format!("{STRUCTS}::{}", item.ident));
            }
            _ => {}
        }
    }
}

fn read(folder: &Path, items: &mut Vec<Item>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, items);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            items.extend(
                syn::parse_file(&fs::read_to_string(&path).unwrap())
                    .unwrap()
                    .items,
            );
        }
    }
}

/// Returns the type of an `impl Error for Type`.
fn implements_error(item: &Item) -> Option<String> {
    let Item::Impl(item) = item else { return None };
    let (path, of) = (&item.trait_.as_ref()?.0, &*item.self_ty);
    let syn::Type::Path(of) = of else { return None };
    let is_error = path.segments.last()?.ident == "Error";
    is_error.then(|| of.path.segments.last().map(|segment| segment.ident.to_string()))?
}

fn derives_error(attribute: &Attribute) -> bool {
    let mut found = false;
    let _ = attribute.parse_nested_meta(|meta| {
        found |= meta
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Error");
        Ok(())
    });
    attribute.path().is_ident("derive") && found
}

/// Returns the entries: `Heading::First cell`, of rows that say what it means and what to do.
fn entries(page: &str) -> BTreeSet<String> {
    let mut heading = "";
    let mut entries = BTreeSet::new();
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        } else if let Some(row) = line.strip_prefix("| `").filter(|_| !heading.is_empty()) {
            let cells: Vec<&str> = row.trim_end_matches('|').split(" | ").map(str::trim).collect();
            assert!(
                cells.len() == 3 && cells.iter().all(|cell| !cell.is_empty()),
                "{heading}: {row}"
            );
            entries.insert(format!("{heading}::{}", cells[0].trim_end_matches('`')));
        }
    }
    entries
}
