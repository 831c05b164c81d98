//! Prints a topology for a person.

use std::fmt;

use super::model::{Argument, Exchange, ExchangeKind, Purpose, Queue, Topology};
use brighter_core::channel::DeclareMode;

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = match self.declare {
            DeclareMode::Create => "made where it is missing",
            DeclareMode::Validate => "has to exist, which is looked at",
            _ => "has to exist, which is not looked at",
        };
        writeln!(f, "{} ({made})", self.exchange)?;
        for queue in &self.queues {
            writeln!(f, "{queue}")?;
            for binding in self.bindings.iter().filter(|binding| binding.queue == queue.name) {
                writeln!(
                    f,
                    "    bound to `{}` for `{}`",
                    self.exchange.name, binding.routing_key
                )?;
            }
        }
        write!(f, "{}", self.delays)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let durable = if self.durable { ", durable" } else { "" };
        write!(f, "exchange `{}`: {}{durable}", self.name, self.kind)
    }
}

impl fmt::Display for ExchangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Topic => "topic",
            Self::Direct => "direct",
            Self::Fanout => "fanout",
        })
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue `{}` for {}:", self.name, self.purpose)?;
        for (set, what) in [
            (self.durable, "durable"),
            (self.exclusive, "exclusive"),
            (self.auto_delete, "auto-delete"),
        ] {
            if set {
                write!(f, " {what}")?;
            }
        }
        for (name, value) in &self.arguments {
            write!(f, ", {name} {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DeadLetters => "dead letters",
            Self::InvalidMessages => "invalid messages",
            Self::Messages => "messages",
            Self::Delay => "each length of delay, made when it is first used",
        })
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}
