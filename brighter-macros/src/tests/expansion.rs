//! Tests of the output for correct input.

use super::{COMMAND, DERIVE, EVENT, HANDLER, MESSAGE, becomes};

#[test]
fn handler_on_impl() {
    becomes(
        "handler_on_impl",
        HANDLER,
        "",
        "
/// Sends it.
impl Handler<TaskReminder> for MailTaskReminderHandler {
    #[request_logging(step = 1, timing = before)]
    #[use_policy(circuit_breaker, step = 2)]
    #[allow(dead_code)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, reminder: &TaskReminder) -> Result<(), MailError> {
        self.mail.send(reminder).await
    }
}",
    );
}

#[test]
fn handler_without_steps() {
    becomes(
        "handler_without_steps",
        HANDLER,
        "",
        "
#[cfg(feature = \"mail\")]
impl<T: Clone> brighter::Handler<Tick<T>> for Generic<T>
where
    T: Send,
{
    type Error = anyhow::Error;
    async fn handle(&self, tick: &Tick<T>, cx: &Context) -> anyhow::Result<()> {
        Ok(())
    }
}",
    );
}

#[test]
fn handler_with_an_alias_of_result() {
    becomes(
        "handler_with_an_alias_of_result",
        HANDLER,
        "",
        "
impl Handler<Greet> for GreetHandler {
    fn handle(&self, greet: &Greet) -> impl Future<Output = std::io::Result<()>> + Send {
        ready(Ok(()))
    }
}",
    );
}

#[test]
fn handler_on_struct() {
    becomes(
        "handler_on_struct",
        HANDLER,
        "TaskReminder",
        "
#[request_logging(step = 1)]
#[use_policy(retry, step = 2)]
pub struct MailTaskReminderHandler { mail: Arc<dyn MailGateway> }",
    );
}

#[test]
fn handler_on_generic_struct() {
    becomes(
        "handler_on_generic_struct",
        HANDLER,
        "Tick<T>",
        "struct Generic<T: Clone>(T) where T: Send;",
    );
}

#[test]
fn handler_of_steps_on_struct() {
    becomes(
        "handler_of_steps_on_struct",
        HANDLER,
        "on_struct",
        "
impl Handler<Greet> for GreetHandler {
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }
}",
    );
}

#[test]
fn every_form_of_step() {
    becomes(
        "every_form_of_step",
        HANDLER,
        "Greet",
        "
#[request_logging(step = 1, timing = after)]
#[request_logging(step = 2, timing = after)]
#[brighter::timeout(\"1500ms\", step = 4)]
#[use_policy([retry, policies::strict(3), \"a name\"], step = 3)]
#[use_policy(Retry::<A, B>::new(), step = 1)]
#[other::timeout]
struct GreetHandler;",
    );
}

#[test]
fn use_inbox() {
    becomes(
        "use_inbox",
        HANDLER,
        "Greet",
        "
#[use_inbox(step = 1)]
#[use_inbox(context = \"mail\", lease = \"90s\", on_duplicate = reject, step = 2)]
#[brighter::use_inbox(context = \"desk\", on_duplicate = replay, step = 3)]
struct GreetHandler;",
    );
}

#[test]
fn requests() {
    becomes(
        "command",
        COMMAND,
        "",
        "#[command(reply = Invoice)] struct Bill { id: MessageId, sum: u64 }",
    );
    becomes(
        "command_generic",
        COMMAND,
        "",
        "#[command(no_id)] struct Bill<T: Clone, const N: usize> { id: [T; N] }",
    );
    becomes("event", EVENT, "", "struct Due(u8, #[event(id)] Key);");
    becomes("event_enum", EVENT, "", "enum Changed { Due, Overdue }");
    becomes(
        "message",
        MESSAGE,
        "",
        "#[message(topic = \"Task.Reminder\")] struct TaskReminder { id: MessageId }",
    );
    becomes(
        "message_with_all",
        MESSAGE,
        "",
        "#[message(topic = \"Task.Data\", type = \"Data.v2\", kind = \"document\", mapper = Text<A, B>)] struct Data<T>(T);",
    );
}

#[test]
fn derives() {
    becomes("derive", DERIVE, "Debug, Clone", "struct Plain;");
    becomes(
        "derive_with_topic",
        DERIVE,
        "Debug, Serialize, Deserialize, brighter::Message, topic = \"Task.Reminder\", kind = \"event\"",
        "struct TaskReminder { id: MessageId }",
    );
}

#[test]
fn every_step_that_is_no_policy() {
    becomes(
        "every_step_that_is_no_policy",
        HANDLER,
        "Greet",
        "
#[monitor(step = 1)]
#[reject_on_error(step = 2)]
#[validate(step = 3)]
#[feature_switch(greetings, step = 4)]
#[feature_switch(\"greet-later\", off = dont_ack, step = 5)]
#[layer(tower::limit::ConcurrencyLimitLayer::new(4), step = 6)]
struct GreetHandler;",
    );
}

#[test]
fn backstops() {
    becomes(
        "backstops",
        HANDLER,
        "Greet",
        "
#[dont_ack_on_error(step = 1)]
#[defer_on_error(step = 2)]
#[defer_on_error(\"30s\", step = 3)]
#[use_policy(retry, step = 4)]
#[request_logging(step = 1, timing = after)]
struct GreetHandler;",
    );
}

#[test]
fn fallback() {
    becomes(
        "fallback",
        HANDLER,
        "",
        "
impl Handler<Greet> for GreetHandler {
    #[fallback(later, on = broken_circuit, step = 1)]
    #[fallback(at_once, step = 2)]
    #[use_policy(circuit_breaker, step = 3)]
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }
}",
    );
}

#[test]
fn with_crate() {
    becomes(
        "handler_with_crate",
        HANDLER,
        "crate = queue",
        "
impl Handler<Greet> for GreetHandler {
    #[queue::use_policy(retry, step = 1)]
    #[timeout(\"1s\", step = 2)]
    #[other::timeout]
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }
}",
    );
    becomes(
        "handler_on_struct_with_crate",
        HANDLER,
        "Greet, crate = crate::queue",
        "#[crate::queue::request_logging(step = 1)] struct GreetHandler;",
    );
    becomes(
        "message_with_crate",
        MESSAGE,
        "",
        "#[message(crate = ::queue, topic = \"Note\", reply = u8)] struct Note { id: MessageId }",
    );
    becomes(
        "derive_with_crate",
        DERIVE,
        "Debug, Message, Command, crate = queue, topic = \"Note\"",
        "struct Note;",
    );
}

#[test]
fn behind_cfg() {
    becomes(
        "handler_behind_cfg",
        HANDLER,
        "",
        "
impl Handler<Greet> for GreetHandler {
    #[cfg(mail)]
    #[cfg_attr(slow, timeout(\"1m\", step = 1), allow(dead_code))]
    #[cfg_attr(not(slow), cfg_attr(fast, timeout(\"1s\", step = 1)))]
    async fn handle(&self, greet: &Greet) -> Result<(), MailError> { Ok(()) }

    #[cfg_attr(mail, cfg(never))]
    #[use_policy(if 1 < 2 { a() } else { b() }, step = 1)]
    async fn handle(&self, greet: &Greet) -> Fallible<()> { Ok(()) }
}",
    );
}

#[test]
fn lints_of_the_item() {
    becomes(
        "lints_of_the_item",
        HANDLER,
        "Greet",
        "#[expect(deprecated, reason = \"soon\")] #[derive(Debug)] #[warn(clippy::all)] struct GreetHandler;",
    );
    becomes("command_deprecated", COMMAND, "", "#[deprecated] struct Bill;");
}
