//! Finds the word that a misspelt one was probably meant to be.

/// Returns the most similar known word, if one is similar enough.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let closeness = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let best = known
        .iter()
        .copied()
        .min_by_key(|candidate| closeness(candidate))?;
    // A third of the letters may be wrong. With more, the suggestion would mislead.
    (closeness(best) <= (best.len() / 3).max(1)).then_some(best)
}

/// Returns `; did you mean …`, or the list of known words.
pub(crate) fn advice(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(best) => format!("; did you mean `{best}`?"),
        None => {
            let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("; there is {}", known.join(", "))
        }
    }
}
