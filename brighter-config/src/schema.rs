//! Every setting of brighter's own, with its default. `docs/configuration.md` is written from it.

use std::borrow::Cow;

use super::key::Key;

/// A section that there is.
#[derive(Debug, Clone)]
pub struct Known {
    pub name: &'static str,
    /// Whether it has a table for each of many names: `[subscriptions.orders]`.
    pub named: bool,
    pub keys: Cow<'static, [Key]>,
}

impl Known {
    const fn one(name: &'static str, keys: &'static [Key]) -> Self {
        Self {
            name,
            named: false,
            keys: Cow::Borrowed(keys),
        }
    }

    const fn many(name: &'static str, keys: &'static [Key]) -> Self {
        Self {
            name,
            named: true,
            keys: Cow::Borrowed(keys),
        }
    }
}

pub const SUBSCRIPTIONS: &str = "subscriptions";
pub const POLICIES: &str = "policies";
pub const RETRY: &str = "retry";
pub const CIRCUIT_BREAKER: &str = "circuit_breaker";
pub const TIMEOUT: &str = "timeout";
pub const CONCURRENCY_LIMIT: &str = "concurrency_limit";
pub const RATE_LIMIT: &str = "rate_limit";

/// The sections of brighter's own.
pub static SCHEMA: &[Known] = &[
    Known::one("rabbitmq", RABBITMQ),
    Known::one("outbox", OUTBOX),
    Known::one("inbox", INBOX),
    Known::one("sweeper", SWEEPER),
    Known::one("archiver", ARCHIVER),
    Known::one("sqlite_broker", SQLITE_BROKER),
    Known::one("dispatcher", DISPATCHER),
    Known::one("control", CONTROL),
    Known::one("health", HEALTH),
    Known::many(SUBSCRIPTIONS, SUBSCRIPTION),
    Known::many(POLICIES, POLICY),
];

const MAKE: &[&str] = &["create", "validate", "assume"];
const QUEUE_TYPES: &[&str] = &["classic", "quorum"];
const MAX_U32: u64 = u32::MAX as u64;

static RABBITMQ: &[Key] = &[
    Key::secret(
        "url",
        "where the broker is: `amqp://user:password@host:5672/vhost`, or several with commas between them",
    ),
    Key::text(
        "exchange",
        "the exchange that all share who speak with each other",
    )
    .or("brighter"),
    Key::one_of(
        "exchange_kind",
        &["topic", "direct", "fanout"],
        "how it compares topics with routing keys",
    )
    .or("topic"),
    Key::one_of(
        "make_exchange",
        MAKE,
        "whether the exchange is made, looked for, or taken for granted",
    )
    .or("create"),
    Key::one_of(
        "queue_type",
        QUEUE_TYPES,
        "how channels are kept that do not say; else the virtual host's default",
    ),
    Key::time_or(
        "consumer_timeout",
        1000,
        "off",
        "the broker's own `consumer_timeout`, which it does not tell",
    )
    .or("30m"),
    Key::text(
        "connection_name",
        "what the broker's lists show; else the name of the program",
    ),
    Key::time("heartbeat", 1000, "a lost network is noticed within twice this").or("10s"),
    Key::time("confirm_within", 1, "how long a publish may wait for its confirm").or("30s"),
    Key::time_or(
        "wait_for_broker",
        0,
        "forever",
        "how long a start waits for a broker that is away",
    )
    .or("30s"),
    Key::count(
        "max_message_bytes",
        1,
        MAX_U32,
        "the largest body that is published",
    )
    .or("16777216"),
    Key::text(
        "tls_authority",
        "a file of the certificates to trust, in place of the system's",
    ),
    Key::text(
        "tls_certificate",
        "a file of this client's certificate and those between it and its authority",
    ),
    Key::text("tls_key", "the file of its key"),
    Key::text(
        "tls_server_name",
        "the name in the server's certificate, if it is not the host's",
    ),
];

static OUTBOX: &[Key] = &[
    Key::table("table", "the table of the messages").or("brighter_outbox"),
    Key::count(
        "limit",
        1,
        u64::MAX,
        "how many messages may be outstanding; else as many as the disk holds",
    ),
];

