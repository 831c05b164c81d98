//! What a misspelt word was probably meant to be.

/// The known word that looks most like this one, if one does.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let closeness = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let best = known
        .iter()
        .copied()
        .min_by_key(|candidate| closeness(candidate))?;
    // A third of the letters may be wrong: more, and the guess would mislead.
    (closeness(best) <= (best.len() / 3).max(1)).then_some(best)
}

/// `; did you mean …`, or which words there are.
pub(crate) fn advice(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(best) => format!("; did you mean `{best}`?"),
        None => {
            let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("; there is {}", known.join(", "))
        }
    }
}
