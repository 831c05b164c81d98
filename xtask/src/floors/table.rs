//! The floors of the library: which module may use which.

/// A module directly under `brighter/src`.
pub(super) struct Module {
    pub(super) name: &'static str,
    /// It may use every module of a lower floor …
    floor: u8,
    /// … and these of its own …
    beside: &'static [&'static str],
    /// … but none of these, modules or crates, on whatever floor.
    never: &'static [&'static str],
    /// Whether the files and folders directly in it must not use each other.
    apart: bool,
}

impl Module {
    const fn new(name: &'static str, floor: u8) -> Self {
        Self {
            name,
            floor,
            beside: &[],
            never: &[],
            apart: false,
        }
    }

    const fn beside(self, beside: &'static [&'static str]) -> Self {
        Self { beside, ..self }
    }

    const fn never(self, never: &'static [&'static str]) -> Self {
        Self { never, ..self }
    }

    /// The other crates among those it must not use.
    pub(super) fn crates(&self) -> Vec<&'static str> {
        self.never
            .iter()
            .copied()
            .filter(|name| module(name).is_none())
            .collect()
    }

    const fn apart(self) -> Self {
        Self { apart: true, ..self }
    }
}

/// What the pipeline of a handler must not know: where its request came from.
const DELIVERY: &[&str] = &["message", "mapper", "channel", "processor"];

const MODULES: &[Module] = &[
    Module::new("fault_point", 0),
    Module::new("id", 0),
    Module::new("clock", 0),
    Module::new("error", 0).beside(&["id"]),
    Module::new("trace", 0),
    Module::new("config", 0),
    Module::new("context", 0).beside(&["id", "error", "trace"]),
    Module::new("request", 1).never(&["message"]),
    Module::new("message", 1).never(&["request", "serde_json", "tower", "lapin"]),
    Module::new("mapper", 2),
    Module::new("channel", 2).beside(&["mapper"]),
    Module::new("outbox", 2),
    Module::new("telemetry", 2).beside(&["channel", "outbox"]),
    Module::new("inbox", 2),
    Module::new("database", 2),
    Module::new("handler", 3).never(DELIVERY),
    Module::new("policy", 3).beside(&["handler"]),
    Module::new("layer", 3)
        .beside(&["handler", "policy", "pipeline"])
        .never(DELIVERY)
        .apart(),
    Module::new("pipeline", 3)
        .beside(&["handler", "layer", "policy"])
        .never(DELIVERY),
    Module::new("processor", 4).never(&["dispatcher", "transport", "store"]),
    Module::new("dispatcher", 5).never(&["transport"]),
    Module::new("host", 5).beside(&["dispatcher"]),
    Module::new("transport", 6)
        .never(&["handler", "pipeline", "processor", "dispatcher", "store"])
        .apart(),
    Module::new("store", 6),
    Module::new("http", 6).never(&["transport", "store"]),
    // On the top floor and beside nobody, so that nothing uses it.
    Module::new("testing", 6),
];

/// The crate's face, what expanded code names, and programs: they name anything, and nothing else in the crate names
/// them.
pub(super) const FACE: &[&str] = &["lib", "prelude", "__private", "bin"];

/// The module of this name.
pub(super) fn module(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

/// The rule that a use of the path `to` breaks in the module whose path is `from`, if it breaks one. Paths begin
/// below the crate: `["layer", "retry"]`; one to another crate begins with an empty name: `["", "lapin"]`.
pub(super) fn broken_rule(from: &[String], to: &[String]) -> Option<String> {
    let module = from.first().and_then(|name| module(name))?;
    let (from_name, floor) = (module.name, module.floor);
    let to_name = match to {
        [outside, name, ..] if outside.is_empty() => {
            return module
                .never
                .contains(&name.as_str())
                .then(|| format!("{from_name} never uses {name}"));
        }
        [name, ..] => name.as_str(),
        [] => return None,
    };
    if to_name == from_name {
        let other = match (from.get(1), to.get(1)) {
            (Some(own), Some(other)) if own != other => other,
            _ => return None,
        };
        return (module.apart && is_module_name(other)).then(|| {
            format!("one {from_name} never uses another; what they share goes to {from_name}/mod.rs")
        });
    }
    if module.never.contains(&to_name) {
        return Some(format!("{from_name} never uses {to_name}"));
    }
    let Some(target) = self::module(to_name) else {
        return Some(format!(
            "`crate::{to_name}` is a name of the crate's face or a module without a floor; name the module that it \
             lives in, or give it a floor in xtask/src/floors/table.rs"
        ));
    };
    if target.floor > floor {
        return Some(format!(
            "{from_name} is on floor {floor}, {to_name} above it on floor {}",
            target.floor
        ));
    }
    if target.floor == floor && !module.beside.contains(&to_name) {
        return Some(format!(
            "both are on floor {floor}, and the table does not allow {from_name} → {to_name}"
        ));
    }
    None
}

/// A type or function at the end of a path is no module; `layer::RequestLogging` is what `mod.rs` shows of it all.
fn is_module_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split("::").map(str::to_owned).collect()
    }

    #[test]
    fn allowed_arrows() {
        for (from, to) in [
            ("context", "id::MessageId"),
            ("processor::builder", "outbox::Outbox"),
            ("channel::publication", "mapper::Postable"),
            ("layer::retry", "policy::Policy"),
            ("layer::retry", "layer::Timing"),
            ("layer", "layer::retry::RetryLayer"),
            ("layer::retry::service", "layer::retry::RetryLayer"),
            ("host", "dispatcher::Dispatcher"),
            ("transport::rabbitmq", "channel::Producer"),
            ("transport::rabbitmq", "::lapin::Channel"),
            ("store::sqlite", "outbox::Outbox"),
        ] {
            assert_eq!(broken_rule(&path(from), &path(to)), None, "{from} → {to}");
        }
    }

    #[test]
    fn forbidden_arrows() {
        for (from, to) in [
            ("id", "context::Context"),
            ("message", "request::Request"),
            ("message::header", "::serde_json::Value"),
            ("request", "message::Message"),
            ("channel", "outbox::Outbox"),
            ("mapper", "channel::Publication"),
            ("pipeline", "message::Message"),
            ("handler", "pipeline::Pipeline"),
            ("layer::retry", "layer::timeout::TimeoutLayer"),
            ("processor", "dispatcher::Dispatcher"),
            ("dispatcher", "transport::rabbitmq"),
            ("transport::rabbitmq", "store::sqlite"),
            ("transport::rabbitmq", "transport::kafka::Producer"),
            ("transport::rabbitmq", "handler::Handler"),
            ("store::sqlite", "testing::Harness"),
            ("mapper", "Message"),
            ("mapper", "prelude"),
        ] {
            assert!(broken_rule(&path(from), &path(to)).is_some(), "{from} → {to}");
        }
    }
}
