//! API and workers as processes of their own, on RabbitMQ and over a file, some of them killed: nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use brighter_tests::rabbitmq::{Corner, url};
use brighter_tests::wait::until;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Each of the tests, on both brokers.
macro_rules! on_both_brokers {
    ($($test:ident),+ $(,)?) => {
        mod on_rabbitmq {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Rig::on_rabbitmq()).await;
            })+
        }
        mod over_a_file {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Rig::over_a_file()).await;
            })+
        }
    };
}

on_both_brokers!(
    a_worker_that_is_observed_is_ready_once_it_consumes,
    a_worker_killed_half_way_loses_nothing,
    a_worker_told_to_end_finishes_what_is_in_hand_and_gives_back_the_rest,
    the_api_killed_between_commit_and_publish_sends_on_restart,
    an_api_killed_while_it_takes_reminders_loses_none_that_it_accepted,
    two_workers_share_a_queue_and_two_queues_each_get_every_message,
);

/// A corner of a broker, a folder, and what runs in them.
struct Rig {
    /// Without one the broker is a file in the folder.
    corner: Option<Corner>,
    folder: TempDir,
}

/// A process, which is killed when it is dropped.
struct Running {
    child: Child,
    first_line: String,
}

impl Rig {
    fn on_rabbitmq() -> Self {
        Self {
            corner: Some(Corner::new()),
            folder: TempDir::new().unwrap(),
        }
    }

    fn over_a_file() -> Self {
        Self {
            corner: None,
            folder: TempDir::new().unwrap(),
        }
    }

    /// A queue of this test, removed at its end with those beside it.
    fn queue(&self, name: &str) -> String {
        match &self.corner {
            Some(corner) => corner.channel(name, "Task.Reminder").name.to_string(),
            None => name.to_owned(),
        }
    }

    fn broker(&self) -> Vec<String> {
        match &self.corner {
            Some(corner) => vec!["--broker".into(), url(), "--exchange".into(), corner.exchange()],
            None => {
                let file = self.folder.path().join("broker.db");
                vec!["--broker-file".into(), file.to_str().unwrap().into()]
            }
        }
    }

    fn mails(&self, folder: &str) -> PathBuf {
        self.folder.path().join(folder)
    }

    /// Starts `tasks` with these arguments, and waits for the first line that it prints: it is ready.
    async fn start(&self, arguments: &[&str], crash: Option<&str>) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tasks"));
        command
            .args(arguments)
            .args(self.broker())
            .env_remove("TASKS_BROKER")
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(point) = crash {
            command.env("TASKS_CRASH", point);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
        let first_line = line.expect("ready in time").unwrap().expect("a first line");
        // Nobody reads on: what it prints must not stop it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Running { child, first_line }
    }

    async fn worker(&self, queue: &str, folder: &str) -> Running {
        let mails = self.mails(folder);
        let arguments = [
            "worker",
            "--queue",
            queue,
            "--mail-dir",
            mails.to_str().unwrap(),
            "--buffer",
            "10",
        ];
        let running = self.start(&arguments, None).await;
        assert_eq!(running.first_line, "receiving");
        running
    }

    async fn api(&self, crash: Option<&str>) -> (Running, Client) {
        let database = self.folder.path().join("tasks.db");
        let arguments = [
            "api",
            "--database",
            database.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ];
        let running = self.start(&arguments, crash).await;
        let address = running
            .first_line
            .strip_prefix("listening on http://")
            .expect("its address")
            .to_owned();
        (running, Client::connect(address).await)
    }
}

impl Running {
    /// Kills it as `kill -9` does.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it has ended by itself.
    async fn ended(mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        assert!(!ended.expect("it ends").unwrap().success());
    }
}

impl Running {
    /// Tells it to end, as an operator or a service manager does, and waits until it has.
    async fn terminate(mut self) -> bool {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(told.success());
        let ended = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        ended.expect("it ends").unwrap().success()
    }
}

