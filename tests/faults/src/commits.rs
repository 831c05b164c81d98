//! A proxy to a database that knows a commit when it sees one, and cuts the connection in the midst of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Where in a commit the connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees it.
    BeforeTheServer,
    /// The server has done it, and its answer is lost.
    BeforeTheAnswer,
}

/// How a client tells a database what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// That of PostgreSQL.
    Postgres,
    /// That of MySQL and MariaDB.
    MySql,
}

impl Protocol {
    /// Reads one message of a client, and says whether it is a commit. The first may be of another form.
    async fn read(self, client: &mut OwnedReadHalf, is_first: bool) -> io::Result<(Vec<u8>, bool)> {
        let mut message = Vec::new();
        let length = match self {
            Self::Postgres => {
                // The first has no letter that says what it is.
                if !is_first {
                    message.push(client.read_u8().await?);
                }
                let length = client.read_u32().await?;
                message.extend(length.to_be_bytes());
                // It counts itself.
                length.saturating_sub(4)
            }
            Self::MySql => {
                let head = client.read_u32_le().await?;
                message.extend(head.to_le_bytes());
                // The highest byte is a number that counts the messages.
                head & 0x00ff_ffff
            }
        };
        let start = message.len();
        message.resize(start + usize::try_from(length).unwrap_or(0), 0);
        client.read_exact(&mut message[start..]).await?;
        let body = &message[start..];
        let is_commit = match self {
            Self::Postgres => message.first() == Some(&b'Q') && body.starts_with(b"COMMIT"),
            Self::MySql => body.starts_with(b"\x03COMMIT"),
        };
        Ok((message, is_commit))
    }
}

/// The proxy. Its connections end when it is dropped.
pub struct CommitProxy {
    address: String,
    shared: Arc<Shared>,
    _running: DropGuard,
}

#[derive(Default)]
struct Shared {
    /// 0 for none, else 1 or 2 for each [`Cut`]: the next commit takes it.
    armed: AtomicU8,
    cut: AtomicUsize,
}

impl CommitProxy {
    /// A proxy to this server, `host:port`.
    ///
    /// # Panics
    /// There is no port for it.
    pub async fn start(protocol: Protocol, server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let (shared, ended) = (Arc::<Shared>::default(), CancellationToken::new());
        let running = ended.clone().drop_guard();
        let to_shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let serving = async {
                while let Ok((client, _)) = listener.accept().await {
                    let (shared, ended) = (Arc::clone(&to_shared), ended.clone());
                    let server = server.clone();
                    tokio::spawn(async move {
                        let connecting = async {
                            let server = TcpStream::connect(server).await?;
                            carry(protocol, client, server, &shared).await
                        };
                        ended.run_until_cancelled(connecting).await
                    });
                }
            };
            ended.run_until_cancelled(serving).await
        });
        Self {
            address,
            shared,
            _running: running,
        }
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Cuts the connection at the next commit.
    pub fn cut_next(&self, cut: Cut) {
        let armed = if cut == Cut::BeforeTheServer { 1 } else { 2 };
        self.shared.armed.store(armed, Ordering::SeqCst);
    }

    /// How many commits were cut.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.shared.cut.load(Ordering::SeqCst)
    }
}

/// Carries what both say until one ends, or a commit is cut. Both connections end then.
async fn carry(protocol: Protocol, client: TcpStream, server: TcpStream, shared: &Shared) -> io::Result<()> {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answer_is_lost = AtomicBool::new(false);
    tokio::select! {
        ended = questions(protocol, from_client, to_server, shared, &answer_is_lost) => ended,
        ended = answers(from_server, to_client, shared, &answer_is_lost) => ended,
    }
}

async fn questions(
    protocol: Protocol,
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    answer_is_lost: &AtomicBool,
) -> io::Result<()> {
    let mut is_first = true;
    loop {
        let (message, is_commit) = protocol.read(&mut client, std::mem::take(&mut is_first)).await?;
        if is_commit {
            match shared.armed.swap(0, Ordering::SeqCst) {
                1 => {
                    shared.cut.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
                2 => answer_is_lost.store(true, Ordering::SeqCst),
                _ => {}
            }
        }
        server.write_all(&message).await?;
    }
}

async fn answers(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    shared: &Shared,
    answer_is_lost: &AtomicBool,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let read = server.read(&mut bytes).await?;
        if answer_is_lost.load(Ordering::SeqCst) {
            shared.cut.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if read == 0 {
            return Ok(());
        }
        client.write_all(&bytes[..read]).await?;
    }
}
