//! As much of three protocols as it takes to ask a server whether it is there: each says so before a login.

use std::io::{Error, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(5);
/// What each server says first is a few hundred bytes.
const LARGEST: usize = 4096;

/// Asks a RabbitMQ broker. Its first frame has its version.
pub(crate) fn rabbitmq(address: &str) -> Result<Option<String>> {
    let answer = first_answer(address, b"AMQP\x00\x00\x09\x01")?;
    // Behind type, channel and size: Connection.Start, which is method 10 of class 10.
    if answer.get(7..11) != Some(&[0, 10, 0, 10]) {
        bail!("what listens at {address} does not speak AMQP 0-9-1 as RabbitMQ does");
    }
    Ok(amqp_version(&answer))
}

/// The property `version`: a name with its length, the type `S`, and a text with its length.
fn amqp_version(answer: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\x07versionS";
    let at = answer.windows(NAME.len()).position(|window| window == NAME)?;
    let (length, rest) = answer[at + NAME.len()..].split_first_chunk::<4>()?;
    let version = rest.get(..u32::from_be_bytes(*length) as usize)?;
    Some(String::from_utf8_lossy(version).into_owned())
}

/// Asks a PostgreSQL server. It tells its version only after a login.
pub(crate) fn postgres(address: &str) -> Result<Option<String>> {
    const STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0brighter\0database\0postgres\0\0";
    const STARTS_OR_ENDS: &[u8] = b"C57P03\0";
    let answer = first_answer(address, STARTUP)?;
    match answer.first() {
        Some(b'E')
            if answer
                .windows(STARTS_OR_ENDS.len())
                .any(|window| window == STARTS_OR_ENDS) =>
        {
            bail!("PostgreSQL at {address} is not ready")
        }
        // With another error it refuses the user or wants TLS, but it is there.
        Some(b'R' | b'E') => Ok(None),
        _ => bail!("what listens at {address} does not speak as PostgreSQL does"),
    }
}

/// Asks a MySQL or MariaDB server. Its greeting has its version.
pub(crate) fn mysql(address: &str) -> Result<Option<String>> {
    let greeting = first_answer(address, b"")?;
    let version = mysql_version(&greeting);
    let refusal = || format!("what listens at {address} does not greet as MySQL does, or refuses us");
    version.map(Some).with_context(refusal)
}

/// Behind size and number: the protocol, then the version up to a zero byte. MariaDB hides behind an old one of MySQL.
fn mysql_version(greeting: &[u8]) -> Option<String> {
    let version = greeting
        .get(4..)?
        .strip_prefix(&[10])?
        .split(|byte| *byte == 0)
        .next()?;
    let version = String::from_utf8_lossy(version);
    Some(version.strip_prefix("5.5.5-").unwrap_or(&version).to_owned())
}

fn first_answer(address: &str, hello: &[u8]) -> Result<Vec<u8>> {
    let ask = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(hello)?;
        let mut answer = vec![0; LARGEST];
        let length = stream.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    };
    let connect = || {
        let mut last = Error::other("the name has no address");
        for one in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&one, PATIENCE) {
                Ok(stream) => return ask(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    };
    connect().with_context(|| format!("could not reach {address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_frame_tells_the_version() {
        let frame = b"\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8\xce";
        assert_eq!(amqp_version(frame).as_deref(), Some("3.10.8"));
        for end in 0..frame.len() - 1 {
            assert_eq!(amqp_version(&frame[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn a_greeting_tells_the_version() {
        for (greeting, version) in [
            (&b"size\x0a8.4.2\0rest"[..], Some("8.4.2")),
            (b"size\x0a5.5.5-10.11.19-MariaDB\0rest", Some("10.11.19-MariaDB")),
            (b"size\xff\x15\x04Too many connections", None),
            (b"", None),
        ] {
            assert_eq!(mysql_version(greeting).as_deref(), version);
        }
    }
}
