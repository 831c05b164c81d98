//! Rust source as far as it takes to find paths in it: words and signs, without comments, literals and test code.

/// A word, `::`, or one sign, with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    /// Whether it is a word: an identifier or a keyword.
    pub(super) fn is_word(&self) -> bool {
        self.text.starts_with(is_word_char)
    }
}

/// Reads a file into tokens and leaves out every item marked `#[cfg(test)]`.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    without_tests(
        Lexer {
            rest: source,
            line: 1,
            tokens: Vec::new(),
        }
        .read(),
    )
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn read(mut self) -> Vec<Token> {
        while let Some(first) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.skip(block_comment(self.rest));
            } else if let Some(length) = raw_string(self.rest) {
                self.skip(length);
            } else if first == '"' {
                self.skip(quoted(self.rest, '"'));
            } else if first == '\'' {
                self.skip(char_literal(self.rest));
            } else if is_word_char(first) {
                let end = self.rest.find(|c| !is_word_char(c)).unwrap_or(self.rest.len());
                self.push(end);
            } else if first.is_whitespace() {
                self.skip(first.len_utf8());
            } else {
                self.push(if self.rest.starts_with("::") {
                    2
                } else {
                    first.len_utf8()
                });
            }
        }
        self.tokens
    }

    fn push(&mut self, length: usize) {
        self.tokens.push(Token {
            text: self.rest[..length].to_owned(),
            line: self.line,
        });
        self.rest = &self.rest[length..];
    }

    fn skip(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

/// The length of a block comment, with those inside it.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a raw string that begins here, if one does.
fn raw_string(text: &str) -> Option<usize> {
    let after = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + length)
}

/// The length of a literal between two of these marks, which a backslash may hide.
fn quoted(text: &str, mark: char) -> usize {
    let mut hidden = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if c == mark => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a char literal; of the mark alone where it begins a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted(text, '\''),
        _ => 1,
    }
}

/// Leaves out what follows `#[cfg(test)]`: other attributes, then an item up to its `;` or the end of its braces.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let marked = tokens.len() >= at + MARK.len()
            && tokens[at..]
                .iter()
                .zip(MARK)
                .all(|(token, mark)| token.text == mark);
        if marked {
            at = item_end(&tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && [";", "}"].contains(&token.text.as_str()) {
            // The braces of a grouped import have one more sign behind them.
            return at + 1 + usize::from(tokens.get(at + 1).is_some_and(|next| next.text == ";"));
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> String {
        tokens(source)
            .into_iter()
            .map(|token| token.text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let source = "a /* b /* c */ d */ // e\n\"f \\\" g\" r#\"h \" i\"# 'j' '\\'' b\"k\" /// l\n m";
        assert_eq!(words(source), "a b m");
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), "fn f < a > ( x : & a str ) { }");
    }

    #[test]
    fn test_code_is_left_out() {
        let source =
            "a; #[cfg(test)] #[path = \"x\"] mod tests { fn f() { g(); } } b; #[cfg(test)] use c::{d, e}; f";
        assert_eq!(words(source), "a ; b ; f");
    }

    #[test]
    fn lines_are_counted_through_comments() {
        assert_eq!(tokens("/*\n\n*/\"\n\" a")[0].line, 4);
    }
}
