//! Reads a secret from a separate file.

use std::path::{Path, PathBuf};

use super::raw::Raw;
use super::table::Setting;
use super::value::SettingValue;
use super::{Origin, Problem, Secret, text_file};

/// A name that is longer is none.
const LONGEST_NAME: usize = 255;

/// Extensions of files that hold a secret. Other text after a dot may be a part of the secret.
const EXTENSIONS: [&str; 8] = ["txt", "url", "key", "pem", "secret", "token", "password", "pass"];

/// The largest secret in bytes.
const LARGEST: u64 = 64 * 1024;

/// Reads the secret of this key from the file that `raw` names.
pub(super) fn read(key: &str, raw: &Raw, origin: &Origin) -> Result<Setting, Problem> {
    let (Raw::Plain(named) | Raw::Text(named)) = raw else {
        return Err(Problem::WrongType {
            key: format!("{key}_file"),
            expected: "the name of a file".to_owned(),
            found: raw.kind().to_owned(),
        });
    };
    // A path from a file is relative to the folder of that file, and not to the working directory.
    let path = match origin.folder() {
        Some(folder) => folder.join(named),
        None => PathBuf::from(named),
    };
    let text = text_file::read(&path, LARGEST).and_then(|text| match text.trim() {
        "" => Err("it is empty".to_owned()),
        secret => Ok(secret.to_owned()),
    });
    match text {
        Ok(text) => Ok(Setting {
            value: SettingValue::Secret(Secret::new(text)),
            origin: Origin::SecretFile {
                path,
                named_by: Box::new(origin.clone()),
            },
        }),
        Err(reason) => Err(Problem::NoSecret {
            key: key.to_owned(),
            path: shown(named, &path),
            reason,
        }),
    }
}

/// The file, but for a name that may be the secret itself, which somebody wrote in place of the name of its file.
fn shown(named: &str, path: &Path) -> String {
    let file = Path::new(named);
    let folder = file.parent();
    let folder = folder.filter(|folder| folder.is_absolute() && folder.parent().is_some());
    let extension = file.extension().and_then(|extension| extension.to_str());
    let is_file = folder.is_some() || extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
    let has_secret =
        named.contains("://") || named.contains(|c: char| c.is_whitespace() || "@=&?#;".contains(c));
    match is_file && !has_secret && named.len() <= LONGEST_NAME {
        true => format!("the file {}", path.display()),
        false => "the file that is named here, if it is a name and not the secret itself".to_owned(),
    }
}
