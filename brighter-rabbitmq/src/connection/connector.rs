//! One attempt to connect to one node: resolve its name, open a socket, do the TLS handshake if the URL says so, log
//! in.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::tcp::AsyncTcpStream;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::io_thread::IoThread;
use super::socket::{Kit, Socket};
use super::traffic::{TimedStream, Traffic};
use crate::error::ConnectError;
use crate::fault::TlsFault;
use crate::tls::Tls;
use crate::url::Address;

/// The deadline of one attempt at one node, until it is logged in. An attempt that began during a network outage never
/// gets an answer, so it must not delay the next one for long.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
/// The deadline of one address of a node, so that the next address gets its turn.
const ANSWER: Duration = Duration::from_secs(4);
/// The deadline for finding out why a node closed the connection.
const ASKING: Duration = Duration::from_secs(2);
/// The first bytes that a client of AMQP 0-9-1 sends.
const HELLO: &[u8] = b"AMQP\x00\x00\x09\x01";

/// Closes a socket that lapin reads and writes when it is dropped. A socket that is opened only afterwards is closed as
/// well.
///
/// lapin's thread waits forever for a broker that accepts the connection and then sends nothing.
#[derive(Default)]
pub(super) struct SocketCut(SocketHolder);

/// The part that lapin's thread keeps, which outlives the `SocketCut`.
#[derive(Clone, Default)]
struct SocketHolder(Arc<Mutex<HeldSocket>>);

#[derive(Default)]
enum HeldSocket {
    #[default]
    Nothing,
    Socket(TcpStream),
    /// The socket is closed.
    Over,
}

impl SocketHolder {
    fn hold(&self, stream: &tokio::net::TcpStream) -> io::Result<()> {
        let mut held = self.lock();
        if matches!(*held, HeldSocket::Over) {
            return Err(io::Error::other("given up"));
        }
        *held = HeldSocket::Socket(twin(stream)?);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HeldSocket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SocketCut {
    /// Shuts the socket down. Further calls have no effect.
    pub(super) fn cut(&self) {
        let held = std::mem::replace(&mut *self.0.lock(), HeldSocket::Over);
        if let HeldSocket::Socket(stream) = held {
            // An error means that the socket is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for SocketCut {
    fn drop(&mut self) {
        self.cut();
    }
}

#[cfg(unix)]
fn twin(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::fd::AsFd;
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn twin(stream: &tokio::net::TcpStream) -> io::Result<TcpStream> {
    use std::os::windows::io::AsSocket;
    Ok(stream.as_socket().try_clone_to_owned()?.into())
}

/// A connection that is logged in.
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) address: Address,
    /// The index of its node.
    pub(super) node: usize,
    pub(super) traffic: Arc<Traffic>,
    pub(super) cut: SocketCut,
}

/// Connects to a node on the thread of `io`, and logs in.
pub(super) async fn attempt(
    io: &IoThread,
    (node, address): (usize, &Address),
    tls: &Tls,
    properties: ConnectionProperties,
) -> Result<Connected, ConnectError> {
    let cut = SocketCut::default();
    let traffic = Arc::new(Traffic::new());
    let connecting = connect(io, address, tls, properties, &cut.0, &traffic);
    let error = match timeout(ATTEMPT, connecting).await {
        Ok(Ok(connection)) => {
            return Ok(Connected {
                connection,
                address: address.clone(),
                node,
                traffic,
                cut,
            });
        }
        Ok(Err(error)) => error,
        Err(_) => return Err(ConnectError::silent(address, ATTEMPT)),
    };
    let fault = match TlsFault::behind(&error, tls.has_client_certificate()) {
        None if hung_up(&error) && demands_tls(address).await => Some(TlsFault::Demanded),
        found => found,
    };
    Err(match fault {
        Some(fault) => ConnectError::tls(address, fault, error),
        None => ConnectError::of_attempt(error, address),
    })
}

async fn connect(
    io: &IoThread,
    address: &Address,
    tls: &Tls,
    properties: ConnectionProperties,
    holder: &SocketHolder,
    traffic: &Arc<Traffic>,
) -> lapin::Result<Connection> {
    let runtime = {
        let _entered = io.enter();
        Kit::current()
    };
    let (tls, holder, traffic) = (tls.clone(), holder.clone(), Arc::clone(traffic));
    // Runs on a thread of lapin's own, so that reading the files of `tls` delays nobody.
    let socket = async move |uri: AMQPUri, _| {
        let (host, port) = (uri.authority.host.as_str(), uri.authority.port);
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
        for one in addresses {
            let opened = timeout(ANSWER, tokio::net::TcpStream::connect(one)).await;
            let stream = match opened {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    last = error;
                    continue;
                }
                Err(_) => {
                    let silence = format!("no answer from {one} within {ANSWER:?}");
                    last = io::Error::new(io::ErrorKind::TimedOut, silence);
                    continue;
                }
            };
            stream.set_nodelay(true)?;
            holder.hold(&stream)?;
            let stream = TimedStream::new(stream, Arc::clone(&traffic));
            let socket = match uri.scheme {
                AMQPScheme::AMQP => Socket::plain(stream),
                AMQPScheme::AMQPS => {
                    let config = tls.config().map_err(io::Error::other)?;
                    Socket::tls(stream, config, tls.name(host)).await?
                }
            };
            return Ok(AsyncTcpStream::Plain(socket));
        }
        Err(last.into())
    };
    Connection::connector(address.uri.clone(), runtime, socket, properties).await
}

/// Returns whether the server closed the connection or did not speak AMQP, and so gave no reason.
fn hung_up(error: &lapin::Error) -> bool {
    match error.kind() {
        ErrorKind::ParsingError(_) => true,
        ErrorKind::IOError(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

/// Returns whether a node that does not speak plaintext AMQP answers with a TLS alert.
async fn demands_tls(address: &Address) -> bool {
    if address.speaks_tls() {
        return false;
    }
    let authority = &address.uri.authority;
    let asking = async {
        let mut stream = tokio::net::TcpStream::connect((authority.host.as_str(), authority.port)).await?;
        stream.write_all(HELLO).await?;
        let mut begin = [0; 2];
        stream.read_exact(&mut begin).await?;
        io::Result::Ok(begin)
    };
    // The type of an alert, and the major version of every TLS.
    matches!(timeout(ASKING, asking).await, Ok(Ok([0x15, 0x03])))
}
