//! Converts the attributes to a valid request. Mistakes are reported, and omitted.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Data, DeriveInput, Field, Index, LitStr, Member, Type};

use super::attr::MessageAttribute;
use super::model::{Derive, DispatchKind, Id, RequestModel, TopicRoute};
use crate::args::Given;
use crate::lints;
use crate::nearest::advice;
use crate::shell::Errors;

/// AMQP's limit for a routing key.
const LONGEST_TOPIC: usize = 255;

pub(super) fn model<'a>(
    derive: Derive,
    item: &'a DeriveInput,
    written: MessageAttribute<'a>,
    errors: &Errors,
) -> Option<RequestModel<'a>> {
    if let Data::Union(union) = &item.data {
        errors.at(
            union.union_token,
            "a union cannot be a request; make it a struct or an enum",
        );
    }
    for lifetime in item.generics.lifetimes() {
        errors.at(
            lifetime,
            "a request outlives its caller, in retries and on its way, so it cannot borrow; let it own its data",
        );
    }
    let id = id(derive, item, &written, errors);
    let kind = kind(derive, &written.kind, errors);
    let reply = match written.reply {
        Given::Value(reply, _) if kind == DispatchKind::Command => Some(reply.into_token_stream()),
        Given::Value(_, arg) => {
            if derive == Derive::Message {
                errors.at(arg, "only a command has a reply; remove this, or `kind`");
            }
            None
        }
        Given::Missing | Given::Wrong => None,
    };
    let mapper = written.mapper.value().map(ToTokens::into_token_stream);
    let event_type = written.event_type.value();
    if let Some(event_type) = &event_type
        && let Some(wrong) = wrong_type(&event_type.value())
    {
        errors.at(event_type, wrong);
    }
    let topic = (derive == Derive::Message).then(|| topic(written.topic, written.misread, errors));
    Some(RequestModel {
        private: written.private?,
        lints: lints::beside(&item.attrs),
        name: &item.ident,
        generics: &item.generics,
        kind,
        reply,
        id,
        route: topic.map(|topic| TopicRoute {
            topic,
            event_type,
            mapper,
        }),
    })
}

fn kind(derive: Derive, written: &Given<LitStr>, errors: &Errors) -> DispatchKind {
    match (derive, written) {
        (Derive::Event, _) => DispatchKind::Event,
        (Derive::Message, Given::Value(kind, _)) => match kind.value().as_str() {
            "command" => DispatchKind::Command,
            "event" => DispatchKind::Event,
            "document" => DispatchKind::Document,
            other => {
                let advice = advice(other, &["command", "event", "document"]);
                errors.at(kind, format!("unknown kind `{other}`{advice}"));
                DispatchKind::Command
            }
        },
        _ => DispatchKind::Command,
    }
}

fn topic(written: Given<LitStr>, misread: bool, errors: &Errors) -> TokenStream {
    match written {
        Given::Value(topic, _) => {
            if let Some(wrong) = wrong_topic(&topic.value()) {
                errors.at(&topic, wrong);
            }
            return topic.into_token_stream();
        }
        Given::Missing if !misread => errors.push(syn::Error::new(
            Span::call_site(),
            "a message needs a topic; add `#[message(topic = \"…\")]`, or derive `Command` or `Event` for one that \
             never leaves the process (a topic inside the derive needs `use brighter::derive;` in the same module)",
        )),
        Given::Missing | Given::Wrong => {}
    }
    quote!("")
}

fn wrong_topic(topic: &str) -> Option<String> {
    if topic.is_empty() {
        Some("the topic is empty; give it words with dots between, like `Task.Reminder`".to_owned())
    } else if topic.len() > LONGEST_TOPIC {
        let length = topic.len();
        Some(format!(
            "the topic has {length} bytes, and a broker takes {LONGEST_TOPIC}; shorten it"
        ))
    } else if let Some(control) = control_in("topic", topic) {
        Some(control)
    } else {
        let wildcard = topic.split('.').find(|word| matches!(*word, "*" | "#"))?;
        Some(format!(
            "the topic has the wildcard `{wildcard}` in it, which only a subscription may have; name one topic"
        ))
    }
}

/// Returns the mistake in a CloudEvents type, which may be any non-empty text.
fn wrong_type(event_type: &str) -> Option<String> {
    if event_type.is_empty() {
        return Some(
            "the type is empty; say what kind of event this is, or remove it: then it is the topic"
                .to_owned(),
        );
    }
    control_in("type", event_type)
}

fn control_in(what: &str, text: &str) -> Option<String> {
    let control = text.chars().find(|c| c.is_control())?;
    Some(format!(
        "the {what} has the control character {control:?} in it; remove it"
    ))
}

fn id<'a>(
    derive: Derive,
    item: &'a DeriveInput,
    written: &MessageAttribute<'a>,
    errors: &Errors,
) -> Option<Id<'a>> {
    let mark = format!("#[{}(id)]", derive.attribute());
    if let [first, more @ ..] = written.ids.as_slice() {
        for (_, field) in more {
            errors.at(&field.ty, format!("a request has one id; keep one `{mark}`"));
        }
        return Some(id_of(first.0, first.1));
    }
    let Data::Struct(data) = &item.data else {
        return None;
    };
    let named_id = |field: &Field| field.ident.as_ref().is_some_and(|name| name == "id");
    let (index, field) = data
        .fields
        .iter()
        .enumerate()
        .find(|(_, field)| named_id(field))?;
    if written.no_id || (written.misread && !is_message_id(&field.ty)) {
        return None;
    }
    if !is_message_id(&field.ty) {
        let attribute = derive.attribute();
        errors.at(
            &field.ty,
            format!(
                "the field `id` of a request is a `MessageId`; make it one, or mark another field with `{mark}`, or \
                 say that there is none with `#[{attribute}(no_id)]` above the struct"
            ),
        );
        return None;
    }
    Some(id_of(index, field))
}

fn id_of(index: usize, field: &Field) -> Id<'_> {
    let unnamed = || Member::Unnamed(Index::from(index));
    Id {
        member: field.ident.clone().map_or_else(unnamed, Member::Named),
        of: &field.ty,
    }
}

fn is_message_id(ty: &Type) -> bool {
    match ty {
        Type::Group(group) => is_message_id(&group.elem),
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "MessageId"),
        _ => false,
    }
}
