//! What is seen of API and worker from outside: the trace of a reminder, and metrics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::process::Stdio;

use brighter_tests::promtool;
use brighter_tests::rabbitmq::{Corner, url};
use brighter_tests::wait::{DEADLINE, until};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// One of the programs, killed when it is dropped.
struct Running {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(corner: &Corner, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tasks"))
            .args(arguments)
            .args(["--broker", &url(), "--exchange", &corner.exchange()])
            // What is not logged is traced all the same.
            .env("RUST_LOG", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, output }
    }

    /// The rest of the next line, which begins with this.
    async fn says(&mut self, beginning: &str) -> String {
        let line = timeout(DEADLINE, self.output.next_line()).await;
        let line = line.expect("it says so in time").unwrap().expect("a line");
        line.strip_prefix(beginning).expect(&line).to_owned()
    }

    async fn terminate(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(told.success());
        let ended = timeout(DEADLINE, self.child.wait()).await;
        assert!(ended.expect("it ends").unwrap().success());
    }
}

/// The answer to one request, head and body.
async fn ask(address: &str, request: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    timeout(DEADLINE, asked).await.expect("an answer in time")
}

async fn metrics(address: &str) -> String {
    let answer = ask(
        address,
        "GET /metrics HTTP/1.1\r\nhost: tasks\r\nconnection: close\r\n\r\n",
    )
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // It is short enough to come in one piece, with its length.
    assert!(head.contains("content-length"), "{head}");
    body.to_owned()
}

/// The trace that the client of the test is in.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn reminder() -> String {
    let body = r#"{"task_name":"Pay","due":"now","recipient":"ada@example.com"}"#;
    format!(
        "POST /reminders HTTP/1.1\r\nhost: tasks\r\nconnection: close\r\ncontent-type: application/json\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A span of the file, and which program was in it.
struct Span {
    service: String,
    span: Value,
}

impl Span {
    fn text(&self, key: &str) -> &str {
        self.span[key].as_str().unwrap_or_default()
    }

    fn is_below(&self, id: &str) -> bool {
        self.text("parentSpanId") == id
    }
}

/// All of the file, in the order in which they began.
fn spans(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for line in text.lines() {
        let batch: Value = serde_json::from_str(line).unwrap();
        for resource in batch["resourceSpans"].as_array().unwrap() {
            let attributes = resource["resource"]["attributes"].as_array().unwrap();
            let service = attributes
                .iter()
                .find(|pair| pair["key"] == "service.name")
                .unwrap();
            let service = service["value"]["stringValue"].as_str().unwrap();
            for scope in resource["scopeSpans"].as_array().unwrap() {
                spans.extend(scope["spans"].as_array().unwrap().iter().map(|span| Span {
                    service: service.to_owned(),
                    span: span.clone(),
                }));
            }
        }
    }
    spans.sort_by_key(|span| span.text("startTimeUnixNano").parse::<u64>().unwrap());
    spans
}

/// The spans of the trace below this one, each in the line of its own.
fn tree(spans: &[Span], parent: &str, depth: usize, text: &mut String) {
    const KINDS: [&str; 6] = ["", "internal", "server", "client", "producer", "consumer"];
    for span in spans
        .iter()
        .filter(|span| span.text("traceId") == TRACE && span.is_below(parent))
    {
        let kind = KINDS[usize::try_from(span.span["kind"].as_u64().unwrap()).unwrap()];
        let name = format!("{}{}", "  ".repeat(depth), span.text("name"));
        write!(text, "{name:<46} {:<12} {kind}", span.service).unwrap();
        for link in span.span["links"].as_array().into_iter().flatten() {
            let linked = spans.iter().find(|other| other.span["spanId"] == link["spanId"]);
            write!(
                text,
                ", linked to {}",
                linked.expect("what is linked").text("name")
            )
            .unwrap();
        }
        text.push('\n');
        tree(spans, span.text("spanId"), depth + 1, text);
    }
}

/// The document has what is found here; `UPDATE=1 cargo xtask test` writes it anew.
fn document_shows(trace: &str) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/book/src/how-to/traces.md"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text
        .split_once("<!-- trace -->\n```text\n")
        .expect("a place for the trace");
    let (shown, after) = rest.split_once("```\n").unwrap();
    if std::env::var_os("UPDATE").is_some() {
        let text = format!("{before}<!-- trace -->\n```text\n{trace}```\n{after}");
        return std::fs::write(path, text).unwrap();
    }
    assert_eq!(shown, trace, "run it with UPDATE=1");
}

