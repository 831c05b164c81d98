//! Finds the crates that the user's crate can name, from the compiler's arguments. It only improves the error when the
//! library is missing; no expansion depends on it.

use std::path::Path;
use std::{env, fs};

/// The state of `::brighter` in the user's crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BrighterCrate {
    /// The crate exists, or that is unknown: then the compiler itself reports it.
    Here,
    /// The crate exists under this name.
    Called(String),
    /// The crate is not a dependency.
    Nowhere,
}

/// Reads the arguments of the process, which is the compiler.
pub(crate) fn find() -> BrighterCrate {
    let arguments: Vec<String> = env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    in_arguments(&arguments, |root| fs::read_to_string(root).ok())
}

fn in_arguments(arguments: &[String], read: impl Fn(&Path) -> Option<String>) -> BrighterCrate {
    let externs = externs(arguments);
    let is_ours = |(_, file): &&(&str, &str)| file_is_ours(file);
    if externs.is_empty() || externs.iter().any(|(name, _)| *name == "brighter") {
        return BrighterCrate::Here;
    }
    // `extern crate queue as brighter;` adds the name for the whole crate.
    let mut roots = arguments
        .iter()
        .map(Path::new)
        .filter(|argument| is_source(argument));
    match (roots.next().and_then(read), roots.next()) {
        (Some(root), None) if !root.lines().any(names_it) => {}
        _ => return BrighterCrate::Here,
    }
    match externs.iter().find(is_ours) {
        Some((name, _)) => BrighterCrate::Called((*name).to_owned()),
        None => BrighterCrate::Nowhere,
    }
}

/// Returns the name and the file of every `--extern name=file`.
fn externs(arguments: &[String]) -> Vec<(&str, &str)> {
    let apart = arguments.windows(2).filter(|two| two[0] == "--extern");
    let apart = apart.map(|two| two[1].as_str());
    let together = arguments
        .iter()
        .filter_map(|argument| argument.strip_prefix("--extern="));
    let split = |argument| {
        let (name, file) = str::split_once(argument, '=').unwrap_or((argument, ""));
        // Options come first: `priv,noprelude:name`.
        let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
        (name, file)
    };
    apart.chain(together).map(split).collect()
}

/// Returns whether the file is that of brighter, such as `libbrighter-0123abcd.rmeta`: it has the crate's own name,
/// whatever the user calls the crate.
fn file_is_ours(file: &str) -> bool {
    let file = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    let name = file.split('-').next().unwrap_or_default();
    matches!(name, "libbrighter" | "brighter")
}

fn is_source(argument: &Path) -> bool {
    argument.extension().is_some_and(|extension| extension == "rs")
}

fn names_it(line: &str) -> bool {
    line.contains("extern crate") && line.contains("brighter")
}

#[cfg(test)]
mod tests {
    use super::{BrighterCrate, in_arguments};

    fn found(arguments: &str, root: &str) -> BrighterCrate {
        let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
        in_arguments(&arguments, |_| Some(root.to_owned()))
    }

    #[test]
    fn finds_the_name_in_the_arguments_of_rustc() {
        let root = "fn main() {}";
        let cases = [
            (
                "rustc src/lib.rs --extern brighter=/t/libbrighter-1a.rmeta",
                BrighterCrate::Here,
            ),
            (
                "rustc src/lib.rs --extern priv:brighter=/t/libbrighter-1a.rmeta",
                BrighterCrate::Here,
            ),
            (
                "rustc src/lib.rs --extern=queue=/t/libbrighter-1a.rlib",
                BrighterCrate::Called("queue".into()),
            ),
            (
                "rustc src/lib.rs --extern serde=/t/libserde-2b.rmeta --extern noprelude:q=/t/libbrighter-1a.rmeta",
                BrighterCrate::Called("q".into()),
            ),
            (
                "rustc src/lib.rs --extern platform=/t/libplatform-1a.rmeta",
                BrighterCrate::Nowhere,
            ),
            (
                "rustc src/lib.rs --extern b=/t/libbrighter_core-1a.rmeta",
                BrighterCrate::Nowhere,
            ),
            // Not called by cargo: nothing is certain.
            ("rustc src/lib.rs", BrighterCrate::Here),
            ("rustc @arguments", BrighterCrate::Here),
            (
                "rustc - --extern platform=/t/libplatform-1a.rmeta",
                BrighterCrate::Here,
            ),
        ];
        for (arguments, expected) in cases {
            assert_eq!(found(arguments, root), expected, "{arguments}");
        }
    }

    #[test]
    fn leaves_an_alias_in_the_root_alone() {
        let arguments = "rustc src/lib.rs --extern queue=/t/libbrighter-1a.rmeta";
        assert_eq!(
            found(arguments, "extern crate queue as brighter;"),
            BrighterCrate::Here
        );
        assert_eq!(
            found(arguments, "// brighter"),
            BrighterCrate::Called("queue".into())
        );
    }
}
