//! Compares a text with a file, without what differs from run to run.

use super::snapshots;

/// Compares a text with the file of this name. `BRIGHTER_TEST_UPDATE=1` writes the file.
#[track_caller]
pub(super) fn same(name: &str, text: &str) {
    let (file, text) = (snapshots().join(name), steady(text));
    if std::env::var_os("BRIGHTER_TEST_UPDATE").is_some() {
        std::fs::create_dir_all(snapshots()).unwrap();
        std::fs::write(&file, &text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{name}: {error}: run it with BRIGHTER_TEST_UPDATE=1"));
    assert_eq!(
        text, expected,
        "{name}: if it is meant, run it with BRIGHTER_TEST_UPDATE=1"
    );
}

/// Returns a text with the same word for each time, age and id.
fn steady(text: &str) -> String {
    let text = without_hours(text);
    let words = text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '(' | ')'));
    let mut steady = String::new();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | ',' | '(' | ')'));
        let end = &word[bare.len()..];
        let is_age = words.peek().is_some_and(|next| next.starts_with("ago"));
        let replaced = match bare {
            word if is_uuid(word) => "UUID",
            word if is_time(word) => "TIME",
            "now" => "AGE ago",
            word if word.chars().count() == 24 && word.chars().all(|c| "·▁▂▃▄▅▆▇█".contains(c)) => {
                "BARS"
            }
            _ if is_age => "AGE",
            word => word,
        };
        steady.push_str(replaced);
        steady.push_str(end);
    }
    // An age may be shorter or longer, and so is the column.
    let lines = steady.lines().map(|line| {
        let indented = line.len() - line.trim_start().len();
        let cells = line
            .trim_start()
            .split("  ")
            .map(str::trim)
            .filter(|cell| !cell.is_empty());
        let cells = cells.collect::<Vec<_>>().join("  ");
        if cells.is_empty() {
            "\n".to_owned()
        } else {
            format!("{}{cells}\n", &line[..indented])
        }
    });
    lines.collect()
}

/// An hour may end while a test runs.
fn without_hours(text: &str) -> String {
    let mut parts = text.split("\"hours\":[");
    let mut without = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        without.push_str("\"hours\":[HOURS");
        without.push_str(&part[part.find(']').unwrap()..]);
    }
    without
}

fn is_uuid(word: &str) -> bool {
    let groups: Vec<_> = word.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn is_time(word: &str) -> bool {
    word.len() == "2026-09-30T12:00:00.000Z".len() && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}
