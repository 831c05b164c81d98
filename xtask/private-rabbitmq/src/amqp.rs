//! As much of AMQP 0-9-1 as it takes to ask a broker for its version: it says so before anyone logs in.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::{Doing, Result, failed};

const PATIENCE: Duration = Duration::from_secs(5);
const PROTOCOL_HEADER: &[u8] = b"AMQP\x00\x00\x09\x01";
/// Type, channel, size.
const FRAME_HEADER: usize = 7;
/// A Connection.Start is a few hundred bytes; more means that this is not a broker.
const LARGEST: usize = 64 * 1024;

/// The version that the broker at `address` (`host:port`) names in its Connection.Start.
pub fn version(address: &str) -> Result<String> {
    let start = connection_start(address).doing(format_args!("reach RabbitMQ at {address}"))?;
    server_version(&start).ok_or_else(|| {
        failed(format_args!(
            "what listens at {address} does not speak AMQP 0-9-1 as RabbitMQ does"
        ))
    })
}

/// The payload of the first frame that the broker sends.
fn connection_start(address: &str) -> std::io::Result<Vec<u8>> {
    let resolved = address.to_socket_addrs()?;
    let mut last = std::io::Error::other("the name has no address");
    for one in resolved {
        match TcpStream::connect_timeout(&one, PATIENCE) {
            Ok(mut stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.write_all(PROTOCOL_HEADER)?;
                let mut header = [0; FRAME_HEADER];
                stream.read_exact(&mut header)?;
                let size = u32::from_be_bytes([header[3], header[4], header[5], header[6]]) as usize;
                let mut payload = vec![0; size.min(LARGEST)];
                stream.read_exact(&mut payload)?;
                return Ok(payload);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Reads `version` from the server-properties of a Connection.Start (class 10, method 10).
fn server_version(mut payload: &[u8]) -> Option<String> {
    let bytes = &mut payload;
    if take(bytes, 4)? != [0, 10, 0, 10] {
        return None;
    }
    take(bytes, 2)?; // the protocol's own version
    let mut table = long(bytes)?;
    while !table.is_empty() {
        let key = short(&mut table)?;
        let kind = take(&mut table, 1)?[0];
        let value = match kind {
            b'S' | b'F' | b'A' | b'x' => long(&mut table)?,
            b't' | b'b' | b'B' => take(&mut table, 1)?,
            b's' | b'u' => take(&mut table, 2)?,
            b'I' | b'i' | b'f' => take(&mut table, 4)?,
            b'D' => take(&mut table, 5)?,
            b'l' | b'L' | b'd' | b'T' => take(&mut table, 8)?,
            b'V' => &[],
            _ => return None,
        };
        if key == b"version" {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// A string or table with a length of one byte in front.
fn short<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let size = take(bytes, 1)?[0];
    take(bytes, size.into())
}

/// A string or table with a length of four bytes in front.
fn long<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let size: [u8; 4] = take(bytes, 4)?.try_into().ok()?;
    take(bytes, u32::from_be_bytes(size) as usize)
}

#[cfg(test)]
mod tests {
    use super::server_version;

    const TABLE: &[u8] =
        b"\x0ccapabilitiesF\0\0\0\x04\x01at\x01\x07productS\0\0\0\x08RabbitMQ\x07versionS\0\0\0\x063.10.8";

    fn start() -> Vec<u8> {
        let mut payload = vec![0, 10, 0, 10, 0, 9];
        payload.extend((TABLE.len() as u32).to_be_bytes());
        payload.extend(TABLE);
        payload.extend(b"\0\0\0\x05PLAIN\0\0\0\x05en_US");
        payload
    }

    #[test]
    fn the_version_is_found_behind_other_properties() {
        assert_eq!(server_version(&start()).as_deref(), Some("3.10.8"));
    }

    #[test]
    fn half_a_frame_is_no_version_and_no_panic() {
        let start = start();
        for end in 0..start.len() - 24 {
            assert_eq!(server_version(&start[..end]), None, "cut at {end}");
        }
    }
}
