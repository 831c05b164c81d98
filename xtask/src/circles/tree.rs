//! The modules of a crate, what each defines and mentions, and where a path leads.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::TokenTree::{Group, Ident, Punct};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Token, UseTree, Visibility};

use anyhow::{Context, Result};

/// The names of a path, from the root of the crate or as they are written.
pub(super) type Names = Vec<String>;

/// How many re-exports a path may lead through. One that imports its own name would lead round forever.
const FUEL: u8 = 32;

/// What a name of a module stands for; a module inside it is in [`Tree::modules`].
enum Name {
    Item,
    Import(Names),
}

/// One module: a file, or a part of it between braces.
#[derive(Default)]
struct Module {
    file: PathBuf,
    names: HashMap<String, Name>,
    globs: Vec<Names>,
    mentions: Vec<Mention>,
    /// Where it writes code that names more of brighter than `__private`.
    expansions: Vec<usize>,
}

/// A path that a module names.
struct Mention {
    path: Names,
    line: usize,
}

/// A use of an item by a file that does not define it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) item: String,
    /// The first line that names it.
    pub(super) line: usize,
}

/// The modules of one crate, by their paths.
#[derive(Default)]
pub(super) struct Tree {
    modules: BTreeMap<Names, Module>,
    /// The module of each macro by example: its name is in scope in the modules below without an import.
    macros: HashMap<String, Names>,
}

impl Tree {
    /// Reads a crate from its root file.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        // The children of a root stand beside it, whatever its name is.
        tree.file(root, &root.with_file_name(""), Names::new())?;
        Ok(tree)
    }

    fn file(&mut self, file: &Path, children: &Path, module: Names) -> Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
        let parsed = syn::parse_file(&text).with_context(|| format!("could not parse {}", file.display()))?;
        self.items(file, children, module, &parsed.items)
    }

    fn items(&mut self, file: &Path, children: &Path, path: Names, items: &[Item]) -> Result<()> {
        let mut macros = Vec::new();
        self.modules
            .insert(path.clone(), Module::read(file, items, &mut macros));
        self.macros
            .extend(macros.into_iter().map(|name| (name, path.clone())));
        for item in items {
            let Item::Mod(item) = item else { continue };
            let (name, child) = (item.ident.to_string(), joined(&path, &item.ident));
            if is_of_tests(&item.attrs) || self.modules.contains_key(&child) {
                continue;
            }
            let folder = children.join(&name);
            match &item.content {
                Some((_, items)) => self.items(file, &folder, child, items)?,
                None => {
                    let beside = children.join(format!("{name}.rs"));
                    match item
                        .attrs
                        .iter()
                        .find_map(|attribute| named_file(&attribute.meta))
                    {
                        Some(named) => {
                            let file = file.with_file_name(named);
                            self.file(&file, &file.with_file_name(""), child)?;
                        }
                        None if beside.is_file() => self.file(&beside, &folder, child)?,
                        None => self.file(&folder.join("mod.rs"), &folder, child)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Every use of one file's items by another.
    pub(super) fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (path, module) in &self.modules {
            for mention in &module.mentions {
                let Some((target, item)) = self
                    .item(path, &mention.path, FUEL, false)
                    .or_else(|| self.macros(mention))
                else {
                    continue;
                };
                let to = &self.modules[&target].file;
                if *to != module.file {
                    arrows.push(Arrow {
                        from: module.file.clone(),
                        to: to.clone(),
                        item,
                        line: mention.line,
                    });
                }
            }
        }
        arrows.sort();
        arrows.dedup_by(|next, first| {
            (&next.from, &next.to, &next.item) == (&first.from, &first.to, &first.item)
        });
        arrows
    }

    /// The places that write code which names more of brighter than `__private`.
    pub(super) fn expansions(&self) -> impl Iterator<Item = (&Path, usize)> {
        self.modules
            .values()
            .flat_map(|module| module.expansions.iter().map(|line| (&*module.file, *line)))
    }

    fn macros(&self, mention: &Mention) -> Option<(Names, String)> {
        let [name] = mention.path.as_slice() else {
            return None;
        };
        Some((self.macros.get(name)?.clone(), name.clone()))
    }

    /// The module that defines the item that a path names, through all re-exports, and the item. None for a module
    /// itself, and for what is not of this crate. Where `written`, the item has to be seen, and not made by a macro.
    fn item(&self, from: &[String], path: &[String], fuel: u8, written: bool) -> Option<(Names, String)> {
        let fuel = fuel.checked_sub(1)?;
        let mut at = from.to_vec();
        let mut anchored = false;
        for (index, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ if self.modules.contains_key(&joined(&at, name)) => at.push(name.clone()),
                _ => {
                    let module = self.modules.get(&at)?;
                    let rest = &path[index..];
                    return match module.names.get(name) {
                        Some(Name::Item) => Some((at, name.clone())),
                        Some(Name::Import(target)) => {
                            self.item(&at, &[target, &rest[1..]].concat(), fuel, written)
                        }
                        None => {
                            let glob = |glob: &Names| self.item(&at, &[glob, rest].concat(), fuel, true);
                            // Else a macro makes it, in the module that the path names.
                            let made = || (anchored && !written).then(|| (at.clone(), name.clone()));
                            module.globs.iter().find_map(glob).or_else(made)
                        }
                    };
                }
            }
            anchored = true;
        }
        None
    }
}

fn joined(path: &[String], name: impl ToString) -> Names {
    [path, &[name.to_string()]].concat()
}

/// The file of `#[path = "…"]`, also inside `cfg_attr`: the first of several, for they have the same items.
fn named_file(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(file), ..
            }) => Some(file.value()),
            _ => None,
        },
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            parts.ok()?.iter().skip(1).find_map(named_file)
        }
        _ => None,
    }
}

