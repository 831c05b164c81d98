//! Finds the most similar known name for an unknown one.

/// The lowest similarity at which a name is suggested (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.8;

/// Returns the most similar known name, if any is similar enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known.to_owned())
}
