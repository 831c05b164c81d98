//! [`Seed`]: an input to begin with, made by a recipe where it is large.

/// The largest body of a frame that RabbitMQ sends by default, and so the largest input: 128 KiB without what stands
/// around it.
pub(crate) const FRAME: usize = 131_072 - 8;

/// More levels than any of our readers allow, and than a small stack has room for.
pub(crate) const DEEP: usize = 20_000;

/// An input to begin with.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The name of its file.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// Returns a seed of this name.
    pub(crate) fn new(name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            bytes: bytes.into(),
        }
    }

    /// Returns the same with these bytes in front, for a target whose first bytes are no part of the text.
    pub(crate) fn after(mut self, front: &[u8]) -> Self {
        self.bytes.splice(..0, front.iter().copied());
        self
    }
}

/// Returns something nested: `open` as often as `levels`, what is inside, and as many `close`.
pub(crate) fn nested(open: &str, levels: usize, inside: &str, close: &str) -> String {
    let mut text = open.repeat(levels);
    text.push_str(inside);
    text.push_str(&close.repeat(levels));
    text
}

/// Returns bodies in JSON: small ones of every kind, and those that are too large or too deep to be found by chance.
pub(crate) fn json_bodies() -> Vec<Seed> {
    let rich = r#"{"text":"Ünï \u0000 \ud83d\ude00","number":-0.1e-3,"small":1.5,"int":-9223372036854775808,"count":18446744073709551615,"maybe":null,"list":[{"number":1e308}],"map":{"a":[true,false,null,{"b":"c"}]},"kind":{"Named":{"x":1}}}"#;
    let wide = format!(
        r#"{{"map":{{{}}}}}"#,
        (0..4_000)
            .map(|n| format!(r#""k{n}":{n}.5"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    vec![
        Seed::new("rich", rich),
        Seed::new("empty", "{}"),
        Seed::new("null", "null"),
        Seed::new("mark", "\u{feff}{}"),
        Seed::new(
            "numbers",
            r#"{"map":{"a":1e400,"b":-0.0,"c":0.30000000000000004,"d":123456789012345678901234567890}}"#,
        ),
        Seed::new("kinds", r#"{"kind":"Plain","list":[{"kind":{"Wrapped":"x"}}]}"#),
        Seed::new("twice", r#"{"text":"a","text":"b"}"#),
        Seed::new("deep-lists", nested("[", DEEP, "", "]")),
        Seed::new("deep-objects", nested("{\"a\":", DEEP, "1", "}")),
        Seed::new("deep-open", "[".repeat(FRAME)),
        Seed::new("deep-requests", nested("{\"list\":[", 5_000, "", "]}")),
        Seed::new(
            "at-the-limit",
            format!("{{\"map\":{{\"a\":{}}}}}", nested("[", 125, "1", "]")),
        ),
        Seed::new(
            "long-text",
            format!("{{\"text\":\"{}\"}}", "\\u00e9".repeat(20_000)),
        ),
        Seed::new("long-number", format!("{{\"number\":{}}}", "9".repeat(100_000))),
        Seed::new("wide", wide),
    ]
}