#[tokio::test]
async fn a_reminder_is_one_trace_and_counted_by_both_programs() {
    let (corner, folder) = (Corner::new(), TempDir::new().unwrap());
    let queue = corner.channel("observed", "Task.Reminder").name.to_string();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let spans_file = path("spans.json");
    let mut worker = Running::start(
        &corner,
        &[
            "worker",
            "--queue",
            &queue,
            "--mail-dir",
            &path("mail"),
            "--observe",
            "127.0.0.1:0",
            "--otlp-file",
            &spans_file,
        ],
    );
    let observed = worker.says("observed on http://").await;
    worker.says("receiving").await;
    let mut api = Running::start(
        &corner,
        &[
            "api",
            "--database",
            &path("tasks.db"),
            "--listen",
            "127.0.0.1:0",
            "--otlp-file",
            &spans_file,
        ],
    );
    let listening = api.says("listening on http://").await;
    let answer = ask(&listening, &reminder()).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    until("it is mailed", || {
        std::fs::read_dir(folder.path().join("mail")).is_ok_and(|mails| {
            mails
                .flatten()
                .any(|mail| mail.path().extension().is_some_and(|is| is == "eml"))
        })
    })
    .await;

    let of_worker = async {
        loop {
            let text = metrics(&observed).await;
            if text.contains("brighter_handled_messages_total{messaging_system=\"rabbitmq\",brighter_subscription=\"task-reminders\"} 1\n") {
                return text;
            }
        }
    };
    let of_worker = timeout(DEADLINE, of_worker).await.expect("it is counted");
    promtool::accepts(&of_worker);
    let of_api = metrics(&listening).await;
    assert!(
        of_api.contains("messaging_client_sent_messages_total"),
        "{of_api}"
    );
    promtool::accepts(&of_api);

    worker.terminate().await;
    api.terminate().await;
    let said = std::fs::read_to_string(&spans_file).unwrap();
    let spans = spans(&said.replace(&queue, "task-reminders"));
    let mut trace = String::new();
    tree(&spans, "00f067aa0ba902b7", 0, &mut trace);
    let all = spans.iter().filter(|span| span.text("traceId") == TRACE).count();
    assert_eq!(trace.lines().count(), all, "all hang together: {trace}");
    document_shows(&trace);
    assert!(!said.contains("ada@example.com"), "bodies are not in spans");
}

/// Whether a request of HTTP/1.1 has come to the end of the body that its header announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some(header) = text
        .split("\r\n\r\n")
        .next()
        .filter(|header| header.len() < text.len())
    else {
        return false;
    };
    let length = header
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or_default();
    request.len() >= header.len() + 4 + length
}

#[tokio::test]
async fn spans_are_sent_by_otlp_before_the_program_ends() {
    let (corner, folder) = (Corner::new(), TempDir::new().unwrap());
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let otlp = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let queue = corner.channel("sent", "Task.Reminder").name.to_string();
    let mails = folder.path().join("mail").display().to_string();
    let mut worker = Running::start(
        &corner,
        &["worker", "--queue", &queue, "--mail-dir", &mails, "--otlp", &otlp],
    );
    worker.says("receiving").await;
    let collected = tokio::spawn(async move {
        let (mut stream, _) = collector.accept().await.unwrap();
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        // The pump of the queue is a span that is over only when the worker ends.
        let name = format!("pump {queue}");
        // To the end of the body: a client whose request is not read takes the answer for a failure.
        while !is_whole(&request)
            || !request
                .windows(name.len())
                .any(|window| window == name.as_bytes())
        {
            let read = stream.read(&mut part).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&request));
            request.extend(&part[..read]);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request).into_owned()
    });
    worker.terminate().await;
    let request = timeout(DEADLINE, collected).await.expect("it is sent").unwrap();
    assert!(request.starts_with("POST /v1/traces HTTP/1.1"), "{request}");
    assert!(request.contains("tasks-worker"), "{request}");
}
