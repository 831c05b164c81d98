//! Files that nobody means well with, or that a program wrote: read in little memory, and refused where they are too much.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::time::{Duration, Instant};

use brighter_config::{Config, ConfigErrors, Key, Loader, Section};

/// What may be taken, whatever is in the file.
const MOST: u64 = 64 * 1024 * 1024;

/// The largest file that is read.
const CAP: usize = 512 * 1024;

fn loader() -> Loader {
    let keys = [
        Key::count("buffer", 1..=65_535, "how many").synonyms(&["prefetch", "qos"]),
        Key::texts("routing_keys", "which"),
        Key::time("timeout", .., "how long").default("1m"),
    ];
    let sweeper = Section::new("sweeper", [Key::time("interval", .., "how often")]);
    Loader::new()
        .section(Section::named("subscriptions", keys))
        .section(sweeper)
}

struct Read {
    result: Result<Config, ConfigErrors>,
    bytes: u64,
    time: Duration,
}

fn read(kind: &str, text: &str) -> Read {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("settings.{kind}"));
    fs::write(&path, text).unwrap();
    let mut result = None;
    let begun = Instant::now();
    let counted = allocation_counter::measure(|| result = Some(loader().file(path).load()));
    Read {
        result: result.unwrap(),
        bytes: counted.bytes_max,
        time: begun.elapsed(),
    }
}

/// As many of these as fit, with their number in place of `@`.
fn filled(begin: &str, piece: &str, end: &str) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        let piece = piece.replace('@', &number.to_string());
        if text.len() + piece.len() + end.len() > CAP {
            break;
        }
        text.push_str(&piece);
    }
    text + end
}

fn toml() -> Vec<String> {
    let mut texts = vec![
        filled("a", ".a", " = 1"),
        filled("[a", ".a", "]"),
        filled("", "a@.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1\n", ""),
        filled("a=[", "1,", "1]"),
        filled("a=[", "[],", "1]"),
        filled("a=[", "{},", "1]"),
        filled("a=[", "{a.a.a.a.a.a=1},", "1]"),
        filled("a={", "a@=1,", "b=1}"),
        filled("", "[a]\n", ""),
        filled("", "[a@]\n", ""),
        filled("", "[[a]]\n", ""),
        filled("", "[[a]]\nb=1\n", ""),
        filled("", "[subscriptions.a@]\nbuffer=1\n", ""),
        filled("", "[subscriptions.a@]\n", ""),
        filled("[subscriptions]\n", "a@={buffer=1}\n", ""),
        filled("", "[subscriptions.a@]\nprefech=1\n", ""),
        filled("[sweeper]\n", "interva@='1s'\n", ""),
        filled("", "sweepe@=1\n", ""),
        filled("[subscriptions.a]\nrouting_keys=[", "'a',", "'b']"),
        filled("[subscriptions.a]\nrouting_keys=[", "'',", "'b']"),
        filled("a = \"", "x", "\""),
        filled("a = \"", "\\n", "\""),
        filled("a = '''", "\n", "'''"),
        filled("", "x", " = 1"),
        filled("", "#", ""),
        filled("", "a@=\n", ""),
        filled("", "a=1\n", ""),
        filled("", "a@=1\n", ""),
        filled("", "\"\"=1\n", ""),
        filled("", "a = 0x\n", ""),
        filled("", "a = 1.\n", ""),
    ];
    let single = "=.,[]{}\"'\n\r\t #\\ax1:\u{0}ä";
    texts.extend(single.chars().map(|c| filled("", &c.to_string(), "")));
    texts
}