static INBOX: &[Key] = &[
    Key::table("table", "the table of what was handled").or("brighter_inbox"),
    Key::time("retention", 1000, "how long what was handled is remembered").or("7d"),
];

static SWEEPER: &[Key] = &[
    Key::flag("enabled", "whether this process sweeps the outbox").or("true"),
    Key::time("interval", 1, "how often the outbox is looked at").or("1s"),
    Key::time("min_age", 0, "younger messages are left alone").or("0s"),
    Key::count("batch", 1, 100_000, "how many messages are sent at once").or("100"),
    Key::time("lease", 1000, "how long messages are claimed for").or("1m"),
    Key::count(
        "attempts",
        1,
        MAX_U32,
        "how often the broker may refuse a message before it is dead",
    )
    .or("100"),
];

static ARCHIVER: &[Key] = &[
    Key::time_or(
        "after",
        1000,
        "never",
        "how long what was sent stays in the outbox; else as long as the program says, or for ever",
    ),
    Key::flag(
        "move",
        "whether it is moved to the table called like the outbox's with `_archive` after it, or deleted",
    )
    .or("false"),
    Key::time_or("dead_after", 1000, "never", "how long the dead stay").or("never"),
    Key::count("batch", 1, 100_000, "how many are taken at once").or("1000"),
    Key::time("interval", 100, "how often it looks").or("1m"),
];

static SQLITE_BROKER: &[Key] = &[
    Key::time(
        "lease",
        100,
        "how long a process that says nothing is taken to be alive",
    )
    .or("15s"),
    Key::count(
        "size_limit",
        1,
        u64::MAX,
        "how many bytes the file may have before nothing more is published; else as many as the disk holds",
    ),
    Key::time("confirm_within", 1, "how long a publish may take").or("30s"),
];

static CONTROL: &[Key] = &[Key::secret(
    "secret",
    "what those who may control the dispatchers share, 32 bytes or more, as `openssl rand -hex 32` makes them",
)];

static DISPATCHER: &[Key] = &[Key::time(
    "drain",
    0,
    "how long handlers have to finish when the dispatcher ends",
)
.or("20s")];

static HEALTH: &[Key] = &[
    Key::time("oldest", 1, "the outbox is stuck when a message waits for longer").or("5m"),
    Key::time("deadline", 1, "how long the outbox has to answer").or("2s"),
    Key::time("fresh_for", 0, "how long an answer of the outbox is good for").or("5s"),
];

static SUBSCRIPTION: &[Key] = &[
    Key::text("channel", "what it reads; else its name"),
    Key::texts("routing_keys", "the topics it wants; else those of its requests"),
    Key::performers(
        "performers",
        "how many read the channel: `4`, or `2 to 8` by the work there is",
    )
    .or("1"),
    Key::count(
        "concurrency",
        1,
        100_000,
        "how many messages each performer handles at once",
    )
    .or("1"),
    Key::rate("rate", "how fast all together begin; else as fast as they can"),
    Key::count(
        "buffer",
        1,
        65_535,
        "how many messages each performer has in memory",
    )
    .or("10"),
    Key::time(
        "timeout",
        1,
        "how long one handling may take; else 5m, which is left out of the sums of `build()`",
    ),
    Key::count(
        "attempts",
        1,
        MAX_U32,
        "how often a message is delivered before it is a dead letter",
    )
    .or("5"),
    Key::times("delays", "how long it waits before each further delivery").or("1s, 5s, 15s, 1m"),
    Key::count(
        "redeliveries",
        0,
        MAX_U32,
        "how often the broker may deliver what nobody settles; 0 for any number",
    )
    .or("20"),
    Key::count(
        "unacceptable_limit",
        0,
        MAX_U32,
        "stops after so many were set aside; 0 for never",
    )
    .or("0"),
    Key::time(
        "unacceptable_window",
        1000,
        "the time in which they are counted; else for ever",
    ),
    Key::text(
        "dead_letters",
        "where what could not be handled goes; else `<channel>.dlq`",
    ),
    Key::text(
        "invalid_messages",
        "where what could not be understood goes; else `<channel>.invalid`",
    ),
    Key::one_of(
        "make_channel",
        MAKE,
        "whether the channel is made, looked for, or taken for granted",
    )
    .or("create"),
    Key::one_of(
        "queue_type",
        QUEUE_TYPES,
        "how the broker keeps it; else as `rabbitmq.queue_type` says",
    ),
    Key::time(
        "time_to_live",
        1,
        "what has waited this long is a dead letter; else nothing is",
    ),
    Key::count(
        "length_limit",
        1,
        MAX_U32,
        "how many messages may wait; else any number",
    ),
    Key::one_of(
        "overflow",
        &["refuse_newest", "dead_letter_oldest"],
        "what becomes of one more",
    )
    .or("refuse_newest"),
    Key::count(
        "delivery_limit",
        1,
        MAX_U32,
        "how often the broker delivers a message before it sets it aside itself",
    ),
    Key::flag(
        "single_active_consumer",
        "whether one consumer at a time gets messages",
    )
    .or("false"),
    Key::count("priorities", 1, 255, "the highest priority; else all are alike"),
];

