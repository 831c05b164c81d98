//! Finds the most similar known name for an unknown one.

use crate::names::alike;

/// The lowest similarity at which a name is suggested (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.8;

/// Longer names are compared with nothing: that takes time by the product of the lengths.
const LONGEST: usize = 150;

/// Returns the most similar known name, if any is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_spelling(name, known.into_iter().map(|known| (known, known)))
}

/// The name whose spelling is most like this one, of names with each of their spellings.
pub(crate) fn nearest_spelling<'a>(
    name: &str,
    spellings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    if name.len() > LONGEST {
        return None;
    }
    spellings
        .into_iter()
        .filter(|(spelling, _)| spelling.len() <= LONGEST)
        .map(|(spelling, known)| (strsim::jaro_winkler(spelling, name), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known.to_owned())
}

/// Whether somebody who wrote this name may have meant the other: each word differs by a slip at most. Numbers and words
/// of one or two letters are meant as they stand, so that `orders-eu` is no slip of `orders-us`.
pub(crate) fn is_slip(name: &str, of: &str) -> bool {
    if name.len() > LONGEST || of.len() > LONGEST {
        return false;
    }
    let (name, of) = (alike(name), alike(of));
    let words = |text: &'_ str| -> Vec<String> {
        let words = text.split('_').filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (name, of) = (words(&name), words(&of));
    match name.len() == of.len() {
        true => name.iter().zip(&of).all(|(name, of)| is_slip_of_word(name, of)),
        false => is_slip_of_word(&name.concat(), &of.concat()),
    }
}

fn is_slip_of_word(word: &str, of: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let longer = word.len().max(of.len());
    let slips = if longer < 3 { 0 } else { (longer / 5).max(1) };
    strsim::osa_distance(word, of) <= slips && digits(word) == digits(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_a_name_of_its_own() {
        for (name, of) in [
            ("task-reminder", "task-reminders"),
            ("tsak_remnders", "task-reminders"),
            ("TASK_REMINDERS", "task-reminders"),
            ("taskreminders", "task-reminders"),
            ("retyr", "retry"),
            ("oders-eu", "orders-eu"),
        ] {
            assert!(is_slip(name, of), "{name}");
        }
        for (name, of) in [
            ("orders-eu", "orders-us"),
            ("orders-1", "orders-2"),
            ("orders-created", "orders-updated"),
            ("orders-eu", "orders"),
            ("mail", "retry"),
            ("a", "b"),
            (&"x".repeat(100_000), &"x".repeat(100_001)),
        ] {
            assert!(!is_slip(name, of), "{name}");
        }
    }
}
