//! [`cut`]: shortens a text to a number of bytes.

/// Returns the longest beginning of a text that has at most `bytes` bytes and ends between two characters.
///
/// `str::floor_char_boundary` does the same from Rust 1.91 on.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        for (bytes, left) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "a\u{e9}"),
            (4, "a\u{e9}b"),
            (99, "a\u{e9}b"),
        ] {
            assert_eq!(cut("a\u{e9}b", bytes), left, "{bytes}");
        }
    }
}