const KINDS: &[&str] = &[RETRY, CIRCUIT_BREAKER, TIMEOUT, CONCURRENCY_LIMIT, RATE_LIMIT];

static POLICY: &[Key] = &[
    Key::one_of(
        "type",
        KINDS,
        "which policy it is; what `retry` and `circuit_breaker` are says their name",
    ),
    Key::count("attempts", 1, MAX_U32, "how many attempts there are in all")
        .or("4")
        .of(&[RETRY]),
    Key::one_of(
        "wait",
        &["fixed", "exponential", "decorrelated"],
        "how the waits between them grow",
    )
    .or("exponential")
    .of(&[RETRY]),
    Key::time("first", 0, "the first wait; each, if they are fixed")
        .or("50ms")
        .of(&[RETRY]),
    Key::time("longest", 0, "the longest wait").or("10s").of(&[RETRY]),
    Key::share("budget", 0.0, 1000.0, "retries for each call at most, over all")
        .or("0.2")
        .of(&[RETRY]),
    Key::count("budget_per_second", 0, MAX_U32, "retries a second besides")
        .or("10")
        .of(&[RETRY]),
    Key::count("failures", 1, MAX_U32, "opens after so many failures in a row")
        .or("10")
        .of(&[CIRCUIT_BREAKER]),
    Key::share(
        "failure_rate",
        0.000_001,
        1.0,
        "or when this share of the calls failed",
    )
    .of(&[CIRCUIT_BREAKER]),
    Key::time("window", 100, "of the calls within this time").of(&[CIRCUIT_BREAKER]),
    Key::count("window_calls", 1, 1_000_000, "or of so many last calls").of(&[CIRCUIT_BREAKER]),
    Key::count(
        "minimum_calls",
        0,
        MAX_U32,
        "says nothing before it has seen so many",
    )
    .or("10")
    .of(&[CIRCUIT_BREAKER]),
    Key::time("open_for", 1, "how long it stays open")
        .or("5s")
        .of(&[CIRCUIT_BREAKER]),
    Key::count("probes", 1, MAX_U32, "how many calls it tries at a time")
        .or("1")
        .of(&[CIRCUIT_BREAKER]),
    Key::count("closes_after", 1, MAX_U32, "closes after so many successes")
        .or("1")
        .of(&[CIRCUIT_BREAKER]),
    Key::share("jitter", 0.0, 1.0, "spreads times at random by this share").of(&[RETRY, CIRCUIT_BREAKER]),
    Key::time("after", 1, "gives up after this long").of(&[TIMEOUT]),
    Key::count("at_most", 1, 1_000_000, "how many calls run at a time").of(&[CONCURRENCY_LIMIT]),
    Key::rate("rate", "how many calls begin within a time").of(&[RATE_LIMIT]),
    Key::time("wait_at_most", 0, "how long a call too many waits").of(&[CONCURRENCY_LIMIT, RATE_LIMIT]),
];
