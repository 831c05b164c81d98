//! Questions of a reader, and the page that answers each: it is found by its title in the table of contents.

use brighter_book::Page;

/// A question, the title by which the page is found, and what the page says.
const QUESTIONS: [(&str, &str, &str); 15] = [
    (
        "How do I stop one queue for an hour?",
        "Pause, throttle and scale a queue",
        "dispatcher.pause(",
    ),
    (
        "What does `Unroutable` mean?",
        "Errors",
        "| `Unroutable` | **no queue wants the topic**",
    ),
    (
        "Can two versions of a message share a queue?",
        "Version messages",
        "Both versions share the topic and the queue",
    ),
    (
        "How do I look at dead letters?",
        "Handle dead letters",
        "## Look at them",
    ),
    (
        "What happens to my messages when the broker is down?",
        "What happens when each part dies",
        "wait in the outbox",
    ),
    (
        "How do I send a reminder next week, and cancel it?",
        "Post messages for later",
        "## Cancel or move it",
    ),
    (
        "Which permissions does the RabbitMQ user need?",
        "Run RabbitMQ in production",
        "## Permissions",
    ),
    (
        "How do I test a retry after an hour without waiting?",
        "Test with TestApp and crash tests",
        "so the hour takes no time",
    ),
    (
        "What is the default of `attempts`?",
        "Configuration keys",
        "| `attempts` | `5` |",
    ),
    (
        "Can a message be lost, or handled twice?",
        "Delivery semantics",
        "Can it be delivered twice?",
    ),
    (
        "How do I keep the messages of one customer in order?",
        "Keep the order of messages by key",
        ".ordered_by(",
    ),
    (
        "In which order do I put the steps?",
        "Attributes",
        "## A good order",
    ),
    (
        "What do I point the liveness probe at?",
        "Deploy and roll out",
        "/livez",
    ),
    (
        "What is `UseInbox` of C# called here?",
        "C# Brighter",
        "| `UseInbox` | `#[use_inbox(",
    ),
    (
        "How do I commit a message with my own INSERT?",
        "Build a web API with a PostgreSQL outbox",
        "deposit_post(&mut tx",
    ),
];

#[test]
fn each_question_is_answered_by_a_fitting_page_title() {
    let summary = Page::read("docs/book/src/SUMMARY.md").unwrap();
    for (question, title, answer) in QUESTIONS {
        let entry = format!("- [{title}](");
        let path = summary
            .text
            .lines()
            .find_map(|line| line.trim().strip_prefix(&entry)?.strip_suffix(')'));
        let path = path.unwrap_or_else(|| panic!("{question}: no page is called `{title}`"));
        let page = Page::read(format!("docs/book/src/{path}")).unwrap();
        // A page may consist of a file of `docs`.
        let included = page.text.trim().strip_prefix("{{#include ../../../");
        let text = match included.and_then(|rest| rest.strip_suffix("}}")) {
            Some(file) => Page::read(format!("docs/{file}")).unwrap().text,
            None => page.text,
        };
        assert!(
            text.contains(answer),
            "{question}: `{title}` does not say `{answer}`"
        );
        println!("{question} → {title}");
    }
}