/// Whether this condition or attribute is one of tests: `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test(attribute: &str) -> bool {
    let plain: String = attribute.split_whitespace().collect();
    plain == "test" || plain == "cfg(test)" || plain.starts_with("cfg(all(test,")
}

fn is_of_tests(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| is_test(&attribute.meta.to_token_stream().to_string()))
}

impl Module {
    fn read(file: &Path, items: &[Item], macros: &mut Vec<String>) -> Self {
        let mut module = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        for item in items {
            let name = match item {
                // Read as a module of its own.
                Item::Mod(_) => continue,
                Item::Use(item) => {
                    if item.leading_colon.is_none() && !is_of_tests(&item.attrs) {
                        // A re-export is an import of those that use it, not of the module that passes it on.
                        let is_import = matches!(item.vis, Visibility::Inherited);
                        module.imports(&item.tree, Names::new(), is_import);
                    }
                    continue;
                }
                // Expanded elsewhere.
                Item::Macro(item) if item.ident.is_some() => {
                    macros.extend(item.ident.as_ref().map(ToString::to_string));
                    continue;
                }
                Item::Const(item) => Some(&item.ident),
                Item::Enum(item) => Some(&item.ident),
                Item::Fn(item) => Some(&item.sig.ident),
                Item::Static(item) => Some(&item.ident),
                Item::Struct(item) => Some(&item.ident),
                Item::Trait(item) => Some(&item.ident),
                Item::Type(item) => Some(&item.ident),
                _ => None,
            };
            if let Some(name) = name {
                module.names.insert(name.to_string(), Name::Item);
            }
            module.scan(item.to_token_stream());
        }
        module
    }

    fn imports(&mut self, tree: &UseTree, mut path: Names, is_import: bool) {
        let line = tree.span().start().line;
        let (target, name) = match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                return self.imports(&part.tree, path, is_import);
            }
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.imports(tree, path.clone(), is_import));
            }
            UseTree::Glob(_) => return self.globs.push(path),
            UseTree::Name(name) if name.ident == "self" => (path.clone(), path.last().cloned()),
            UseTree::Name(name) => (joined(&path, &name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (joined(&path, &rename.ident), Some(rename.rename.to_string())),
        };
        if is_import {
            self.mentions.push(Mention {
                path: target.clone(),
                line,
            });
        }
        if let Some(name) = name {
            self.names.entry(name).or_insert(Name::Import(target));
        }
    }

    /// Finds the paths in code, and in what macros are given, which is no syntax yet.
    fn scan(&mut self, code: TokenStream) {
        let code: Vec<_> = code.into_iter().collect();
        let is =
            |at: usize, sign: char| matches!(code.get(at), Some(Punct(punct)) if punct.as_char() == sign);
        let is_word = |at: usize, word: &str| matches!(code.get(at), Some(Ident(ident)) if ident == word);
        // Before a field, a method, a lifetime, a variable of a macro, a part of a longer path, a name that is defined.
        let is_apart = |at: usize| {
            let twice = |sign| is(at, sign) && is(at.wrapping_sub(1), sign);
            twice(':') || is(at, '.') && !twice('.') || is(at, '\'') || is(at, '$') || is_word(at, "fn")
        };
        let mut at = 0;
        while let Some(token) = code.get(at) {
            let before = at.wrapping_sub(1);
            at += 1;
            match token {
                Group(group) if is(before, '#') && is_test(&group.stream().to_string()) => {
                    let ends = |token: &TokenTree| match token {
                        Group(group) => group.delimiter() == Delimiter::Brace,
                        token => token.to_string() == ";",
                    };
                    at += code[at..].iter().position(ends).map_or(code.len(), |end| end + 1);
                }
                Group(group) => self.scan(group.stream()),
                Ident(_) if is_apart(before) => {}
                Ident(first) => {
                    let line = first.span().start().line;
                    let mut path = vec![first.to_string()];
                    while is(at, ':') && is(at + 1, ':') {
                        match code.get(at + 2) {
                            Some(Ident(next)) => path.push(next.to_string()),
                            Some(Group(group)) => {
                                // An import inside a function.
                                if let Ok(tree) = syn::parse2(group.to_token_stream()) {
                                    self.imports(&tree, std::mem::take(&mut path), true);
                                }
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    let is_macro = is(at, '!') && matches!(code.get(at + 1), Some(Group(_)));
                    let name = path.last().cloned().unwrap_or_default();
                    if is_macro && name.contains("quote") {
                        // Code of another crate.
                        let code = code[at + 1].to_string();
                        if code
                            .split(":: brighter ")
                            .skip(1)
                            .any(|after| !after.starts_with(":: __private"))
                        {
                            self.expansions.push(line);
                        }
                        at += 2;
                    }
                    // A single small word may be a variable, which has the name of no item, unless it is called.
                    let is_small = name.starts_with(|first: char| first.is_lowercase());
                    let is_called = || matches!(code.get(at), Some(Group(group)) if group.delimiter() == Delimiter::Parenthesis);
                    if path.len() > 1 || !is_small || is_macro || is_called() {
                        self.mentions.push(Mention { path, line });
                    }
                }
                _ => {}
            }
        }
    }
}
