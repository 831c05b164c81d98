//! As much of the two protocols as it takes to ask a server whether it is there.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::error::{Doing, Result, failed};

const PATIENCE: Duration = Duration::from_secs(5);
/// A greeting or an error is a few hundred bytes; more means that this is another kind of server.
const LARGEST: usize = 64 * 1024;

/// Whether a PostgreSQL server answers; its version it tells only to who has logged in.
pub(super) fn postgres(address: &str) -> Result<Option<String>> {
    let (kind, answer) = postgres_answer(address).doing(format_args!("reach PostgreSQL at {address}"))?;
    match kind {
        b'R' => Ok(None),
        // It refuses the user or wants TLS, but it is there; while it starts or ends it says so by this code.
        b'E' if !has(&answer, b"C57P03\0") => Ok(None),
        b'E' => Err(failed(format_args!("PostgreSQL at {address} is not ready"))),
        _ => Err(failed(format_args!(
            "what listens at {address} does not speak as PostgreSQL does"
        ))),
    }
}

fn postgres_answer(address: &str) -> std::io::Result<(u8, Vec<u8>)> {
    const STARTUP: &[u8] = b"\0\x03\0\0user\0brighter\0database\0postgres\0\0";
    let mut stream = connect(address)?;
    stream.write_all(&(STARTUP.len() as u32 + 4).to_be_bytes())?;
    stream.write_all(STARTUP)?;
    let mut header = [0; 5];
    stream.read_exact(&mut header)?;
    let size = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let mut answer = vec![0; size.saturating_sub(4).min(LARGEST)];
    stream.read_exact(&mut answer)?;
    Ok((header[0], answer))
}

/// The version that a MySQL or MariaDB server tells in its greeting.
pub(super) fn mysql(address: &str) -> Result<Option<String>> {
    let greeting = mysql_greeting(address).doing(format_args!("reach MySQL at {address}"))?;
    greeting_version(&greeting).map(Some).ok_or_else(|| {
        failed(format_args!(
            "what listens at {address} does not greet as MySQL does, or refuses us"
        ))
    })
}

fn mysql_greeting(address: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    let mut header = [0; 4];
    stream.read_exact(&mut header)?;
    let size = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    let mut greeting = vec![0; size.min(LARGEST)];
    stream.read_exact(&mut greeting)?;
    Ok(greeting)
}

/// The protocol's number, then the version up to a zero byte. MariaDB hides behind an old number of MySQL.
fn greeting_version(greeting: &[u8]) -> Option<String> {
    let (10, rest) = greeting.split_first()? else {
        return None;
    };
    let version = rest.split(|byte| *byte == 0).next()?;
    let version = String::from_utf8_lossy(version);
    Some(version.strip_prefix("5.5.5-").unwrap_or(&version).to_owned())
}

fn connect(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::other("the name has no address");
    for one in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&one, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::greeting_version;

    #[test]
    fn a_greeting_tells_the_version() {
        for (greeting, version) in [
            (&b"\x0a8.4.2\0rest"[..], Some("8.4.2")),
            (b"\x0a5.5.5-10.11.19-MariaDB\0rest", Some("10.11.19-MariaDB")),
            (b"\xff\x15\x04Too many connections", None),
            (b"", None),
        ] {
            assert_eq!(greeting_version(greeting).as_deref(), version);
        }
    }
}
