//! [`IsolatedConnections`]: separate connections for channels over which the broker closed a shared one.
//!
//! A broker may close a whole connection because of one queue, and every channel on it ends. RabbitMQ (until 4.1) does
//! so with `INTERNAL_ERROR` when a consumer is requested for a quorum queue whose process is not running. So that one
//! channel affects the others only once, a channel that was starting when the broker closed a connection is isolated.
//! From then on it consumes on its own connection, until it has done so without failure for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::ConnectionHandle;
use super::io_thread::IoThread;
use super::state::ConnectionRole;
use crate::settings::RabbitMqSettings;
use brighter_core::message::ChannelName;

/// The largest number of channels with their own connection.
const MOST: usize = 16;
/// How long a channel must have consumed on its own connection before it may share one again.
const WELL: Duration = Duration::from_secs(300);
/// The pause after a channel has ended its own connection: doubled each time, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(8);
/// How long a channel without a consumer is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The channels that consume on their own connections.
pub(crate) struct IsolatedConnections {
    settings: Arc<RabbitMqSettings>,
    io: IoThread,
    stop: CancellationToken,
    channels: Mutex<HashMap<ChannelName, IsolatedChannel>>,
}

/// A channel that was starting when the broker closed a connection.
struct IsolatedChannel {
    /// Kept alive by its consumers and deliveries: it closes when its last delivery is settled.
    connection: Weak<ConnectionHandle>,
    /// The result of consuming on its own connection.
    state: IsolatedState,
    touched: Instant,
}

#[derive(Clone)]
enum IsolatedState {
    /// The channel was one of several that were starting.
    Suspect,
    /// The channel has ended its own connection this many times in a row, and pauses until then.
    Guilty {
        times: u32,
        rests_until: Instant,
        reason: String,
    },
    /// The channel has consumed since then.
    Well(Instant),
}

/// The connection that a channel uses.
pub(crate) enum ConnectionChoice {
    /// The connection that channels share.
    Shared,
    /// The channel's own connection.
    Isolated(Arc<ConnectionHandle>),
    /// No connection for now, with the reason.
    Rests(String),
}

impl IsolatedConnections {
    /// Returns a set without isolated channels. The connections close with `stop`.
    pub(crate) fn new(settings: Arc<RabbitMqSettings>, io: IoThread, stop: CancellationToken) -> Self {
        Self {
            settings,
            io,
            stop,
            channels: Mutex::default(),
        }
    }

    /// Chooses the connection for a channel that is to be consumed.
    pub(crate) fn choose(&self, name: &ChannelName) -> ConnectionChoice {
        let mut channels = self.lock();
        let in_use = channels.values().filter(|channel| channel.is_connected()).count();
        let Some(channel) = channels.get_mut(name) else {
            return ConnectionChoice::Shared;
        };
        let now = Instant::now();
        channel.touched = now;
        match &channel.state {
            IsolatedState::Well(since) if now.duration_since(*since) >= WELL => {
                // Its existing consumers keep their connection until they end.
                tracing::info!(channel = %name, "channel returned to the shared connection after consuming without failure");
                channels.remove(name);
                return ConnectionChoice::Shared;
            }
            IsolatedState::Guilty {
                rests_until, reason, ..
            } if now < *rests_until => return ConnectionChoice::Rests(reason.clone()),
            IsolatedState::Well(_) | IsolatedState::Guilty { .. } | IsolatedState::Suspect => {}
        }
        if let Some(connection) = channel.connection.upgrade() {
            return ConnectionChoice::Isolated(connection);
        }
        if in_use >= MOST {
            return match &channel.state {
                IsolatedState::Guilty { reason, .. } => ConnectionChoice::Rests(format!(
                    "{reason}; {MOST} channels have their own connections already"
                )),
                // Another channel ended the connection, or this one is found guilty the next time.
                IsolatedState::Suspect | IsolatedState::Well(_) => ConnectionChoice::Shared,
            };
        }
        let connection = Arc::new(self.connection(name));
        channel.connection = Arc::downgrade(&connection);
        ConnectionChoice::Isolated(connection)
    }

    fn connection(&self, name: &ChannelName) -> ConnectionHandle {
        let settings = RabbitMqSettings {
            connection_name: format!("{} {name}", self.settings.connection_name),
            ..RabbitMqSettings::clone(&self.settings)
        };
        let (io, stop) = (self.io.clone(), self.stop.clone());
        ConnectionHandle::new(ConnectionRole::Isolated, Arc::new(settings), io, stop).named(name)
    }

    /// Records that the channel was starting when a shared connection ended.
    pub(crate) fn suspect(&self, name: &ChannelName, reason: &str) {
        let mut channels = self.lock();
        let now = Instant::now();
        channels
            .retain(|_, channel| channel.is_connected() || now.duration_since(channel.touched) < REMEMBERED);
        if channels.contains_key(name) {
            drop(channels);
            // A second time among few channels.
            return self.blame(name, reason);
        }
        tracing::warn!(channel = %name, reason, "channel moved to its own connection: the broker closed a shared connection while this channel was starting");
        let channel = IsolatedChannel {
            connection: Weak::new(),
            state: IsolatedState::Suspect,
            touched: now,
        };
        channels.insert(name.clone(), channel);
    }

