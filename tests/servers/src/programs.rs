//! Programs of this machine, and what a private server gets from the system.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Returns the first of these folders, then of `PATH`, that has the program.
pub(crate) fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folders
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path));
    folders
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Returns a command as a person would type it. A word of several lines, which is a script, is left out.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(|word| if word.contains('\n') { "…".into() } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Runs a command without its output, and returns what it wrote to stdout. An error has what it wrote to stderr, or
/// else to stdout.
pub fn read(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not run `{line}`"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = Some(text(&output.stderr)).filter(|said| !said.is_empty());
    bail!(
        "`{line}` failed ({}): {}",
        output.status,
        said.unwrap_or_else(|| text(&output.stdout))
    )
}

/// Returns whether this process may do everything.
pub(crate) fn is_root() -> Result<bool> {
    Ok(read(Command::new("id").arg("-u"))? == "0")
}

/// Below those that systems give to connections that leave them: while a server is down its port must not be taken,
/// and a client that tries it must not be connected with itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Returns ports that nothing listens on, held together until all are known so that they differ.
pub(crate) fn free_port<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    for _ in PORTS {
        if held.len() == N {
            break;
        }
        let port = PORTS.start + u16::from_ne_bytes(random()?) % (PORTS.end - PORTS.start);
        held.extend(
            TcpListener::bind(("127.0.0.1", port))
                .ok()
                .map(|listener| (port, listener)),
        );
    }
    let ports: Vec<_> = held.iter().map(|(port, _)| *port).collect();
    <[u16; N]>::try_from(ports)
        .ok()
        .context("could not find free ports")
}

/// Returns a word that nobody on the machine can guess, and that needs no escape in a URL.
pub(crate) fn password() -> Result<String> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes));
    read.context("could not read /dev/urandom").map(|()| bytes)
}
