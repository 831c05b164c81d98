//! What somebody who slipped may have meant.

/// How unlike a known name an unknown one may be and still be taken for a slip of it (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.8;

/// The known name most like this one, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known.to_owned())
}
