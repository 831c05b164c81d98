//! Telling systemd how the process is: its `sd_notify` protocol, datagrams to the socket that it names.

use std::time::Duration;

#[cfg(unix)]
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the state of the process is told. Nowhere, if nobody asked for it.
#[derive(Debug, Default)]
pub(super) struct Systemd {
    #[cfg(unix)]
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl Systemd {
    /// Reads `NOTIFY_SOCKET`, and `WATCHDOG_USEC` with `WATCHDOG_PID`, from the environment.
    pub(super) fn from_environment() -> Self {
        #[cfg(unix)]
        {
            let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
                return Self::default();
            };
            let microseconds = number("WATCHDOG_USEC").filter(|microseconds| *microseconds > 0);
            let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
            match connect(&name) {
                Ok(socket) => Self {
                    socket: Some(socket),
                    watchdog: microseconds.filter(|_| ours).map(Duration::from_micros),
                },
                Err(error) => {
                    tracing::warn!(socket = ?name, %error, "cannot notify systemd");
                    Self::default()
                }
            }
        }
        #[cfg(not(unix))]
        Self::default()
    }

    /// Whether anybody is told.
    pub(super) fn is_told(&self) -> bool {
        #[cfg(unix)]
        return self.socket.is_some();
        #[cfg(not(unix))]
        false
    }

    /// How often a sign of life is due: twice as often as it is missed.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|within| within / 2)
    }

    /// Tells this, if anybody is told. It does not wait: what cannot be told now is not told.
    pub(super) fn tell(&self, state: &str) {
        #[cfg(unix)]
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::debug!(%error, state, "systemd was not notified");
        }
        #[cfg(not(unix))]
        let _ = state;
    }

    /// Tells a status line for people.
    pub(super) fn tell_status(&self, status: &str) {
        // A line break would begin another assignment.
        self.tell(&format!("STATUS={}", status.replace(char::is_control, " ")));
    }
}

#[cfg(unix)]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[cfg(unix)]
fn connect(name: &std::ffi::OsStr) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

/// A path, or with `@` before it a name in Linux's abstract space.
#[cfg(unix)]
fn address(name: &std::ffi::OsStr) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
        _ => SocketAddr::from_pathname(name),
    }
}
