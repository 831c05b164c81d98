//! The API, without a socket and on the in-memory broker.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use brighter::InMemoryBroker;
use brighter::channel::{Broker, Channel};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tasks::ReminderStore;
use tasks::api::{AfterCommit, Api};
use tempfile::TempDir;
use tower::ServiceExt;

struct Rig {
    api: Router,
    broker: InMemoryBroker,
    _folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ReminderStore::open(folder.path().join("tasks.db")).await.unwrap();
        let broker = InMemoryBroker::new();
        let api = Api::new(store, broker.clone(), AfterCommit::Answer).unwrap();
        Self {
            api: api.router(),
            broker,
            _folder: folder,
        }
    }

    /// From now on somebody wants reminders.
    async fn declare(&self) {
        self.broker
            .declare(&Channel::new("reminders", "Task.Reminder"))
            .await
            .unwrap();
    }

    async fn post(&self, body: impl ToString) -> (StatusCode, Option<String>, Value) {
        self.call(Request::post("/reminders"), body.to_string()).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let (status, _, body) = self.call(Request::get(path), String::new()).await;
        (status, body)
    }

    async fn call(
        &self,
        request: axum::http::request::Builder,
        body: String,
    ) -> (StatusCode, Option<String>, Value) {
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .unwrap();
        let response = self.api.clone().oneshot(request).await.unwrap();
        let location = response
            .headers()
            .get(header::LOCATION)
            .map(|at| at.to_str().unwrap().to_owned());
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, location, serde_json::from_slice(&body).unwrap())
    }
}

fn reminder() -> Value {
    json!({ "task_name": "Pay the rent", "due": "on Friday", "recipient": "Ada <ada@example.com>" })
}

#[tokio::test]
async fn a_reminder_is_accepted_and_then_sent() {
    let rig = Rig::new().await;
    rig.declare().await;
    let (status, location, answer) = rig.post(reminder()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let id = answer["id"].as_str().unwrap().to_owned();
    let path = location.unwrap();
    assert_eq!(path, format!("/reminders/{id}"));

    let began = Instant::now();
    let found = loop {
        let (status, found) = rig.get(&path).await;
        assert_eq!(status, StatusCode::OK);
        if found["sent"] == true {
            break found;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{found}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (&found["id"], &found["task_name"]),
        (&json!(id), &json!("Pay the rent"))
    );
    assert!(found.get("not_sent_because").is_none(), "{found}");
    let messages = rig.broker.messages("reminders");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].header.id.to_string(), id);
}

#[tokio::test]
async fn a_reminder_that_nobody_wants_is_kept_and_says_why() {
    let rig = Rig::new().await;
    let (status, location, _) = rig.post(reminder()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let path = location.unwrap();
    let began = Instant::now();
    loop {
        let (_, found) = rig.get(&path).await;
        assert_eq!(found["sent"], false, "{found}");
        if found["not_sent_because"]
            .as_str()
            .is_some_and(|why| why.contains("no channel is bound"))
        {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{found}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn invalid_reminders_are_refused_with_a_reason() {
    let rig = Rig::new().await;
    let with = |field: &str, value: Value| {
        let mut body = reminder();
        body[field] = value;
        body.to_string()
    };
    for (body, field) in [
        ("{".to_owned(), None),
        ("[]".to_owned(), None),
        (with("task_name", json!(1)), None),
        (with("urgent", json!(true)), None),
        (with("task_name", json!("")), Some("task_name")),
        (with("due", json!("now\nBcc: all@example.com")), Some("due")),
        (with("recipient", json!("nobody")), Some("recipient")),
    ] {
        let (status, _, answer) = rig.post(&body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(answer["error"].is_string(), "{answer}");
        assert_eq!(answer["field"].as_str(), field, "{answer}");
    }
}

#[tokio::test]
async fn the_api_says_whether_it_is_ready() {
    let rig = Rig::new().await;
    let (status, said) = rig.get("/readyz").await;
    assert_eq!((status, &said["ready"]), (StatusCode::OK, &json!(true)), "{said}");
}

#[tokio::test]
async fn an_unknown_reminder_is_not_found() {
    let rig = Rig::new().await;
    for path in [
        "/reminders/nope",
        "/reminders/01a20282-f7bd-7521-a96b-b61bc7759725",
    ] {
        let (status, answer) = rig.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(answer["error"].is_string());
    }
}

#[tokio::test]
async fn many_at_once_are_all_accepted() {
    let rig = Rig::new().await;
    rig.declare().await;
    let rig = Arc::new(rig);
    let posts: Vec<_> = (0..200)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.post(reminder()).await })
        })
        .collect();
    for post in posts {
        let (status, _, answer) = post.await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
}
