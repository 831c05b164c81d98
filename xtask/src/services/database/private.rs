//! A server of our own from an installed database: its own folder, port and password, and nothing left behind.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Kind, Programs, until_up, with_version};
use crate::error::{Doing, Error, Result, failed};
use crate::services::Service;
use crate::shell;
use crate::stop::Stop;

/// The user of a private server, who may do everything.
pub(super) const USER: &str = "brighter";

const KEEPER: &str = include_str!("keeper.sh");
const LOG: &str = "console.log";
const LOG_TAIL: usize = 40;
/// Longer than the keeper takes before it kills.
const END: Duration = Duration::from_secs(15);

/// Where a private server lives.
pub(super) struct Place {
    folder: TempDir,
    pub(super) port: u16,
    pub(super) password: String,
}

impl Place {
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A server started for this run.
pub(super) struct Private {
    kind: &'static Kind,
    // Dropped in this order: first the server ends, then its folder goes.
    keeper: Keeper,
    place: Place,
}

impl Private {
    /// Starts a server and waits until it can be used.
    pub(super) fn start(kind: &'static Kind, programs: &Programs, stop: &Stop) -> Result<Self> {
        let prefix = format!("brighter-{}-", kind.name.to_lowercase());
        let place = Place {
            folder: tempfile::Builder::new()
                .prefix(&prefix)
                .tempdir()
                .doing("make a folder")?,
            port: free_port()?,
            password: some_password()?,
        };
        let command = (kind.prepare)(programs, &place)?;
        let mut private = Self {
            kind,
            keeper: Keeper::start(kind, &command, place.folder())?,
            place,
        };
        let address = private.address();
        let up = until_up(kind, &address, stop, || private.keeper.alive(kind));
        up.map_err(|error| match error {
            Error::Failed(text) => failed(format_args!("{text}\n{}", private.log_tail())),
            other => other,
        })?;
        Ok(private)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.place.port)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.place.folder().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        format!("The end of its log:\n  {}", tail.join("\n  "))
    }
}

impl Service for Private {
    fn describe(&self) -> Result<String> {
        match (self.kind.probe)(&self.address()) {
            Ok(version) => Ok(format!(
                "{}, private, started for this run",
                with_version(self.kind, version)
            )),
            Err(error) => Err(failed(format_args!("{error}\n{}", self.log_tail()))),
        }
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        let (scheme, password, database) = (self.kind.schemes[0], &self.place.password, self.kind.database);
        let url = format!("{scheme}://{USER}:{password}@{}/{database}", self.address());
        vec![(self.kind.url, Some(url))]
    }
}

/// The script that keeps the server, and the pipe by which it knows that we are alive.
struct Keeper(Child);

impl Keeper {
    fn start(kind: &Kind, server: &Command, folder: &Path) -> Result<Self> {
        let log = fs::File::create(folder.join(LOG)).doing("make a log file")?;
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "keeper"])
            .arg(server.get_program())
            .args(server.get_args())
            .env("FOLDER", folder)
            .env("END", kind.end)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().doing("share a log file")?)
            .stderr(log);
        shell::own_group(&mut command)
            .spawn()
            .doing(format_args!("start a private {}", kind.name))
            .map(Self)
    }

    fn alive(&mut self, kind: &Kind) -> Result {
        match self.0.try_wait().doing("watch a server")? {
            None => Ok(()),
            Some(_) => Err(failed(format_args!("{} ended while it was starting", kind.name))),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                shell::signal_group(&mut self.0, "KILL");
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A word that nobody on the machine can guess, and that needs no escaping in a URL.
pub(super) fn some_password() -> Result<String> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .doing("make up a password")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A port that nothing listens on, below those that the system gives to connections that leave it.
fn free_port() -> Result<u16> {
    let mut bytes = [0; 2];
    for _ in 0..1_000 {
        fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut bytes))
            .doing("choose a port")?;
        let port = 10_000 + u16::from_le_bytes(bytes) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(failed("found no free port"))
}
