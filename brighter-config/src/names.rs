//! Names in the form of environment variables.

/// Normalises a name. Names that a variable cannot distinguish become equal: `task-reminders` and `TASK_REMINDERS`.
pub(crate) fn alike(name: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    name.chars().map(letter).collect()
}
