//! Reads the attributes of a request and of its fields.

use syn::{Attribute, Data, DeriveInput, Field, LitStr, Type};

use super::model::Derive;
use crate::args::{Args, Given, Values};
use crate::library;
use crate::path::Private;
use crate::shell::Errors;

/// The arguments `#[message(topic = …, type = …, kind = …, mapper = …, reply = …, crate = …, no_id)]`.
pub(super) struct MessageAttribute<'a> {
    /// `None` if there is no such crate, which has been reported.
    pub(super) private: Option<Private>,
    pub(super) topic: Given<LitStr>,
    pub(super) event_type: Given<LitStr>,
    pub(super) kind: Given<LitStr>,
    pub(super) mapper: Given<Type>,
    pub(super) reply: Given<Type>,
    pub(super) no_id: bool,
    /// See [`Args::misread`].
    pub(super) misread: bool,
    /// The fields marked with `id`.
    pub(super) ids: Vec<(usize, &'a Field)>,
}

pub(super) fn read<'a>(derive: Derive, item: &'a DeriveInput, errors: &Errors) -> MessageAttribute<'a> {
    let mut args = arguments(derive, &item.attrs, errors);
    let example = format!("#[{}(crate = …)]", derive.attribute());
    let written = MessageAttribute {
        private: library::take(&mut args, &example, errors),
        topic: args.value("topic", "\"Task.Reminder\"", errors),
        event_type: args.value("type", "\"Task.Reminder.v2\"", errors),
        kind: args.value("kind", "\"command\"", errors),
        mapper: args.value("mapper", "JsonMapper", errors),
        reply: args.value("reply", "Invoice", errors),
        no_id: args.flag("no_id").is_some(),
        misread: args.misread(),
        ids: ids(derive, &item.data, errors),
    };
    if let Some(id) = args.flag("id") {
        errors.at(id, "`id` marks a field; write it above the field that is the id");
    }
    args.finish(&[derive.keys(), &["no_id"]].concat(), errors);
    refuse_foreign(derive, &written, errors);
    written
}

/// Returns the arguments of all attributes of this derive, and reports those of another derive as mistakes.
fn arguments(derive: Derive, attributes: &[Attribute], errors: &Errors) -> Args {
    let mut all = Args::default();
    for attribute in attributes {
        let written = |of: &Derive| attribute.path().is_ident(of.attribute());
        match Derive::ALL.iter().find(|of| written(of)) {
            Some(of) if *of == derive => all.extend(Args::of(attribute, Values::Types, errors)),
            Some(of) => errors.at(
                &attribute.meta,
                format!(
                    "`#[{}(…)]` belongs to `#[derive({})]`, and this derives `{}`; write `#[{}(…)]`, or derive `{}` \
                     instead",
                    of.attribute(),
                    of.name(),
                    derive.name(),
                    derive.attribute(),
                    of.name(),
                ),
            ),
            None => {}
        }
    }
    all
}

fn ids<'a>(derive: Derive, data: &'a Data, errors: &Errors) -> Vec<(usize, &'a Field)> {
    let mut ids = Vec::new();
    let mut read = |index: usize, field: &'a Field, may_be_id: bool| {
        let mut args = arguments(derive, &field.attrs, errors);
        match args.flag("id") {
            Some(_) if may_be_id => ids.push((index, field)),
            Some(id) => errors.at(
                id,
                "only a struct has an id; put the id in a struct around this enum",
            ),
            None => {}
        }
        args.finish(&["id"], errors);
    };
    match data {
        Data::Struct(data) => {
            for (index, field) in data.fields.iter().enumerate() {
                read(index, field, true);
            }
        }
        Data::Enum(data) => {
            for field in data.variants.iter().flat_map(|variant| &variant.fields) {
                read(0, field, false);
            }
        }
        Data::Union(_) => {}
    }
    ids
}

/// Reports a key of another derive, with the derive that it belongs to.
fn refuse_foreign(derive: Derive, written: &MessageAttribute<'_>, errors: &Errors) {
    let refuse = |key: &str, arg: &dyn quote::ToTokens| {
        if !derive.keys().contains(&key) {
            let message = match key {
                "reply" => {
                    "an event has any number of handlers and so no reply; remove this, or derive `Command`"
                }
                _ => "only what leaves the process has this; derive `Message` instead",
            };
            errors.at(arg.to_token_stream(), message);
        }
    };
    if let Given::Value(_, arg) = &written.topic {
        refuse("topic", arg);
    }
    if let Given::Value(_, arg) = &written.event_type {
        refuse("type", arg);
    }
    if let Given::Value(_, arg) = &written.kind {
        refuse("kind", arg);
    }
    if let Given::Value(_, arg) = &written.mapper {
        refuse("mapper", arg);
    }
    if let Given::Value(_, arg) = &written.reply {
        refuse("reply", arg);
    }
}
