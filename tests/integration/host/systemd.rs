//! What systemd is told.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use brighter::MessageId;
use tokio::net::UnixDatagram as Socket;

use super::{DEADLINE, Process};

/// The socket that systemd would listen on.
struct Listener(Socket);

impl Listener {
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(Socket::from_std(socket).unwrap())
    }

    /// The next thing that it is told.
    async fn next(&self) -> String {
        let mut buffer = vec![0; 4096];
        let told = tokio::time::timeout(DEADLINE, self.0.recv(&mut buffer)).await;
        let bytes = told.expect("it is told in time").unwrap();
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    }

    /// Waits until it is told something that begins so.
    async fn until(&self, begin: &str) -> String {
        loop {
            let told = self.next().await;
            if told.starts_with(begin) {
                return told;
            }
        }
    }
}

#[tokio::test]
async fn systemd_is_told_when_it_receives_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let listener = Listener::at(&SocketAddr::from_pathname(&path).unwrap());
    let process = Process::start(&[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(listener.next().await, "READY=1\nSTATUS=ready");
    process.signal("TERM").await;
    assert_eq!(
        listener.next().await,
        "STOPPING=1\nSTATUS=finishing what is in hand"
    );
    assert_eq!(process.ends().await.0, 0);
}

#[tokio::test]
async fn watchdog_notifications_continue_while_stopping() {
    let name = format!("brighter-test-{}", MessageId::new());
    let listener = Listener::at(&SocketAddr::from_abstract_name(&name).unwrap());
    let mut process = Process::start(&[
        ("NOTIFY_SOCKET", &format!("@{name}")),
        ("WATCHDOG_USEC", "20000"),
        ("CHILD_POST", "1"),
    ]);
    listener.until("READY=1").await;
    listener.until("WATCHDOG=1").await;
    process.says("begun", 1).await;
    process.signal("TERM").await;
    listener.until("STOPPING=1").await;
    listener.until("WATCHDOG=1").await;
    process.allow(1).await;
    assert_eq!(process.ends().await.0, 0);
}

#[tokio::test]
async fn no_watchdog_notification_is_sent_for_another_process() {
    let name = format!("brighter-test-{}", MessageId::new());
    let listener = Listener::at(&SocketAddr::from_abstract_name(&name).unwrap());
    let process = Process::start(&[
        ("NOTIFY_SOCKET", &format!("@{name}")),
        ("WATCHDOG_USEC", "1"),
        ("WATCHDOG_PID", "1"),
    ]);
    // It has come so far, and was to give a sign every microsecond.
    assert_eq!(listener.next().await, "READY=1\nSTATUS=ready");
    process.signal("TERM").await;
    assert!(listener.next().await.starts_with("STOPPING=1"));
    process.ends().await;
}
