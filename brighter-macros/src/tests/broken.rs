//! Tests of broken and half-typed input: the user's item is kept in every case.

use super::{ALONE, COMMAND, DERIVE, HANDLER, MESSAGE, becomes};

#[test]
fn body_half_typed() {
    becomes(
        "body_half_typed",
        HANDLER,
        "",
        "
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, step = 1)]
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> {
        self.mail.
    }
}",
    );
}

#[test]
fn step_half_typed() {
    becomes(
        "step_half_typed",
        HANDLER,
        "Greet",
        "
#[use_policy(ret, step = )]
#[request_logging(step)]
#[timeout()]
struct GreetHandler { mail: Mail }",
    );
}

#[test]
fn use_inbox_of_wrong_words() {
    becomes(
        "use_inbox_of_wrong_words",
        HANDLER,
        "Greet",
        "
#[use_inbox(contxt = \"mail\", step = 1)]
#[use_inbox(on_duplicate = wran, step = 2)]
#[use_inbox(on_duplicate = \"warn\", step = 3)]
#[use_inbox(lease = \"5 minutes\", step = 4)]
#[use_inbox(lease = 5, step = 5)]
#[use_inbox(context = \"\", step = 6)]
#[use_inbox(mail, step = 7)]
#[use_inbox(timing = after, step = 8)]
#[use_inbox(lease = \"5m\")]
#[use_inbox]
struct GreetHandler;",
    );
}

#[test]
fn handler_half_typed() {
    becomes(
        "handler_half_typed",
        HANDLER,
        "",
        "#[use_policy(retry, step = 1)] impl Handler<Greet> for ",
    );
    becomes(
        "request_half_typed",
        HANDLER,
        "crate::",
        "#[use_policy(retry, step = 1)] struct GreetHandler;",
    );
}

#[test]
fn several_mistakes_at_once() {
    becomes(
        "several_mistakes_at_once",
        HANDLER,
        "",
        "
#[use_policy(retry, step = 1)]
impl Handler<Greet> for GreetHandler {
    #[use_policy(retry, stp = 2)]
    #[request_logging(step = 2, timing = sometimes)]
    #[timeout(\"5 seconds\", step = 2)]
    async fn handle(&mut self, greet: &Greet, cx: &Context, more: u8) -> Result<(), MailError> {
        self.mail.send(greet, more).await
    }
}",
    );
}

#[test]
fn handle_without_result() {
    becomes(
        "handle_without_result",
        HANDLER,
        "",
        "impl Handler<Greet> for GreetHandler { async fn handle(&self, greet: &Greet) { greet.now() } }",
    );
    becomes(
        "handle_missing",
        HANDLER,
        "",
        "impl Handler<Greet> for GreetHandler { async fn handel(&self) {} }",
    );
}

#[test]
fn alone() {
    becomes(
        "alone_on_struct",
        ALONE,
        "retry, step = 1",
        "#[handler(Greet)] #[request_logging(step = 2)] struct GreetHandler;",
    );
    becomes(
        "alone_on_method",
        ALONE,
        "retry, step = 1",
        "
#[request_logging(step = 2)]
/// Greets.
async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }",
    );
    becomes(
        "alone_on_method_half_typed",
        ALONE,
        "retry",
        "async fn handle(&self, greet: ) -> ",
    );
}

#[test]
fn requests() {
    becomes(
        "message_half_typed",
        MESSAGE,
        "",
        "#[message(topic = , kind)] struct Note { id: MessageId }",
    );
    becomes("message_without_topic", MESSAGE, "", "struct Note;");
    becomes(
        "command_that_borrows",
        COMMAND,
        "",
        "struct Note<'a> { id: &'a str }",
    );
    becomes(
        "derive_half_typed",
        DERIVE,
        "Debug, Message, topic =",
        "struct Note { id: Mess }",
    );
}

#[test]
fn derive_without_message() {
    becomes(
        "derive_without_message",
        DERIVE,
        "Debug, topc = \"Note\"",
        "struct Note;",
    );
}

#[test]
fn backstop_inside_a_policy() {
    becomes(
        "backstop_inside_a_policy",
        HANDLER,
        "Greet",
        "
#[reject_on_error(step = 4)]
#[defer_on_error(\"soon\", step = 1)]
#[dont_ack_on_error(step = 5, timing = after)]
#[timeout(\"5s\", step = 3)]
#[use_policy(retry, step = 2)]
struct GreetHandler;",
    );
    becomes(
        "backstop_inside_a_fallback",
        HANDLER,
        "Greet",
        "
#[fallback(later, step = 1)]
#[defer_on_error(step = 2)]
struct GreetHandler;",
    );
}

#[test]
fn steps_with_arguments_of_their_own() {
    becomes(
        "steps_with_wrong_arguments",
        HANDLER,
        "Greet",
        "
#[defer_on_error(30, step = 1)]
#[validate(strictly, step = 2)]
#[fallback(step = 3)]
#[fallback(self.later, step = 4)]
#[fallback(later, on = broken_circut, step = 5)]
#[feature_switch(step = 6)]
#[feature_switch(a.b, step = 7)]
#[feature_switch(greetings, off = dontack, step = 8)]
#[feature_switch(greetings, later, off = \"skip\", step = 9)]
#[layer(step = 10)]
#[layer(a b, step = 11)]
#[monitor(step = 12, timing = after)]
#[monitor(step = 13, sink = mine)]
struct GreetHandler;",
    );
}

#[test]
fn behind_cfg() {
    becomes(
        "broken_behind_cfg",
        HANDLER,
        "",
        "
impl Handler<Greet> for GreetHandler {
    #[cfg(mail)]
    #[cfg_attr(slow, timeout(step = 1))]
    async fn handle(self) {}

    #[cfg(not(mail))]
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }
}",
    );
}

#[test]
fn crate_of_wrong_words() {
    becomes(
        "crate_of_wrong_words",
        HANDLER,
        "crate = , on_struct",
        "impl Handler<Greet> for GreetHandler {}",
    );
    becomes(
        "crate_half_typed",
        HANDLER,
        "Greet, crate = a::",
        "struct GreetHandler;",
    );
    becomes(
        "derive_crate_for_nothing",
        DERIVE,
        "Debug, crate = queue",
        "struct Plain;",
    );
}
