//! A database server of our own, in a group of its own, that ends with us whatever becomes of us.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::spawn_blocking;

/// Reads what to do, says when it is done, and takes the server down, with its folder, when nobody is left to tell it
/// anything: a server that tests share is in a static, which nobody drops.
const KEEPER: &str = r#"
trap '' INT TERM
server=
end() { [ -z "$server" ] || { kill -"$1" "$server"; wait "$server"; }; server=; }
while read -r word; do
  case $word in
    start) "$@" >>"$FOLDER/log" 2>&1 & server=$! ;;
    kill) end "$KILL" ;;
    stop) end "$STOP" ;;
  esac
  echo "$word"
done
end "$KILL"
rm -rf "$FOLDER"
"#;

/// The signals by which a server is told to end.
#[derive(Debug, Clone, Copy)]
pub struct Signals {
    /// At once, as in a crash.
    pub(crate) kill: &'static str,
    /// As an operator does.
    pub(crate) stop: &'static str,
}

/// Starts and ends a server.
pub(crate) struct Keeper(Arc<Mutex<Talk>>);

struct Talk {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Talk {
    fn tell(&mut self, word: &str) {
        let input = self.child.stdin.as_mut().expect("the keeper has an input");
        writeln!(input, "{word}").expect("the keeper can be told");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the keeper answers");
        assert_eq!(answer.trim(), word, "the keeper has ended");
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Keeper {
    /// Starts the server, and does not wait until it is up. Its folder goes with it.
    pub(crate) fn start(server: &Command, folder: &Path, signals: &Signals) -> Self {
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "keeper"])
            .arg(server.get_program())
            .args(server.get_args())
            .env("FOLDER", folder)
            .env("KILL", signals.kill)
            .env("STOP", signals.stop)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // A group of its own, so that a ctrl-c at the terminal does not reach it: it ends with us.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
        let mut child = keeper.spawn().expect("the keeper starts");
        let answers = BufReader::new(child.stdout.take().expect("the keeper has an output"));
        let mut talk = Talk { child, answers };
        talk.tell("start");
        Self(Arc::new(Mutex::new(talk)))
    }

    /// Tells it to `start`, `stop` or `kill` the server, and waits until that is done.
    pub(crate) async fn tell(&self, word: &'static str) {
        let talk = Arc::clone(&self.0);
        let told = spawn_blocking(move || talk.lock().unwrap_or_else(PoisonError::into_inner).tell(word));
        told.await.expect("telling does not panic");
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}
