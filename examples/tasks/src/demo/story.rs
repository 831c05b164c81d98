//! The story: who takes part, what befalls them, and how it should end.

use std::time::Instant;

use brighter::MessageId;
use brighter::channel::Producer;
use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter::policy::CircuitState;
use serde_json::json;

use super::client;
use super::gateway::Trouble;
use super::narrator::Tone;
use super::stage::Stage;
use crate::failure::Failure;

/// One reminder of the story.
pub(super) struct Part {
    pub(super) task_name: &'static str,
    due: &'static str,
    recipient: &'static str,
    pub(super) trouble: Trouble,
    /// How often the handler should have tried to mail it in the end.
    pub(super) attempts: u32,
}

const fn part(
    task_name: &'static str,
    due: &'static str,
    recipient: &'static str,
    trouble: Trouble,
    attempts: u32,
) -> Part {
    Part {
        task_name,
        due,
        recipient,
        trouble,
        attempts,
    }
}

/// The reminders, in the order in which they are posted; the last one only when the breaker is open.
pub(super) const CAST: [Part; 6] = [
    part("Water the plants", "tonight", "ada@example.com", Trouble::None, 1),
    part(
        "Pay the rent",
        "on Friday",
        "Grace <grace@example.com>",
        Trouble::None,
        1,
    ),
    part(
        "Call grandmother",
        "at noon",
        "ada@example.com",
        Trouble::Fails(2),
        3,
    ),
    // Three deliveries, of three attempts each.
    part(
        "Book the dentist",
        "this week",
        "alan@example.com",
        Trouble::Always,
        9,
    ),
    part(
        "Return the books",
        "by June",
        "barbara@example.com",
        Trouble::None,
        1,
    ),
    part("Feed the cat", "now", "edsger@example.com", Trouble::None, 1),
];

/// What the message of garbage is called.
pub(super) const GARBAGE: &str = "(garbage)";

/// Tells it, and ends when nothing is left to happen.
pub(super) async fn tell(stage: &mut Stage) -> Result<(), Failure> {
    let narrator = stage.narrator.clone();
    introduce(stage);

    let [early @ .., late] = &CAST;
    for part in early {
        post(stage, part).await?;
    }
    let posted = stage.posted.len();
    stage
        .until("every reminder was sent", async |stage| all_sent(stage).await)
        .await?;
    narrator.line(
        Tone::Plain,
        "",
        "sweeper",
        format_args!("sent all {posted} from the outbox to the broker, which confirmed them"),
    );
    post_garbage(stage).await?;

    stage.dispatcher.receive();
    narrator.line(
        Tone::Plain,
        "",
        "worker",
        "starts 4 performers; until now the queue kept the messages",
    );

    stage
        .until("the breaker opened", async |stage| {
            stage.breaker.state() != CircuitState::Closed
        })
        .await?;
    post(stage, late).await?;
    stage
        .until("every message had its end", async |stage| is_over(stage).await)
        .await
}

fn introduce(stage: &Stage) {
    let say = |text: &str| stage.narrator.text(text);
    say(
        "Reminders are posted over HTTP, kept in SQLite, carried by a broker in a file, and mailed by a worker:",
    );
    say("here all in one process. This is how brighter put the handler's pipeline together:");
    say("");
    for pipeline in stage.dispatcher.processor().describe() {
        for line in pipeline.to_string().lines() {
            stage.narrator.text(format_args!("  {line}"));
        }
    }
    say("");
    let title = format!("{:>6}  {:<18}  {:<10}  what happens", "s", "reminder", "where");
    say(&stage.narrator.paint(Tone::Strong, title));
}

async fn post(stage: &mut Stage, part: &Part) -> Result<(), Failure> {
    let body = json!({ "task_name": part.task_name, "due": part.due, "recipient": part.recipient });
    let began = Instant::now();
    let (status, answer) = client::post(stage.api, "/reminders", &body)
        .await
        .map_err(|error| Failure::because("the API does not answer", &*error))?;
    let took = began.elapsed().as_secs_f64() * 1000.0;
    let Some(id) = answer["id"].as_str().filter(|_| status == 202) else {
        return Err(Failure::new(format!("the API answered {status}: {answer}")));
    };
    stage.narrator.introduce(id, part.task_name);
    stage.posted.push((part.task_name, id.into()));
    stage.narrator.line(
        Tone::Plain,
        part.task_name,
        "api",
        format_args!("{status} in {took:.1} ms: reminder and message stored in one transaction"),
    );
    Ok(())
}

/// Asks the API, as a client would.
async fn all_sent(stage: &Stage) -> bool {
    for (_, id) in &stage.posted {
        let answer = client::get(stage.api, &format!("/reminders/{id}")).await;
        if !answer.is_ok_and(|(_, reminder)| reminder["sent"] == true) {
            return false;
        }
    }
    true
}

/// Past the API, straight to the queue, as a program with a fault would.
async fn post_garbage(stage: &Stage) -> Result<(), Failure> {
    let id = MessageId::new();
    stage.narrator.introduce(&id, GARBAGE);
    let text = "Dear queue, this is not JSON.";
    let header = MessageHeader::new(id, "Task.Reminder", MessageType::Command);
    let message = Message::new(header, MessageBody::new(text));
    stage
        .broker
        .publish(&message)
        .await
        .map_err(|error| Failure::because("the garbage was not taken", &error))?;
    stage.narrator.line(
        Tone::Plain,
        GARBAGE,
        "broker",
        format_args!("somebody put this straight in the queue: {text:?}"),
    );
    Ok(())
}

async fn is_over(stage: &Stage) -> bool {
    let dead = stage.set_aside("dlq").await;
    let invalid = stage.set_aside("invalid").await;
    let ended =
        |id: &MessageId| stage.mail_of(id).is_some() || dead.iter().any(|message| message.header.id == *id);
    !invalid.is_empty() && stage.posted.iter().all(|(_, id)| ended(id))
}