fn yaml() -> Vec<String> {
    let long = "x".repeat(CAP / 2);
    let mut texts = vec![
        filled(&format!("a: &a {long}\nb: ["), "*a,", "*a]"),
        filled(&format!("a: &a {{k: {long}}}\nb: ["), "*a,", "*a]"),
        filled(&format!("a: &a {{{long}: 1}}\nb: ["), "*a,", "*a]"),
        filled("a: &a [", "x,", "x]\nb: [*a,*a,*a]\n"),
        filled("k: &k x\n", "k@: &k [*k,*k]\n", ""),
        filled("", "k@: &k@ x\n", ""),
        filled("&a [&b [&c [&d [&e [&f [&g [", "x,", "x]]]]]]]"),
        filled("", "[", ""),
        filled("", "{a: ", ""),
        filled("", "- ", "a"),
        filled("", "? ", "a"),
        filled("", "!t ", "a"),
        filled("", "!!t ", "a"),
        filled("", "&a ", "a"),
        filled("", "*a ", ""),
        filled("", "%TAG !a@! x\n", "---\n"),
        filled("", "---\n", ""),
        filled("", "--- x\n...\n", ""),
        filled("", "a@: 1\n", ""),
        filled("", "a: 1\n", ""),
        filled("", "? a@\n", ""),
        filled("{", "a@: 1, ", "b: 1}"),
        filled("{", "a@, ", "b}"),
        filled("{", "[a]: 1, ", "b}"),
        filled("subscriptions:\n", "  a@: {buffer: 1}\n", ""),
        filled("subscriptions:\n", "  a@:\n", ""),
        filled("subscriptions:\n", "  a@: {prefech: 1}\n", ""),
        filled("subscriptions: {a: &a {buffer: 1}, ", "a@: *a, ", "b: *a}"),
        filled("a: \"", "x ", "\""),
        filled("a: \"", "\\n", "\""),
        filled("a: \"", "x\n ", "\""),
        filled("a: |\n", "  x\n", ""),
        filled("a: >\n", "  x\n\n", ""),
        filled("a: ", "x\n  ", ""),
        filled("", "x", ": 1"),
        filled("a: ", "[]", ""),
        filled("\"", "x", "\": 1"),
        filled("", "a: b: ", ""),
        (0..700).map(|depth| " ".repeat(depth) + "a:\n").collect(),
    ];
    let single = ":-?[]{},&*!|>'\"%@`#\n\r\t \\ax1\u{0}ä";
    texts.extend(single.chars().map(|c| filled("", &c.to_string(), "")));
    texts
}

#[test]
fn no_file_takes_more_memory_than_there_is_for_it() {
    for (kind, texts) in [("toml", toml()), ("yaml", yaml())] {
        let (mut bytes, mut time) = ((0, String::new()), (Duration::ZERO, String::new()));
        for text in texts {
            assert!(text.len() <= CAP);
            let read = read(kind, &text);
            let begin: String = text.chars().take(60).collect();
            assert!(
                read.bytes <= MOST,
                "{kind}, {begin:?}: {} MB in {:?}",
                read.bytes >> 20,
                read.time
            );
            if let Err(errors) = &read.result {
                let told = errors.to_string();
                assert!(told.len() < 64 * 1024, "{kind}, {begin:?}: {} bytes", told.len());
            }
            bytes = bytes.max((read.bytes, begin.clone()));
            time = time.max((read.time, begin));
        }
        println!(
            "{kind}: at most {:.1} MB for {:?}, and {:?} for {:?}",
            bytes.0 as f64 / f64::from(1 << 20),
            bytes.1,
            time.0,
            time.1
        );
    }
}

