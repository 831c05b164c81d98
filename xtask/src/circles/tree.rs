//! The modules of a crate, what each defines and mentions, and where a path leads.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, Lit, Meta, Token, UseTree, Visibility};

use anyhow::{Context, Result};

/// The names of a path, from the root of the crate or as they are written.
pub(super) type Names = Vec<String>;

/// How many re-exports a path may lead through. One that imports its own name would lead round for ever.
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
        let mut reader = Reader::default();
        items.iter().for_each(|item| reader.visit_item(item));
        for name in reader.macros {
            self.macros.insert(name, path.clone());
        }
        reader.module.file = file.to_owned();
        self.modules.insert(path.clone(), reader.module);
        for item in items {
            let Item::Mod(item) = item else { continue };
            let (name, child) = (item.ident.to_string(), joined(&path, &item.ident));
            if is_test(&item.attrs) || self.modules.contains_key(&child) {
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

/// Whether this is compiled for tests only: `#[test]`, `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || condition.starts_with("all (test")
        }
        meta => meta.path().is_ident("test"),
    })
}

/// Reads the items of one module.
#[derive(Default)]
struct Reader {
    module: Module,
    macros: Vec<String>,
    /// Whether what is read stands inside an item, where a name is nobody else's.
    inside: bool,
}

impl Reader {
    fn mention(&mut self, path: Names, line: usize) {
        self.module.mentions.push(Mention { path, line });
    }

    /// A path in code. A single small word may be a variable, which has the name of no item.
    fn named(&mut self, path: Names, line: usize, is_called: bool) {
        let is_small = |name: &String| name.starts_with(|first: char| first.is_lowercase());
        if is_called || path.len() > 1 || !path.iter().all(is_small) {
            self.mention(path, line);
        }
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
            UseTree::Glob(_) => return self.module.globs.push(path),
            UseTree::Name(name) if name.ident == "self" => (path.clone(), path.last().cloned()),
            UseTree::Name(name) => (joined(&path, &name.ident), Some(name.ident.to_string())),
            UseTree::Rename(rename) => (joined(&path, &rename.ident), Some(rename.rename.to_string())),
        };
        if is_import {
            self.mention(target.clone(), line);
        }
        if let Some(name) = name {
            self.module.names.entry(name).or_insert(Name::Import(target));
        }
    }

    fn path(&mut self, path: &syn::Path, is_called: bool) {
        if path.leading_colon.is_none() {
            let names = path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.named(names, path.span().start().line, is_called);
        }
    }

    /// The paths in what a macro is given, which is no syntax yet.
    fn tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree::{Group, Ident, Punct};
        let mut path = Names::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                Punct(colon) if colon.as_char() == ':' => colons += 1,
                Ident(name) if !path.is_empty() && colons == 2 => {
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.named(std::mem::take(&mut path), line, false);
                    match other {
                        // A name behind `::` is of another crate, one behind `.` or `$` of no module.
                        Ident(name) if colons == 0 => {
                            line = name.span().start().line;
                            path.push(name.to_string());
                        }
                        Group(group) => self.tokens(group.stream()),
                        Punct(sign) if "$.#".contains(sign.as_char()) => {
                            colons = 3;
                            continue;
                        }
                        _ => {}
                    }
                    colons = 0;
                }
            }
        }
        self.named(path, line, false);
    }
}

impl<'a> Visit<'a> for Reader {
    fn visit_item(&mut self, item: &'a Item) {
        let (name, attributes) = match item {
            Item::Const(item) => (Some(&item.ident), &item.attrs),
            Item::Enum(item) => (Some(&item.ident), &item.attrs),
            Item::Fn(item) => (Some(&item.sig.ident), &item.attrs),
            Item::Macro(item) => (item.ident.as_ref(), &item.attrs),
            Item::Static(item) => (Some(&item.ident), &item.attrs),
            Item::Struct(item) => (Some(&item.ident), &item.attrs),
            Item::Trait(item) => (Some(&item.ident), &item.attrs),
            Item::Type(item) => (Some(&item.ident), &item.attrs),
            Item::Union(item) => (Some(&item.ident), &item.attrs),
            Item::Impl(item) => (None, &item.attrs),
            Item::Use(item) => (None, &item.attrs),
            // Read as a module of its own.
            Item::Mod(_) => return,
            _ => return visit::visit_item(self, item),
        };
        if is_test(attributes) {
            return;
        }
        match (name, item) {
            (Some(name), Item::Macro(_)) => return self.macros.push(name.to_string()),
            (Some(name), _) if !self.inside => {
                self.module.names.insert(name.to_string(), Name::Item);
            }
            _ => {}
        }
        let outer = std::mem::replace(&mut self.inside, true);
        visit::visit_item(self, item);
        self.inside = outer;
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if item.leading_colon.is_none() {
            // A re-export is an import of those that use it, not of the module that passes it on.
            let is_import = matches!(item.vis, Visibility::Inherited);
            self.imports(&item.tree, Names::new(), is_import);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.path(path, false);
        visit::visit_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        if let Expr::Path(function) = &*call.func {
            self.path(&function.path, true);
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.path(&call.path, true);
        let name = call.path.segments.last().map(|last| last.ident.to_string());
        if !name.is_some_and(|name| name.contains("quote")) {
            return self.tokens(call.tokens.clone());
        }
        // What is written in `quote!` is code of another crate.
        let code = call.tokens.to_string();
        if code
            .split(":: brighter ")
            .skip(1)
            .any(|after| !after.starts_with(":: __private"))
        {
            self.module.expansions.push(call.span().start().line);
        }
    }
}
