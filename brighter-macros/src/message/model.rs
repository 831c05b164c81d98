//! What a request is to the derives.

use proc_macro2::{Ident, TokenStream};
use syn::{Generics, LitStr, Member, Type};

use crate::library;
use crate::path::Private;

/// What `#[message(…)]` takes.
pub(super) const KEYS: &[&str] = &["topic", "type", "kind", "mapper", "reply", library::KEY];

/// Which derive is at work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derive {
    Command,
    Event,
    Message,
}

impl Derive {
    pub(super) const ALL: [Self; 3] = [Self::Command, Self::Event, Self::Message];

    /// Its attribute: `#[command(…)]`.
    pub(super) fn attribute(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Event => "event",
            Self::Message => "message",
        }
    }

    /// As it is named in a `derive`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Command => "Command",
            Self::Event => "Event",
            Self::Message => "Message",
        }
    }

    /// What its attribute takes on the item as `key = …`.
    pub(super) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Command => &["reply", library::KEY],
            Self::Event => &[library::KEY],
            Self::Message => KEYS,
        }
    }
}

/// How a request is dispatched.
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

    /// The trait that says where it may be sent.
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
    /// The attributes of all that is written.
    pub(super) lints: TokenStream,
    pub(super) name: &'a Ident,
    pub(super) generics: &'a Generics,
    pub(super) kind: DispatchKind,
    pub(super) reply: Option<TokenStream>,
    pub(super) id: Option<Id<'a>>,
    /// Only of a `Message`.
    pub(super) route: Option<TopicRoute>,
}

/// The field that is the identity.
pub(super) struct Id<'a> {
    pub(super) member: Member,
    pub(super) of: &'a Type,
}

pub(super) struct TopicRoute {
    pub(super) topic: TokenStream,
    /// The topic if there is none.
    pub(super) event_type: Option<LitStr>,
    /// `JsonMapper` if there is none.
    pub(super) mapper: Option<TokenStream>,
}
