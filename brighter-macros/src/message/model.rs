//! The model of a request for the derives.

use proc_macro2::{Ident, TokenStream};
use syn::{Generics, LitStr, Member, Type};

use crate::library;
use crate::path::Private;

/// The keys of `#[message(…)]`.
pub(super) const KEYS: &[&str] = &["topic", "type", "kind", "mapper", "reply", library::KEY];

/// The derive that is being expanded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derive {
    Command,
    Event,
    Message,
}

impl Derive {
    pub(super) const ALL: [Self; 3] = [Self::Command, Self::Event, Self::Message];

    /// Returns its attribute: `#[command(…)]`.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
            Self::Message => "message",
        }
    }

    /// Returns its name in a `derive`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Command => "Command",
            Self::Event => "Event",
            Self::Message => "Message",
        }
    }

    /// Returns the keys of its attribute on the item, as in `key = …`.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Command => &["reply", library::KEY],
            Self::Event => &[library::KEY],
            Self::Message => KEYS,
        }
    }
}

/// The way in which a request is dispatched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DispatchKind {
    Command,
    Event,
    Document,
}

impl DispatchKind {
    pub(super) fn variant(self) -> &'static str {
        match self {
            Self::Command => "Command",
            Self::Event => "Event",
            Self::Document => "Document",
        }
    }

    /// Returns the trait that marks how the request may be sent.
    pub(super) fn marker(self) -> &'static str {
        match self {
            Self::Command => "Command",
            Self::Event | Self::Document => "Event",
        }
    }
}

/// A request.
pub(super) struct RequestModel<'a> {
    pub(super) private: Private,
    /// The attributes of all generated code.
    pub(super) lints: TokenStream,
    pub(super) name: &'a Ident,
    pub(super) generics: &'a Generics,
    pub(super) kind: DispatchKind,
    pub(super) reply: Option<TokenStream>,
    pub(super) id: Option<Id<'a>>,
    /// The route, for a `Message` only.
    pub(super) route: Option<TopicRoute>,
}

/// The field with the identity.
pub(super) struct Id<'a> {
    pub(super) member: Member,
    pub(super) of: &'a Type,
}

pub(super) struct TopicRoute {
    pub(super) topic: TokenStream,
    /// The `type`; the topic if `None`.
    pub(super) event_type: Option<LitStr>,
    /// The mapper; `JsonMapper` if `None`.
    pub(super) mapper: Option<TokenStream>,
}
