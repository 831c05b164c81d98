//! Files of settings, in both languages.

use std::cell::OnceCell;
use std::fs;

use tempfile::TempDir;

use crate::Target;
use crate::seed::{DEEP, FRAME, Seed, nested};

/// A file in TOML.
pub(crate) const TOML: Target = Target {
    name: "config_toml",
    run: |bytes| load(bytes, "toml"),
    seeds: toml_seeds,
};

/// A file in YAML.
pub(crate) const YAML: Target = Target {
    name: "config_yaml",
    run: |bytes| load(bytes, "yaml"),
    seeds: yaml_seeds,
};

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Loads a file with this text. Whatever is wrong with it can be told, and so can what is in it.
fn load(bytes: &[u8], language: &str) {
    let path = FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a folder for the file"));
        folder.path().join(format!("config.{language}"))
    });
    fs::write(&path, bytes).expect("the file is written");
    let told = match brighter::config::loader().file(&path).load() {
        Ok(config) => config.to_string(),
        Err(errors) => {
            assert!(errors.iter().count() > 0, "an error without a reason");
            errors.to_string()
        }
    };
    assert!(!told.contains('\0') || bytes.contains(&0), "{told:?}");
}

/// A setting of each kind.
const WHOLE: &str = r#"
[rabbitmq]
url = "amqp://guest:guest@localhost:5672/%2f"
heartbeat_interval = "10s"
[sweeper]
interval = "500ms"
batch = 100
[outbox]
type = "postgres"
url = "postgres://app:secret@localhost/app"
[subscriptions.orders]
channel = "orders"
performers = "2-8"
attempts = 5
delays = ["1s", "5s", "1m"]
rate = "100/s"
[policies.retry]
type = "retry"
attempts = 3
jitter = 0.5
"#;

fn toml_seeds() -> Vec<Seed> {
    let tables = (0..3_000)
        .map(|n| format!("[subscriptions.s{n}]\nattempts = {n}\n"))
        .collect::<String>();
    vec![
        Seed::new("whole", WHOLE),
        Seed::new("empty", ""),
        Seed::new(
            "dotted",
            "subscriptions.orders.attempts = 3\nsweeper = { interval = '1s' }\n",
        ),
        Seed::new(
            "wrong",
            "[sweper]\ninterval = 5\n[sweeper]\nbatch = -1\ninterval = \"1 year\"\n",
        ),
        Seed::new("deep-lists", format!("a = {}", nested("[", DEEP, "", "]"))),
        Seed::new(
            "deep-tables",
            format!("a = {}", nested("{ a = ", DEEP, "1", " }")),
        ),
        Seed::new("deep-dots", format!("{}a = 1", "a.".repeat(DEEP))),
        Seed::new("deep-header", format!("[{}a]", "a.".repeat(DEEP))),
        Seed::new("many", tables),
        Seed::new(
            "long",
            format!("[sweeper]\ninterval = \"{}\"", "9".repeat(FRAME - 100)),
        ),
    ]
}

const WHOLE_YAML: &str = r#"
rabbitmq:
  url: amqp://guest:guest@localhost:5672/%2f
  heartbeat_interval: 10s
sweeper: { interval: 500ms, batch: 100 }
outbox: &store
  type: postgres
  url: 'postgres://app:secret@localhost/app'
inbox: *store
subscriptions:
  orders:
    performers: "2-8"
    delays: [1s, 5s, 1m]
    attempts: 5
policies:
  retry:
    <<: {type: retry}
    jitter: 0.5
"#;

fn yaml_seeds() -> Vec<Seed> {
    // Each level names the one before it ten times.
    let laughs = (1..9).map(|n| {
        let before = format!("*a{}", n - 1);
        format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", "))
    });
    let laughs = format!("a0: &a0 lol\n{}", laughs.collect::<String>());
    let indented = (0..400)
        .map(|n| format!("{}a:\n", " ".repeat(n)))
        .collect::<String>();
    let many = (0..3_000)
        .map(|n| format!("  s{n}: {{attempts: {n}}}\n"))
        .collect::<String>();
    vec![
        Seed::new("whole", WHOLE_YAML),
        Seed::new("empty", ""),
        Seed::new("aliases", laughs),
        Seed::new("itself", "a: &a [*a]\n"),
        Seed::new("documents", "---\nsweeper: {}\n---\nsweeper: {}\n...\n"),
        Seed::new("block", "a: |+2\n    x\n\n  y\nb: >-\n  folded\n  text\n"),
        Seed::new("tags", "a: !!binary aGk=\nb: !x {}\n? [complex]\n: key\n"),
        Seed::new("deep-lists", nested("[", DEEP, "", "]")),
        Seed::new("deep-maps", nested("{a: ", DEEP, "1", "}")),
        Seed::new("deep-dashes", "- ".repeat(DEEP)),
        Seed::new("deep-questions", "? ".repeat(DEEP)),
        Seed::new("deep-indents", indented),
        Seed::new("many", format!("subscriptions:\n{many}")),
        Seed::new(
            "long",
            format!("sweeper:\n  interval: {}", "9".repeat(FRAME - 100)),
        ),
    ]
}