/// Pieces of both languages in any order, by a generator of its own so that a failure comes again.
#[test]
fn no_mixture_takes_more_memory_than_there_is_for_it() {
    const PIECES: [&str; 32] = [
        "[",
        "]",
        "{",
        "}",
        ",",
        "=",
        ".",
        ":",
        ": ",
        "\n",
        "\n- ",
        "\n  ",
        " ",
        "a",
        "'",
        "\"",
        "#",
        "&a ",
        "*a",
        "!x ",
        "|\n",
        ">\n",
        "1",
        "sweeper",
        "subscriptions",
        "\n[subscriptions.a]\n",
        "buffer=1\n",
        "\nsubscriptions:\n  a:\n    ",
        "buffer: 1\n",
        "? ",
        "<<",
        "\\",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for round in 0..24 {
        let some: Vec<_> = (0..1 + next(6)).map(|_| PIECES[next(PIECES.len())]).collect();
        let mut text = String::new();
        while text.len() + 32 < CAP / 4 {
            text.push_str(some[next(some.len())]);
        }
        for kind in ["toml", "yaml"] {
            let read = read(kind, &text);
            assert!(
                read.bytes <= MOST,
                "{round} {kind} {some:?}: {} MB",
                read.bytes >> 20
            );
        }
    }
}

#[test]
fn too_large_a_file_is_refused_unread() {
    let read = read("toml", &"#".repeat(CAP + 1));
    let told = read.result.unwrap_err().to_string();
    assert!(
        told.ends_with("the file cannot be read: it has more than 524288 bytes"),
        "{told}"
    );
}

/// What took 15 seconds: a line was counted anew for each value.
#[test]
fn thousands_of_subscriptions_are_read_with_their_lines() {
    let toml = |n: usize| {
        format!(
            "[subscriptions.orders-{n}]\nbuffer = {}\nrouting_keys = [\"a\", \"b\"]\n\n",
            n + 1
        )
    };
    let yaml = |n: usize| format!("  orders-{n}:\n    buffer: {}\n    routing_keys: [a, b]\n", n + 1);
    let toml: String = (0..4_000).map(toml).collect();
    let yaml: String = (0..4_000).map(yaml).collect();
    for (kind, text, line) in [
        ("toml", toml, 4 * 3_999 + 2),
        ("yaml", format!("subscriptions:\n{yaml}"), 3 * 3_999 + 3),
    ] {
        let read = read(kind, &text);
        println!("{kind}: {} MB, {:?}", read.bytes >> 20, read.time);
        assert!(read.bytes <= MOST, "{kind}: {} MB", read.bytes >> 20);
        let config = read.result.unwrap();
        assert_eq!(config.tables("subscriptions").count(), 4_000);
        let last = config.named_table("subscriptions", "orders-3999").unwrap();
        assert_eq!(last.count("buffer"), Some(4_000));
        assert!(
            last.origin_of("buffer")
                .to_string()
                .ends_with(&format!(":{line}")),
            "{}",
            last.origin_of("buffer")
        );
    }
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted() {
    let mistakes: String = (0..2_000).map(|n| format!("a{n} = 1\n")).collect();
    let read = read("toml", &format!("[sweeper]\n{mistakes}"));
    let errors = read.result.unwrap_err();
    assert_eq!(errors.iter().count(), 101);
    let told = errors.to_string();
    assert!(
        told.ends_with("\n  - 1900 more things are wrong; correct those above first"),
        "{told}"
    );
}

#[test]
fn a_foreign_name_of_a_setting_suggests_ours() {
    for (key, told) in [
        ("prefech", "did you mean `buffer`?"),
        ("prefetch", "did you mean `buffer`?"),
        ("QOS", "there are: buffer, routing_keys, timeout"),
        ("qos", "did you mean `buffer`?"),
        ("bufer", "did you mean `buffer`?"),
    ] {
        let read = read("toml", &format!("[subscriptions.a]\n{key} = 1\n"));
        let error = read.result.unwrap_err().to_string();
        assert!(error.ends_with(told), "{error}");
    }
    let variable = [("BRIGHTER_SUBSCRIPTIONS_A_PREFECH", "1")];
    let error = loader().variables(variable).load().unwrap_err().to_string();
    assert!(
        error.ends_with("did you mean `BRIGHTER_SUBSCRIPTIONS_A_BUFFER`?"),
        "{error}"
    );
}

/// A FIFO that nobody writes into, as the file of a secret and as the file of settings.
#[cfg(unix)]
#[test]
fn an_endless_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo.toml");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let told = loader().file(&fifo).load().unwrap_err().to_string();
    assert!(told.contains("a pipe, a socket or a device"), "{told}");
    for secret in [fifo.to_str().unwrap(), "/dev/zero"] {
        let token = Section::new("shop", [Key::secret("token", "a token")]);
        let variables = [("BRIGHTER_SHOP_TOKEN_FILE", secret)];
        let told = Loader::new()
            .section(token)
            .variables(variables)
            .load()
            .unwrap_err();
        assert!(
            told.to_string().contains("a pipe, a socket or a device"),
            "{told}"
        );
    }
}
