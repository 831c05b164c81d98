//! Turns brighter's own log events into lines of the story: nothing is told here that a log would not say.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::narrator::{Narrator, Tone};

/// Starts telling what brighter logs. With `RUST_LOG`, the log itself goes to standard error beside the story.
pub(super) fn listen(narrator: &Narrator) {
    let listener = Listener {
        narrator: narrator.clone(),
    };
    let log = std::env::var_os("RUST_LOG").map(|_| crate::log::text());
    tracing_subscriber::registry().with(log).with(listener).init();
}

struct Listener {
    narrator: Narrator,
}

/// Which message a span is about.
struct MessageId(String);

impl<S> Layer<S> for Listener
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(message), Some(span)) = (fields.get("id"), context.span(id)) {
            span.extensions_mut().insert(MessageId(message.to_owned()));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with("brighter") || *metadata.level() > Level::DEBUG {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let step = STEPS.contains(&fields.get("message").unwrap_or_default());
        if *metadata.level() > Level::INFO && !step {
            return;
        }
        // A policy does not say which message it acts on; the pump's span around it does.
        let of_span = || {
            let scope = context.event_scope(event)?;
            scope
                .into_iter()
                .find_map(|span| Some(span.extensions().get::<MessageId>()?.0.clone()))
        };
        let id = fields.get("id").map(str::to_owned).or_else(of_span);
        let name = id.map_or_else(|| "worker".to_owned(), |id| self.narrator.name_of(&id));
        let (tone, place, text) = tell(&fields, *metadata.level());
        self.narrator.line(tone, &name, place, text);
    }
}

/// Events of the steps of a pipeline that are told although they are at `debug`: at `info`, a delivery that fails is
/// one line.
const STEPS: &[&str] = &["failed", "handling", "not handled", "trying again"];

/// What an event says to a newcomer: its tone, where in the pipeline, and what.
fn tell(fields: &Fields, level: Level) -> (Tone, &'static str, String) {
    let get = |name| fields.get(name).unwrap_or_default();
    let error = get("error");
    match get("message") {
        "handling" => (
            Tone::Faint,
            "1 logging",
            format!("handling, delivery {}", get("attempt")),
        ),
        "handled" => (
            Tone::Faint,
            "1 logging",
            "handled, so the pump acknowledges it".into(),
        ),
        "not handled" => (
            Tone::Trouble,
            "1 logging",
            format!("not handled: {}", rounded(get("outcome"))),
        ),
        "failed" => (Tone::Trouble, "1 logging", format!("failed: {}", rounded(error))),
        "trying again" => (
            Tone::Trouble,
            "3 retry",
            format!("trying again in {} ({} left)", rounded(get("delay")), get("left")),
        ),
        "circuit opened" => (
            Tone::Bad,
            "2 breaker",
            format!(
                "opened: nothing is mailed for {}, for any reminder",
                rounded(get("open_for"))
            ),
        ),
        "circuit closed" => (Tone::Good, "2 breaker", "closed: mails go out again".into()),
        "message will be retried" => (
            Tone::Trouble,
            "pump",
            format!("back to the queue, comes again in {}", rounded(get("delay"))),
        ),
        "circuit open; pausing" => (
            Tone::Trouble,
            "pump",
            format!(
                "keeps it in hand for {}, which does not count as a delivery",
                rounded(get("pause"))
            ),
        ),
        "moved to the dead-letter channel" => (
            Tone::Bad,
            "pump",
            format!("that was the last delivery: dead-lettered to {}", get("to")),
        ),
        "moved to the invalid-message channel" => (
            Tone::Bad,
            "pump",
            format!("not understood ({error}): set aside as invalid in {}", get("to")),
        ),
        // Whatever else it has to say is told in its own words.
        other if level <= Level::WARN => (Tone::Trouble, "brighter", format!("{other} {error}")),
        other => (Tone::Faint, "brighter", other.to_owned()),
    }
}

/// A text without the decimals of its durations: `487.123456ms` becomes `487ms`. Seconds keep one.
fn rounded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dot) = rest.find('.') {
        let (before, after) = rest.split_at(dot);
        let decimals = after[1..].bytes().take_while(u8::is_ascii_digit).count();
        let unit = &after[1 + decimals..];
        out.push_str(before);
        let keep = match () {
            () if decimals == 0 => 1,
            () if unit.starts_with("ms") || unit.starts_with("µs") => 0,
            () if unit.starts_with('s') => 2,
            () => 1 + decimals,
        };
        out.push_str(&after[..keep]);
        rest = unit;
    }
    out + rest
}

/// The fields of an event, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| *field == name)?;
        Some(value)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn durations_lose_their_decimals_and_nothing_else_does() {
        for (text, expected) in [
            ("487.123456ms", "487ms"),
            (
                "open for another 1.234567s; not called",
                "open for another 1.2s; not called",
            ),
            ("mail.example.com said 4.2.1", "mail.example.com said 4.2.1"),
            ("no end.", "no end."),
        ] {
            assert_eq!(rounded(text), expected);
        }
    }
}
