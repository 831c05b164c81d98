//! Tests sections that a third party's transport declares and reads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use brighter_config::{Config, ConfigErrors, Key, Loader, Origin, Section};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

/// Returns a section with one key of each kind.
fn kafka() -> Section {
    Section::new(
        "kafka",
        [
            Key::secret("password", "the password").needs("user", "a password needs its user"),
            Key::text("user", "the user").excludes("certificate", "one of them says who it is"),
            Key::text("certificate", "a file"),
            Key::texts("servers", "the servers").default("one, two"),
            Key::table_name("offsets", "the table of offsets"),
            Key::one_of("acks", &["none", "all"], "which acks it waits for"),
            Key::flag("compress", "whether it compresses").excludes_word(
                "acks",
                "none",
                "no ack tells of a fault",
            ),
            Key::count("batch", 1..100, "how many at once"),
            Key::share("ratio", 0.0..=1.0, "how much of it"),
            Key::time("heartbeat_interval", SECONDS(1)..SECONDS(60), "how often").documented_default("3s"),
            Key::time_or("start_timeout", SECONDS(1).., "never", "how long a start takes").default("never"),
            Key::times("retry_delays", "how long it waits"),
            Key::range("streams", 1..=8, "how many streams"),
            Key::rate("rate", "how fast"),
        ],
    )
}

/// Returns a section with tables of two types; the name of a table may imply one of them.
fn alarms() -> Section {
    Section::named(
        "alarms",
        [
            Key::types("type", &["mail", "page"], &["page"], "how it is sent")
                .required("write `mail` or `page`"),
            Key::text("address", "where to")
                .only_for(&["mail"])
                .required("write an address"),
            Key::text("sound", "what it plays")
                .only_for(&["page"])
                .default("bell"),
            Key::time("pause", .., "how long until the next").only_for(&["page"]),
        ],
    )
}

fn load(section: Section, settings: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let mut loader = Loader::new().section(section);
    for (key, value) in settings {
        loader = loader.set(format!("--{key}"), *key, value);
    }
    loader.load()
}

fn wrong(section: Section, settings: &[(&str, &str)]) -> String {
    load(section, settings).unwrap_err().to_string()
}

#[test]
fn a_table_reads_each_kind_of_key() {
    let config = load(
        kafka(),
        &[
            ("kafka.password", "hidden"),
            ("kafka.user", "me"),
            ("kafka.offsets", "my_offsets"),
            ("kafka.acks", "all"),
            ("kafka.compress", "true"),
            ("kafka.batch", "99"),
            ("kafka.ratio", "0.25"),
            ("kafka.heartbeat_interval", "59999ms"),
            ("kafka.retry_delays", "1s, 2s"),
            ("kafka.streams", "2 to 8"),
            ("kafka.rate", "50/s"),
        ],
    );
    let config = config.unwrap();
    let table = config.table("kafka").unwrap();
    assert_eq!(table.secret("password").unwrap().expose(), "hidden");
    assert_eq!(table.text("user"), Some("me"));
    assert_eq!(table.text("offsets"), Some("my_offsets"));
    assert_eq!(table.text("acks"), Some("all"));
    assert_eq!(table.flag("compress"), Some(true));
    assert_eq!(table.count("batch"), Some(99));
    assert_eq!(table.share("ratio"), Some(0.25));
    assert_eq!(
        table.time("heartbeat_interval"),
        Some(Duration::from_millis(59_999))
    );
    assert_eq!(table.times("retry_delays"), Some(&[SECONDS(1), SECONDS(2)][..]));
    assert_eq!(table.range("streams"), Some(2..=8));
    assert_eq!(table.rate("rate"), Some((50, SECONDS(1))));
}

#[test]
fn a_default_is_a_value_but_not_a_documented_one() {
    let config = load(kafka(), &[]).unwrap();
    let table = config.table("kafka").unwrap();
    assert_eq!(table.texts("servers").unwrap(), ["one", "two"]);
    assert_eq!(table.time_or_none("start_timeout"), Some(None));
    assert_eq!(table.origin_of("servers"), &Origin::Default);
    assert!(!table.has("heartbeat_interval"));
    let shown = config.to_string();
    assert!(shown.contains("\nservers = [\"one\", \"two\"]"), "{shown}");
    assert!(shown.contains("\n# heartbeat_interval = 3s"), "{shown}");
    for default in ["| `servers` | `one, two` |", "| `heartbeat_interval` | `3s` |"] {
        assert!(config.reference().contains(default), "{}", config.reference());
    }
}

