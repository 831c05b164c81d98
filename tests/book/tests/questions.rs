//! Questions of a reader, and the page that answers each: it is found by its title in the table of contents.

use brighter_book::Page;

/// A question, the title by which the page is found, and what the page says.
const QUESTIONS: [(&str, &str, &str); 34] = [
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
        "Configuration: files, variables and keys",
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
    (
        "Which method reaches another process?",
        "Choose send, publish, post or call",
        "another process to handle it, and nothing to be lost",
    ),
    (
        "How do three services each get a copy of an event?",
        "Publish an event to several services",
        "subscriptions of different names | each a copy",
    ),
    (
        "How do premium orders overtake the others?",
        "Give messages a priority",
        ".priorities(5)",
    ),
    (
        "How do I read a message in the envelope of another system?",
        "Choose the form of a message: mappers",
        "MessageMapper<R> for PartnerMapper",
    ),
    (
        "Can I set the number of performers by an environment variable?",
        "Configuration: files, variables and keys",
        "BRIGHTER_SUBSCRIPTIONS_TASK_REMINDERS_PERFORMERS",
    ),
    (
        "What is a performer?",
        "Glossary",
        "| performer | one task that runs one pump",
    ),
    (
        "Which metric counts dead letters?",
        "Metrics",
        "`brighter_dead_lettered_messages_total`",
    ),
    (
        "Where do I see the way of one web request through two processes?",
        "Follow a trace from request to handler",
        "POST /reminders",
    ),
    (
        "Why does `/readyz` say `not_consumed`?",
        "Operate: health, clusters and abandoned queues",
        "| `not_consumed` |",
    ),
    (
        "How do I get rid of a queue that nobody reads?",
        "Operate: health, clusters and abandoned queues",
        "broker.remove(",
    ),
    (
        "Does the outbox work in PgBouncer's transaction mode?",
        "Connect through PgBouncer",
        "without_session()",
    ),
    (
        "I use tokio-postgres: can I deposit in its transaction?",
        "Deposit with other database libraries",
        "deposit_statement",
    ),
    (
        "The worker is killed after the INSERT: is the payment taken twice?",
        "Have an effect exactly once",
        "complete_in(&mut tx, cx)",
    ),
    (
        "Which side declares a queue that .NET and Rust both read?",
        "Share a queue with C# Brighter",
        "OnMissingChannel.Validate",
    ),
    (
        "How do I go past one machine?",
        "Limits and scaling",
        "## Scale past one process",
    ),
    (
        "The bank's API fails now and then: how do I retry?",
        "Set retries, timeouts and circuit breakers",
        "## Retry within a delivery",
    ),
    (
        "How does one image run as an API and as a worker?",
        "Run several roles from one image",
        "let role = std::env::args()",
    ),
    (
        "How do I ask another service and wait for its answer?",
        "Call another process and wait for its reply",
        "processor.call(",
    ),
    (
        "What happens after the standby became the primary?",
        "Survive a database failover",
        "When the new primary answers",
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
        let text = book_page(path).text;
        assert!(
            text.contains(answer),
            "{question}: `{title}` does not say `{answer}`"
        );
        println!("{question} → {title}");
    }
}

#[test]
fn a_page_has_the_title_of_the_table_of_contents() {
    let summary = Page::read("docs/book/src/SUMMARY.md").unwrap();
    let entries = summary.text.lines().filter_map(|line| {
        line.trim()
            .strip_prefix("- [")?
            .strip_suffix(')')?
            .split_once("](")
    });
    let mut titles = 0;
    for (title, path) in entries {
        titles += 1;
        let page = book_page(path);
        assert_eq!(page.title(), Some(title), "{path}");
    }
    assert!(titles > 30, "{titles} titles");
}

/// Reads a page of the book, or the file of `docs` that it consists of.
fn book_page(path: &str) -> Page {
    let page = Page::read(format!("docs/book/src/{path}")).unwrap();
    let included = page.text.trim().strip_prefix("{{#include ../../../");
    match included.and_then(|rest| rest.strip_suffix("}}")) {
        Some(file) => Page::read(format!("docs/{file}")).unwrap(),
        None => page,
    }
}