/// Posts reminders over one HTTP connection.
struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Client {
    async fn connect(address: String) -> Self {
        let stream = TcpStream::connect(&address).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, address }
    }

    async fn request(&mut self, method: &str, path: &str, body: String) -> hyper::Result<(u16, String)> {
        self.sender.ready().await?;
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.address)
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Posts a reminder, and gives its id.
    async fn post(&mut self, number: usize) -> hyper::Result<String> {
        let body = format!(r#"{{"task_name":"Task {number}","due":"now","recipient":"ada@example.com"}}"#);
        let (status, body) = self.request("POST", "/reminders", body).await?;
        assert_eq!(status, 202, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        Ok(answer["id"].as_str().unwrap().to_owned())
    }

    /// Whether the broker has a reminder, as the API tells.
    async fn is_sent(&mut self, id: &str) -> bool {
        let (status, body) = self
            .request("GET", &format!("/reminders/{id}"), String::new())
            .await
            .unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["sent"] == true
    }
}

/// The ids of the reminders that were mailed to the folder.
fn mailed(folder: &Path) -> BTreeSet<String> {
    let Ok(files) = std::fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter_map(|name| name.strip_suffix(".eml").map(str::to_owned))
        .collect()
}

const REMINDERS: usize = 1_000;

async fn a_worker_that_is_observed_is_ready_once_it_consumes(rig: Rig) {
    let (queue, mails) = (rig.queue("observed"), rig.mails("observed"));
    let arguments = [
        "worker",
        "--queue",
        &queue,
        "--mail-dir",
        mails.to_str().unwrap(),
        "--observe",
        "127.0.0.1:0",
    ];
    let running = rig.start(&arguments, None).await;
    let address = running.first_line.strip_prefix("observed on http://");
    let mut client = Client::connect(address.expect("its address").to_owned()).await;
    let ready = async {
        loop {
            let (status, body) = client.request("GET", "/readyz", String::new()).await.unwrap();
            if status == 200 {
                return body;
            }
            assert_eq!(status, 503, "{body}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let body = tokio::time::timeout(Duration::from_secs(60), ready).await;
    assert!(body.expect("ready in time").contains(r#""ready":true"#));
    // It may be ready before it listens to signals, so it is not told to end.
    running.kill().await;
}

async fn a_worker_killed_half_way_loses_nothing(rig: Rig) {
    let (queue, mails) = (rig.queue("reminders"), rig.mails("mail"));
    let mut worker = Some(rig.worker(&queue, "mail").await);
    let (_api, mut client) = rig.api(None).await;
    let mut posted = BTreeSet::new();
    for number in 0..REMINDERS {
        posted.insert(client.post(number).await.unwrap());
        if number == REMINDERS / 2 {
            until("some are mailed", || mailed(&mails).len() > REMINDERS / 10).await;
            if let Some(worker) = worker.take() {
                worker.kill().await;
            }
        }
    }
    assert_eq!(posted.len(), REMINDERS);
    assert!(
        mailed(&mails).len() < REMINDERS,
        "the worker was killed before it was done"
    );
    let _worker = rig.worker(&queue, "mail").await;
    until("every reminder is mailed", || mailed(&mails).len() >= REMINDERS).await;
    assert_eq!(mailed(&mails), posted);
    for id in posted.iter().take(10) {
        assert!(client.is_sent(id).await);
    }
}

async fn a_worker_told_to_end_finishes_what_is_in_hand_and_gives_back_the_rest(rig: Rig) {
    let (queue, mails) = (rig.queue("reminders"), rig.mails("mail"));
    let worker = rig.worker(&queue, "mail").await;
    let (api, mut client) = rig.api(None).await;
    let mut posted = BTreeSet::new();
    for number in 0..REMINDERS / 5 {
        posted.insert(client.post(number).await.unwrap());
    }
    until("some are mailed", || !mailed(&mails).is_empty()).await;
    assert!(worker.terminate().await, "nothing was cut short");
    assert!(api.terminate().await);
    let _worker = rig.worker(&queue, "mail").await;
    let _api = rig.api(None).await;
    until("every reminder is mailed", || mailed(&mails) == posted).await;
}

async fn the_api_killed_between_commit_and_publish_sends_on_restart(rig: Rig) {
    let (queue, mails) = (rig.queue("reminders"), rig.mails("mail"));
    let _worker = rig.worker(&queue, "mail").await;
    let (api, mut client) = rig.api(Some("after-commit")).await;
    assert!(client.post(0).await.is_err(), "it died before it could answer");
    api.ended().await;
    assert!(mailed(&mails).is_empty(), "nothing was sent");

    let (_api, mut client) = rig.api(None).await;
    until("the reminder is mailed", || mailed(&mails).len() == 1).await;
    let id = client.post(1).await.unwrap();
    until("the next one too", || mailed(&mails).contains(&id)).await;
}

async fn an_api_killed_while_it_takes_reminders_loses_none_that_it_accepted(rig: Rig) {
    let (queue, mails) = (rig.queue("reminders"), rig.mails("mail"));
    let _worker = rig.worker(&queue, "mail").await;
    let (api, mut client) = rig.api(None).await;
    let mut accepted = BTreeSet::new();
    let mut number = 0;
    let killing = async {
        until("some are mailed", || mailed(&mails).len() > REMINDERS / 10).await;
        api.kill().await;
    };
    let posting = async {
        while let Ok(id) = client.post(number).await {
            accepted.insert(id);
            number += 1;
        }
    };
    tokio::join!(killing, posting);
    let (_api, mut client) = rig.api(None).await;
    accepted.insert(client.post(number).await.unwrap());
    until("all that were accepted are mailed", || {
        accepted.is_subset(&mailed(&mails))
    })
    .await;
    let unanswered = mailed(&mails).len() - accepted.len();
    assert!(
        unanswered <= 1,
        "only one can have been committed and not answered: {unanswered}"
    );
}

async fn two_workers_share_a_queue_and_two_queues_each_get_every_message(rig: Rig) {
    let (shared, other) = (rig.queue("shared"), rig.queue("other"));
    let _workers = [
        rig.worker(&shared, "one").await,
        rig.worker(&shared, "two").await,
        rig.worker(&other, "all").await,
    ];
    let (_api, mut client) = rig.api(None).await;
    let mut posted = BTreeSet::new();
    for number in 0..REMINDERS / 5 {
        posted.insert(client.post(number).await.unwrap());
    }
    let (one, two, all) = (rig.mails("one"), rig.mails("two"), rig.mails("all"));
    until("all are mailed twice", || {
        mailed(&all).len() == posted.len() && mailed(&one).len() + mailed(&two).len() == posted.len()
    })
    .await;
    assert_eq!(mailed(&all), posted);
    assert!(
        mailed(&one).is_disjoint(&mailed(&two)),
        "each reminder was mailed by one of the two"
    );
    assert!(
        !mailed(&one).is_empty() && !mailed(&two).is_empty(),
        "both worked"
    );
}