    /// Records that the broker closed the channel's own connection, or does not serve the channel there.
    pub(crate) fn blame(&self, name: &ChannelName, reason: &str) {
        if let Some(channel) = self.lock().get_mut(name) {
            let times = match channel.state {
                IsolatedState::Guilty { times, .. } => times.saturating_add(1),
                IsolatedState::Suspect | IsolatedState::Well(_) => 0,
            };
            let rest = FIRST_REST.saturating_mul(1 << times.min(8)).min(LONGEST_REST);
            channel.state = IsolatedState::Guilty {
                times,
                rests_until: Instant::now() + rest,
                reason: reason.to_owned(),
            };
        }
    }

    /// Records that a consumer of the channel has started.
    pub(crate) fn started(&self, name: &ChannelName) {
        if let Some(channel) = self.lock().get_mut(name)
            && !matches!(channel.state, IsolatedState::Well(_))
        {
            channel.state = IsolatedState::Well(Instant::now());
        }
    }

    /// Returns the open connections with their channels.
    pub(crate) fn connections(&self) -> Vec<(ChannelName, Arc<ConnectionHandle>)> {
        let channels = self.lock();
        let connections = channels
            .iter()
            .filter_map(|(name, channel)| Some((name.clone(), channel.connection.upgrade()?)));
        connections.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelName, IsolatedChannel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsolatedChannel {
    fn is_connected(&self) -> bool {
        self.connection.strong_count() > 0
    }
}

impl fmt::Debug for IsolatedConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsolatedConnections")
            .field("channels", &self.lock().keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RabbitMq;

    fn none() -> IsolatedConnections {
        let settings = RabbitMq::builder("amqp://localhost").settings(true).unwrap();
        let io = IoThread::shared().unwrap();
        IsolatedConnections::new(Arc::new(settings), io, CancellationToken::new())
    }

    fn name(number: usize) -> ChannelName {
        format!("channel-{number}").into()
    }

    fn own(choice: ConnectionChoice) -> Arc<ConnectionHandle> {
        match choice {
            ConnectionChoice::Isolated(connection) => connection,
            ConnectionChoice::Shared => panic!("it shares one"),
            ConnectionChoice::Rests(reason) => panic!("it rests: {reason}"),
        }
    }

    fn shares(choice: &ConnectionChoice) -> bool {
        matches!(choice, ConnectionChoice::Shared)
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspect_is_isolated_until_it_consumed_well_enough() {
        let isolated = none();
        let (ours, theirs) = (name(1), name(2));
        assert!(shares(&isolated.choose(&ours)));
        isolated.suspect(&ours, "INTERNAL_ERROR");
        let connection = own(isolated.choose(&ours));
        assert!(
            Arc::ptr_eq(&connection, &own(isolated.choose(&ours))),
            "one is enough"
        );
        assert!(shares(&isolated.choose(&theirs)));
        isolated.started(&ours);
        tokio::time::advance(WELL / 2).await;
        isolated.started(&ours);
        assert!(!shares(&isolated.choose(&ours)));
        tokio::time::advance(WELL / 2).await;
        assert!(shares(&isolated.choose(&ours)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_guilty_channel_waits_longer_each_time() {
        let isolated = none();
        isolated.suspect(&name(1), "first");
        assert_eq!(isolated.connections().len(), 0, "nobody uses it");
        let mut rests = Vec::new();
        for _ in 0..6 {
            drop(own(isolated.choose(&name(1))));
            isolated.blame(&name(1), "said the broker");
            let begun = Instant::now();
            while let ConnectionChoice::Rests(reason) = isolated.choose(&name(1)) {
                assert_eq!(reason, "said the broker");
                tokio::time::advance(FIRST_REST / 2).await;
            }
            rests.push(begun.elapsed().as_secs());
        }
        assert_eq!(rests, [1, 2, 4, 8, 8, 8]);
        isolated.started(&name(1));
        isolated.blame(&name(1), "again");
        tokio::time::advance(FIRST_REST).await;
        drop(own(isolated.choose(&name(1))));
    }

    #[tokio::test(start_paused = true)]
    async fn without_spare_connections_suspects_share_and_guilty_ones_wait() {
        let isolated = none();
        let taken: Vec<_> = (0..MOST)
            .map(|number| {
                isolated.suspect(&name(number), "it died");
                own(isolated.choose(&name(number)))
            })
            .collect();
        let late = name(MOST);
        isolated.suspect(&late, "it died");
        assert!(shares(&isolated.choose(&late)));
        // The shared connection ended once more.
        isolated.suspect(&late, "it died again");
        tokio::time::advance(FIRST_REST).await;
        let choice = isolated.choose(&late);
        assert!(matches!(choice, ConnectionChoice::Rests(reason) if reason.contains("it died again")));
        drop(taken);
        drop(own(isolated.choose(&late)));
    }
}
