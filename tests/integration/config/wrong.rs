//! Wrong configurations, each with what is said of it.
//!
//! A case is `cases/NN-name.toml` or `.yaml`, `cases/NN-name.env` with variables, or both; what is said stands in
//! `cases/NN-name.expected`. `BRIGHTER_TEST_UPDATE=1` writes those files anew: read them before you commit them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::program;

/// Beside the manifest, where tests run.
const FOLDER: &str = "integration/config/cases";

#[derive(Default)]
struct Case {
    file: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

fn cases() -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::<String, Case>::new();
    for entry in fs::read_dir(FOLDER).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        match path.extension().unwrap().to_str().unwrap() {
            "toml" | "yaml" => cases.entry(name).or_default().file = Some(path),
            "env" => {
                let text = fs::read_to_string(&path).unwrap();
                let variables = text.lines().map(|line| line.split_once('=').unwrap());
                let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
                cases.entry(name).or_default().variables = variables.collect();
            }
            "expected" => {}
            other => panic!("no case has a file .{other}"),
        }
    }
    cases
}

#[tokio::test]
async fn every_configuration_error_has_place_and_advice() {
    let update = std::env::var_os("BRIGHTER_TEST_UPDATE").is_some();
    let cases = cases();
    assert!(cases.len() >= 30, "there are {} cases", cases.len());
    let mut differ = Vec::new();
    for (name, case) in cases {
        let said = match program::start(case.file.as_deref(), case.variables) {
            Ok(()) => "nothing is wrong".to_owned(),
            Err(said) => said.replace(&format!("{FOLDER}/"), ""),
        };
        assert!(!said.contains("hunter2"), "{name} tells a password: {said}");
        let path = Path::new(FOLDER).join(format!("{name}.expected"));
        let said = format!("{said}\n");
        if update {
            fs::write(&path, said).unwrap();
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&said) {
            differ.push(format!("{name}:\n{said}"));
        }
    }
    assert!(
        differ.is_empty(),
        "said otherwise than in the `.expected` files:\n\n{}",
        differ.join("\n")
    );
}
