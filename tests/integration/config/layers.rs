//! Which of several sources wins, and what is shown of it.

use std::fs;

use brighter::channel::Performers;
use brighter::config::{Config, Key, Origin, Section};
use brighter::transport::rabbitmq::RabbitMqBuilder;

use super::program;

const TOML: &str = "\
[rabbitmq]
url_file = \"url.txt\"

[sweeper]
interval = \"200ms\"
batch = 50

[subscriptions.task-reminders]
performers = \"2 to 4\"
delays = [\"1s\", \"1m30s\"]

[subscriptions.task-overdue]

[policies.retry]
attempts = 6

[shop]
token = \"hunter2\"
";

const YAML: &str = "\
rabbitmq:
  url_file: url.txt
sweeper:
  interval: 200ms
  batch: 50
subscriptions:
  task-reminders: &two
    performers: 2 to 4
    delays: [1s, 1m30s]
  task-overdue:
policies:
  retry: {attempts: 6}
shop:
  token: hunter2
";

fn load(name: &str, text: &str) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    fs::write(folder.path().join("url.txt"), "amqp://me:hunter2@localhost/v\n").unwrap();
    let config = brighter::config::loader()
        .section(Section::new(
            "shop",
            [Key::secret("token", "what the bank knows us by")],
        ))
        .default_of("sweeper.lease", "7s")
        .default_of("sweeper.batch", "7")
        .file(folder.path().join(name))
        .variables([
            ("BRIGHTER_SWEEPER_BATCH", "60"),
            ("BRIGHTER_SWEEPER_ATTEMPTS", "61"),
            ("BRIGHTER_SUBSCRIPTIONS_TASK_OVERDUE_PERFORMERS", "3"),
            ("BRIGHTER_PORT_80_TCP", "tcp://of.kubernetes"),
            ("PATH", "/bin"),
        ])
        .set("--attempts", "sweeper.attempts", 62)
        .load()
        .unwrap();
    (folder, config)
}

#[test]
fn arguments_override_variables_files_and_code() {
    for (name, text, lines) in [("brighter.toml", TOML, [2, 5]), ("brighter.yaml", YAML, [2, 4])] {
        let (folder, config) = load(name, text);
        let file = folder.path().join(name).display().to_string();
        let shown = config.to_string();
        let origin = |key: &str| {
            let line = shown.lines().find(|line| line.starts_with(&format!("{key} = ")));
            let (value, origin) = line.unwrap().split_once(" # ").unwrap();
            (value.trim().to_owned(), origin.to_owned())
        };
        let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
        assert_eq!(origin("lease"), pair("lease = \"7s\"", "the program"));
        assert_eq!(
            origin("interval"),
            pair("interval = \"200ms\"", &format!("{file}:{}", lines[1]))
        );
        assert_eq!(origin("batch"), pair("batch = 60", "BRIGHTER_SWEEPER_BATCH"));
        let overdue = shown.split("[subscriptions.task-overdue]").nth(1).unwrap();
        assert!(
            overdue.lines().any(|line| line.starts_with("performers = 3 ")),
            "{shown}"
        );
        let url = format!(
            "{}, by {file}:{}",
            folder.path().join("url.txt").display(),
            lines[0]
        );
        assert_eq!(origin("url"), pair("url = \"amqp://***@localhost/v\"", &url));
        assert!(
            shown
                .lines()
                .any(|line| line.starts_with("attempts = 62 ") && line.ends_with("# --attempts"))
        );
        assert!(
            shown
                .lines()
                .any(|line| line.starts_with("# min_age = 0s") && line.ends_with("# default"))
        );
        assert!(
            !shown.contains("hunter2") && !format!("{config:?}").contains("hunter2"),
            "{shown}"
        );
        assert_eq!(config.secret("shop", "token").unwrap().expose(), "hunter2");
        assert!(matches!(config.origin("shop", "token"), Origin::File { line, .. } if line > 10));
    }
}

#[tokio::test]
async fn settings_reach_the_program() {
    let (_folder, config) = load("brighter.toml", TOML);
    assert!(format!("{:?}", RabbitMqBuilder::from_config(&config).unwrap()).contains("amqp://localhost/v"));
    let dispatcher = program::build(&config).unwrap();
    let status = dispatcher.status();
    let performers: Vec<_> = status
        .iter()
        .map(|status| (status.name.as_str(), status.scale))
        .collect();
    assert_eq!(
        performers,
        [
            ("task-overdue", Performers::from(3)),
            ("task-reminders", Performers::from(2..=4))
        ]
    );
    let steps: Vec<_> = dispatcher
        .processor()
        .describe()
        .flat_map(|pipeline| &pipeline.steps)
        .collect();
    assert!(
        steps
            .iter()
            .any(|step| step.detail.starts_with("retry: retry, 6 attempts")),
        "{steps:?}"
    );
}

#[test]
fn the_list_in_the_documentation_is_complete() {
    let path = "../docs/book/src/reference/configuration-keys.md";
    let text = fs::read_to_string(path).unwrap();
    let mark = "<!-- Written by `BRIGHTER_TEST_UPDATE=1 cargo test -p brighter-tests config::`. -->\n";
    let (before, after) = text.split_once(mark).unwrap();
    let reference = brighter::config::loader().load().unwrap().reference();
    if std::env::var_os("BRIGHTER_TEST_UPDATE").is_some() {
        fs::write(path, format!("{before}{mark}{reference}")).unwrap();
    } else {
        assert_eq!(after, reference, "run what the mark in {path} says");
    }
}
