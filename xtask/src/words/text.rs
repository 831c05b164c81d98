//! The running text of a file: its lines joined, so that a phrase is found where it goes over the end of a line.

/// A text in lower case and without line ends, and where its lines begin.
pub(super) struct Running {
    text: String,
    begins: Vec<usize>,
}

impl Running {
    /// Joins the lines, without the marks of comments and quotations at their beginnings.
    pub(super) fn of(text: &str) -> Self {
        let mut running = Self {
            text: String::with_capacity(text.len()),
            begins: Vec::new(),
        };
        for line in text.lines() {
            running.begins.push(running.text.len());
            let line = line.trim();
            let marks = ["///", "//!", "//", ">", "\\"];
            let stripped = marks
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
                .unwrap_or(line);
            running.text.push_str(&stripped.trim().to_lowercase());
            // What is apart on the page stays apart.
            running
                .text
                .push_str(if stripped.trim().is_empty() { "\n" } else { " " });
        }
        running
    }

    /// Returns the lines on which the phrase begins, as whole words.
    pub(super) fn lines_of(&self, phrase: &str) -> impl Iterator<Item = usize> {
        places(&self.text, phrase).map(|at| self.begins.partition_point(|begin| *begin <= at))
    }
}

/// Returns whether the text has the phrase, as whole words.
pub(super) fn has_words(text: &str, phrase: &str) -> bool {
    places(text, phrase).next().is_some()
}

fn places(text: &str, phrase: &str) -> impl Iterator<Item = usize> {
    let ends_word = |at: Option<char>| at.is_none_or(|it| !it.is_alphanumeric() && it != '_');
    let found = text.match_indices(phrase).map(|(at, _)| at);
    found.filter(move |at| {
        ends_word(text[..*at].chars().next_back()) && ends_word(text[at + phrase.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_found_across_lines_as_whole_words() {
        let running = Running::of(
            "fn f() {} // waits for\n    /// ever\n\nfor everyone, before ever\nFor ever\n\nfor\n\never",
        );
        assert_eq!(running.lines_of("for ever").collect::<Vec<_>>(), [1, 5]);
    }
}
