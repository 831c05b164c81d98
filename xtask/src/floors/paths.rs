//! The paths that a file names, grouped imports taken apart and resolved from the root of the crate.

use super::source::Token;

/// A path and the line it ends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// From the root of the crate; for another crate, an empty name and then the crate's.
    pub(super) names: Vec<String>,
    pub(super) line: usize,
}

/// Every path in a file that begins with `crate`, `self` or `super`, or with the name of one of these other crates.
pub(super) fn paths(tokens: &[Token], module: &[String], crates: &[&str]) -> Vec<Path> {
    let mut found = Vec::new();
    // One for each brace that is open: whether it is a module's own, and so adds a name to `module`.
    let mut braces = Vec::new();
    let mut module = module.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                let inline = at > 1 && tokens[at - 2].text == "mod";
                if inline {
                    module.push(tokens[at - 1].text.clone());
                }
                braces.push(inline);
            }
            "}" if braces.pop() == Some(true) => {
                module.pop();
            }
            _ => {}
        }
        let is_path = tokens.get(at + 1).is_some_and(|next| next.text == "::");
        let is_import = at > 0 && tokens[at - 1].text == "use";
        match base(tokens, at, &module, crates) {
            Some(base) if is_path => {
                let mut reader = Reader {
                    tokens,
                    at: at + 2,
                    found: &mut found,
                };
                reader.tree(base);
                at = reader.at;
            }
            Some(base) if is_import => {
                found.push(Path {
                    names: base,
                    line: token.line,
                });
                at += 1;
            }
            _ => at += 1,
        }
    }
    found
}

/// Where the path that begins at this token begins, if one does.
fn base(tokens: &[Token], at: usize, module: &[String], crates: &[&str]) -> Option<Vec<String>> {
    if inside_path(tokens, at) {
        return None;
    }
    match tokens[at].text.as_str() {
        // A macro by example, which is expanded elsewhere.
        "crate" if at > 0 && tokens[at - 1].text == "$" => None,
        "crate" => Some(Vec::new()),
        "self" => Some(module.to_vec()),
        "super" => Some(parent(module)),
        text if crates.contains(&text) => Some(vec![String::new(), text.to_owned()]),
        _ => None,
    }
}

/// Whether the word is a later part of a path; a leading `::` begins one.
fn inside_path(tokens: &[Token], at: usize) -> bool {
    let after_colons = at > 0 && tokens[at - 1].text == "::";
    after_colons
        && at > 1
        && (tokens[at - 2].is_word() && tokens[at - 2].text != "use" || tokens[at - 2].text == ">")
}

fn parent(module: &[String]) -> Vec<String> {
    module
        .split_last()
        .map(|(_, parent)| parent.to_vec())
        .unwrap_or_default()
}

struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    found: &'t mut Vec<Path>,
}

impl Reader<'_> {
    /// Reads what stands after a `::`, and leaves `at` on what comes after it.
    fn tree(&mut self, mut names: Vec<String>) {
        while let Some(token) = self.tokens.get(self.at) {
            let line = token.line;
            match token.text.as_str() {
                "{" => return self.group(&names),
                "self" => {}
                "super" => names = parent(&names),
                _ if token.is_word() => names.push(token.text.clone()),
                "*" => self.at += 1,
                _ => {}
            }
            let more = self.tokens.get(self.at + 1).is_some_and(|next| next.text == "::");
            if !token.is_word() || !more {
                self.at += usize::from(token.is_word());
                self.found.push(Path { names, line });
                return;
            }
            self.at += 2;
        }
    }

    fn group(&mut self, names: &[String]) {
        self.at += 1;
        while let Some(token) = self.tokens.get(self.at) {
            match token.text.as_str() {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                "as" => self.at += 2,
                _ if token.is_word() || token.text == "*" => self.tree(names.to_vec()),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tokens;
    use super::*;

    fn named(source: &str) -> Vec<String> {
        let module = ["layer".to_owned(), "retry".to_owned()];
        let found = paths(&tokens(source), &module, &["lapin"]);
        found.into_iter().map(|path| path.names.join("::")).collect()
    }

    #[test]
    fn imports() {
        assert_eq!(named("use crate::message::Message;"), ["message::Message"]);
        assert_eq!(named("pub use crate::message::*;"), ["message"]);
        assert_eq!(named("use crate::message as m;"), ["message"]);
        assert_eq!(
            named("use lapin; use ::lapin::Channel;"),
            ["::lapin", "::lapin::Channel"]
        );
    }

    #[test]
    fn grouped_imports_are_taken_apart() {
        assert_eq!(
            named("use crate::{id::MessageId as Id, message::{self, Bag, header::*}, context};"),
            [
                "id::MessageId",
                "message",
                "message::Bag",
                "message::header",
                "context"
            ]
        );
    }

    #[test]
    fn super_is_resolved_from_the_module() {
        assert_eq!(named("use super::timeout::Timeout;"), ["layer::timeout::Timeout"]);
        assert_eq!(named("use super::super::message::Bag;"), ["message::Bag"]);
        assert_eq!(
            named("use self::service::Service;"),
            ["layer::retry::service::Service"]
        );
    }

    #[test]
    fn a_module_inside_the_file_is_one_step_down() {
        assert_eq!(
            named("mod sealed { use super::A; fn f() { super::super::b::B } } use super::C;"),
            ["layer::retry::A", "layer::b::B", "layer::C"]
        );
    }

    #[test]
    fn paths_in_code() {
        assert_eq!(
            named(
                "fn f(a: &crate::id::Id) -> Vec<crate::context::Context> { self.x(); lapin::y::<crate::a::B>() }"
            ),
            ["id::Id", "context::Context", "::lapin::y", "a::B"]
        );
        assert!(
            named("pub(crate) fn f(lapin: u8) { a::lapin::b; $crate::message::x } // crate::message")
                .is_empty()
        );
    }
}
