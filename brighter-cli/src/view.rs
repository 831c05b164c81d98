//! [`View`]: the result of a command, for people and for programs. All text is escaped here, and nowhere else.

use std::borrow::Cow;
use std::fmt::Write as _;

use brighter_core::__private::escaped;

/// The style of a piece of text on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// A piece of text with its style.
type Span = (Style, String);

/// The text of a command, line by line. It is escaped when it is rendered.
#[derive(Debug, Default)]
pub(crate) struct View {
    lines: Vec<Vec<Span>>,
}

/// The widest cell of a table but the last one, and the last one, in characters.
const CELL: usize = 36;
const LAST_CELL: usize = 100;

impl View {
    /// Returns a text of one line.
    pub(crate) fn line(text: impl Into<String>) -> Self {
        let mut view = Self::default();
        view.plain(text);
        view
    }

    /// Adds a line.
    pub(crate) fn plain(&mut self, text: impl Into<String>) {
        self.styled(Style::Plain, text);
    }

    /// Adds a line of one style.
    pub(crate) fn styled(&mut self, style: Style, text: impl Into<String>) {
        self.lines.push(vec![(style, text.into())]);
    }

    /// Adds another text behind this one.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.lines.append(&mut other.lines);
    }

    /// Adds a name and its value.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<String>) {
        let name = (Style::Dim, format!("{name:<12} "));
        self.lines.push(vec![name, (Style::Plain, value.into())]);
    }

    /// Adds a table. Its columns are as wide as what is in them, up to a limit.
    pub(crate) fn table(&mut self, head: &[&str], rows: Vec<Vec<String>>) {
        let last = head.len().saturating_sub(1);
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|row| {
                let cells = row.into_iter().enumerate();
                cells
                    .map(|(at, cell)| shortened(&cell, if at == last { LAST_CELL } else { CELL }))
                    .collect()
            })
            .collect();
        let width = |at: usize| {
            let cells = rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(head.get(at).map_or(0, |name| name.len()))
        };
        let widths: Vec<_> = (0..head.len()).map(width).collect();
        let line = |cells: Vec<&str>| {
            let mut text = String::new();
            for (at, cell) in cells.iter().enumerate() {
                let padding = widths.get(at).map_or(0, |width| width - cell.chars().count());
                text.push_str(cell);
                if at < last {
                    text.extend(std::iter::repeat_n(' ', padding + 2));
                }
            }
            text.trim_end().to_owned()
        };
        self.styled(Style::Bold, line(head.to_vec()));
        for row in &rows {
            self.plain(line(row.iter().map(String::as_str).collect()));
        }
    }

    /// Returns the text, in which nothing from outside can steer a terminal.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for line in &self.lines {
            for (style, span) in line {
                match (colour, style.code()) {
                    (true, code) if !code.is_empty() => {
                        // To write into a text never fails.
                        let _ = write!(text, "{code}{}\x1b[0m", escaped(span));
                    }
                    _ => text.push_str(&escaped(span)),
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Returns a text of at most so many characters as it will be shown, with `…` where it was cut.
fn shortened(text: &str, most: usize) -> String {
    // The end of a long text is not looked at: a field may have megabytes.
    let text: String = text.chars().take(most + 1).collect();
    let text = escaped(&text);
    if text.chars().count() <= most {
        return text.into_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

/// Returns whether colours are shown: on a terminal, unless `NO_COLOR` is set.
pub(crate) fn is_coloured(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns JSON as one line in which no character can steer a terminal. A program reads the same value.
pub(crate) fn clean_json(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    let mut units = [0; 2];
    for c in text.chars() {
        // What needs an escape is inside of a text, for JSON has nothing such elsewhere.
        if !matches!(c, ' '..='~') && matches!(escaped(c.encode_utf8(&mut [0; 4])), Cow::Owned(_)) {
            for unit in c.encode_utf16(&mut units) {
                // To write into a text never fails.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

    use super::*;

    const HOSTILE: &str = "a\u{1b}[31m\u{202e}\u{9b}\0\r\nb\u{e0041}\u{7f}<script>";

    fn is_clean(text: &str) -> bool {
        text.lines().all(|line| matches!(escaped(line), Cow::Borrowed(_)))
    }

    #[test]
    fn hostile_text_is_escaped_in_every_place() {
        let mut view = View::line(HOSTILE);
        view.field("name", HOSTILE);
        view.styled(Style::Bad, HOSTILE);
        view.table(&["a", "b"], vec![vec![HOSTILE.into(), HOSTILE.into()]]);
        let text = view.render(false);
        assert!(is_clean(&text), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
        let coloured = view.render(true);
        for style in [Style::Bold, Style::Dim, Style::Bad] {
            assert!(coloured.contains(style.code()));
        }
        let stripped = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m"]
            .iter()
            .fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(stripped, text);
    }

    #[test]
    fn json_has_the_same_value_and_nothing_hostile() {
        let value = serde_json::json!({"error": HOSTILE, "n": 1});
        let line = clean_json(&value.to_string());
        assert!(is_clean(&line), "{line}");
        assert_eq!(line.lines().count(), 1);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn a_long_cell_is_cut() {
        let long = "é".repeat(5_000_000);
        assert_eq!(shortened(&long, 5), "éééé…");
        assert_eq!(shortened("12345", 5), "12345");
        assert_eq!(shortened("\u{202e}", 5), "\\u{2…");
    }
}
