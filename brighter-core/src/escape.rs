//! [`escaped`]: foreign text that is copied to where people or programs read it line by line.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns a text in which nothing can end a line, steer a terminal or turn what follows: control characters, separators of
/// lines, marks of direction and characters that nobody sees are written as Rust writes them, such as `\n` or `\u{202e}`.
///
/// All foreign text that becomes a header, an error or a field of the log goes through here. Once more changes nothing.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    // Almost every text is plain, which is seen at a glance: without a way out, many bytes are looked at together.
    let is_plain = text
        .bytes()
        .fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if is_plain {
        return Cow::Borrowed(text);
    }
    escape(text, is_escaped)
}

/// Escapes a text as [`escaped`] does, but keeps its line breaks: for errors of several lines that go to a person.
pub(crate) fn escaped_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_escaped(c))
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool + Copy) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            // To write into a text never fails.
            let _ = write!(escaped, "{}", c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn is_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Separators of lines and paragraphs; what turns the direction of a text.
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
            // Spaces without a width, and what else has none.
            | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{escaped, escaped_lines};

    #[test]
    fn control_characters_are_escaped_and_others_stay() {
        for (text, expected) in [
            ("", ""),
            ("plain: \"quoted\" \\n", "plain: \"quoted\" \\n"),
            ("ünï 漢字 👩\u{200d}🚀", "ünï 漢字 👩\u{200d}🚀"),
            ("a\r\nX: y\t\0", "a\\r\\nX: y\\t\\u{0}"),
            ("\u{1b}[31m\u{7f}\u{85}", "\\u{1b}[31m\\u{7f}\\u{85}"),
            (
                "a\u{2028}b\u{202e}c\u{2066}d\u{feff}",
                "a\\u{2028}b\\u{202e}c\\u{2066}d\\u{feff}",
            ),
        ] {
            let once = escaped(text);
            assert_eq!(once, expected);
            assert_eq!(escaped(&once), once, "once more changes nothing");
        }
        assert_eq!(escaped_lines("a\n  - b\r\u{1b}"), "a\n  - b\\r\\u{1b}");
    }
}