#[test]
fn a_number_outside_its_range_is_refused() {
    for (key, value, reason) in [
        ("kafka.batch", "0", "it goes from 1 to 99"),
        ("kafka.batch", "100", "it goes from 1 to 99"),
        ("kafka.heartbeat_interval", "999ms", "it is 1s at least"),
        ("kafka.heartbeat_interval", "1m", "it is 59s999ms at most"),
        ("kafka.start_timeout", "36500d", "it is 3650d at most"),
        ("kafka.streams", "2 to 9", "it goes from 1 to 8"),
    ] {
        let told = wrong(kafka(), &[(key, value)]);
        assert!(told.ends_with(reason), "{key} = {value}: {told}");
    }
}

#[test]
fn keys_that_need_or_exclude_another_are_told() {
    assert_eq!(
        wrong(kafka(), &[("kafka.password", "hidden")]),
        "--kafka.password: `kafka.user` is missing: `password` is there, and a password needs its user"
    );
    assert_eq!(
        wrong(kafka(), &[("kafka.user", "me"), ("kafka.certificate", "me.pem")]),
        "--kafka.user: `kafka.user` and `certificate` do not go together: one of them says who it is"
    );
    let compress = ("kafka.compress", "true");
    assert_eq!(
        wrong(kafka(), &[compress, ("kafka.acks", "none")]),
        "--kafka.compress: `kafka.compress` and `acks` do not go together: no ack tells of a fault"
    );
    assert!(load(kafka(), &[compress, ("kafka.acks", "all")]).is_ok());
}

#[test]
fn a_table_has_the_keys_of_its_type() {
    let config = load(
        alarms(),
        &[
            ("alarms.page.pause", "5m"),
            ("alarms.night.type", "mail"),
            ("alarms.night.address", "me@host"),
        ],
    );
    let config = config.unwrap();
    let tables: Vec<_> = config.tables("alarms").collect();
    let types: Vec<_> = tables
        .iter()
        .map(|table| (table.name(), table.type_name()))
        .collect();
    assert_eq!(types, [("night", Some("mail")), ("page", Some("page"))]);
    assert_eq!(
        (tables[0].text("sound"), tables[1].text("sound")),
        (None, Some("bell"))
    );
    let night = config.named_table("alarms", "NIGHT").unwrap();
    assert!(night.is_named("night") && !night.is_named("day"));
    assert_eq!(night.nearest_name(["nigth", "page"]).as_deref(), Some("nigth"));
    assert!(config.table("alarms").is_none());
    assert_eq!(
        night.impossible("address", "it is no address").to_string(),
        "--alarms.night.address: `alarms.night.address` cannot be \"me@host\": it is no address"
    );
}

#[test]
fn a_table_without_what_its_type_requires_is_told() {
    for (settings, told) in [
        (
            &[("alarms.night.pause", "5m")][..],
            "--alarms.night.pause: `alarms.night.type` is missing: write `mail` or `page`",
        ),
        (
            &[("alarms.night.type", "mail")],
            "--alarms.night.type: `alarms.night.address` is missing: write an address",
        ),
        (
            &[("alarms.page.address", "me@host")],
            "--alarms.page.address: `alarms.page.address` and `type = \"page\"` do not go together: it has sound, pause",
        ),
    ] {
        assert_eq!(wrong(alarms(), settings), told);
    }
    assert!(load(alarms(), &[]).is_ok());
}

#[test]
fn a_required_key_is_missing_without_its_section_too() {
    let section = Section::new("shop", [Key::text("token", "a token").required("write one")]);
    assert_eq!(wrong(section, &[]), "default: `shop.token` is missing: write one");
}

#[test]
fn a_section_that_is_declared_wrong_is_told() {
    let key = || Key::text("title", "a title");
    assert_eq!(
        wrong(Section::new("shop", [key(), key()]), &[]),
        "the program: `shop.title` is there already, by the program: keep one"
    );
    assert_eq!(
        wrong(Section::new("shop", [key().needs("tilte", "it does")]), &[]),
        "the program: `shop` has no key `tilte`; did you mean `title`?"
    );
    let twice = Loader::new().section(Section::new("shop", [key()]));
    let twice = twice.section(Section::new("shop", [key()]));
    assert_eq!(
        twice.load().unwrap_err().to_string(),
        "the program: `shop` is there already, by the program: keep one"
    );
}

#[test]
fn a_secret_is_shown_as_three_stars_in_every_form() {
    let secret = brighter_config::Secret::new("hidden");
    assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
}

#[test]
fn the_file_of_a_secret_has_at_most_64_kib() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let load = |bytes: usize| {
        std::fs::write(&file, "s".repeat(bytes)).unwrap();
        let loader = Loader::new().section(kafka());
        let loader = loader.set("test", "kafka.user", "me");
        loader
            .set("test", "kafka.password_file", file.to_str().unwrap())
            .load()
    };
    let config = load(64 * 1024).unwrap();
    let secret = config.table("kafka").unwrap().secret("password").unwrap();
    assert_eq!(secret.expose().len(), 64 * 1024);
    let refused = load(64 * 1024 + 1).unwrap_err();
    assert!(format!("{refused:?}").contains("kafka.password"), "{refused:?}");
}
