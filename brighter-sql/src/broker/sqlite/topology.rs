//! [`FileTopology`]: the channels and bindings, as last read from the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};

use super::row::millis;
use brighter_core::channel::{ChannelLimits, ChannelUsage, Overflow};
use brighter_core::message::{ChannelName, RoutingKey};

/// The number of topics whose routes are cached. The routes of further topics are computed again.
const REMEMBERED_ROUTES: usize = 1024;

/// The channels and bindings of the file, at one version.
#[derive(Debug, Default)]
pub(super) struct FileTopology {
    /// The version; 0 before the first read.
    pub(super) version: i64,
    channels: HashMap<i64, KnownChannel>,
    names: HashMap<ChannelName, i64>,
    bindings: Vec<(i64, RoutingKey)>,
    routes: HashMap<RoutingKey, Arc<[i64]>>,
}

/// A declared channel.
#[derive(Debug, Clone)]
pub(super) struct KnownChannel {
    pub(super) name: ChannelName,
    pub(super) declared: bool,
    pub(super) limits: ChannelLimits,
    pub(super) dead_letters: Option<ChannelName>,
}

impl FileTopology {
    /// Reads the complete topology. It is slow, and runs only after a change.
    pub(super) async fn load(version: i64, file: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut topology = Self {
            version,
            ..Self::default()
        };
        let channels = sqlx::query(
            "SELECT id, name, declared, dead_letters, time_to_live, length, overflow, deliveries, single_active, \
             priorities \
             FROM brighter_broker_channels",
        );
        for row in channels.fetch_all(&mut *file).await? {
            let id: i64 = row.try_get(0)?;
            let mut limits = ChannelLimits::default();
            limits.time_to_live = row
                .try_get::<Option<i64>, _>(4)?
                .map(|millis| Duration::from_millis(millis.unsigned_abs()));
            limits.length = row.try_get(5)?;
            limits.overflow = match row.try_get::<i64, _>(6)? {
                0 => Overflow::RefuseNewest,
                _ => Overflow::DeadLetterOldest,
            };
            limits.deliveries = row.try_get(7)?;
            limits.single_active_consumer = row.try_get(8)?;
            limits.priorities = row.try_get(9)?;
            let known = KnownChannel {
                name: row.try_get::<&str, _>(1)?.into(),
                declared: row.try_get(2)?,
                dead_letters: row.try_get::<Option<&str>, _>(3)?.map(ChannelName::from),
                limits,
            };
            topology.names.insert(known.name.clone(), id);
            topology.channels.insert(id, known);
        }
        let bindings = sqlx::query("SELECT channel, routing_key FROM brighter_broker_bindings");
        for row in bindings.fetch_all(file).await? {
            let key = RoutingKey::from(row.try_get::<&str, _>(1)?);
            topology.bindings.push((row.try_get(0)?, key));
        }
        Ok(topology)
    }

    pub(super) fn find(&self, name: &ChannelName) -> Option<i64> {
        self.names.get(name).copied()
    }

    pub(super) fn channel(&self, id: i64) -> Option<&KnownChannel> {
        self.channels.get(&id)
    }

    pub(super) fn limits(&self, id: i64) -> Option<&ChannelLimits> {
        self.channel(id).map(|known| &known.limits)
    }

    /// Returns every channel as it was declared.
    pub(super) fn usages(&self) -> impl Iterator<Item = (i64, ChannelUsage)> {
        self.channels.iter().map(|(id, known)| {
            let mut usage = ChannelUsage::new(known.name.clone());
            let bound = self.bindings.iter().filter(|(channel, _)| channel == id);
            usage.routing_keys = bound.map(|(_, key)| key.clone()).collect();
            usage.limit = match known.limits.overflow {
                Overflow::RefuseNewest => known.limits.length.map(u64::from),
                _ => None,
            };
            (*id, usage)
        })
    }

    pub(super) fn has_binding(&self, id: i64, key: &RoutingKey) -> bool {
        self.bindings
            .iter()
            .any(|(channel, bound)| *channel == id && bound == key)
    }

    /// Returns when a message that is added to this channel now expires.
    pub(super) fn expiry(&self, id: i64, now: i64) -> Option<i64> {
        let ttl = self.limits(id)?.time_to_live?;
        Some(now.saturating_add(millis(ttl)))
    }

    /// Returns the priority of a message in this channel.
    pub(super) fn priority(&self, id: i64, priority: u8) -> u8 {
        let has_priorities = self.limits(id).is_some_and(|limits| limits.priorities.is_some());
        if has_priorities { priority } else { 0 }
    }

    /// Returns the channels that are bound to a topic, in the order of their creation.
    pub(super) fn routes(&mut self, topic: &RoutingKey) -> Arc<[i64]> {
        if let Some(routes) = self.routes.get(topic) {
            return Arc::clone(routes);
        }
        let wanting = self.bindings.iter().filter(|(_, key)| key.matches(topic));
        let mut channels: Vec<_> = wanting.map(|(channel, _)| *channel).collect();
        channels.sort_unstable();
        channels.dedup();
        if self.routes.len() >= REMEMBERED_ROUTES {
            self.routes.clear();
        }
        let channels: Arc<[i64]> = channels.into();
        self.routes.insert(topic.clone(), Arc::clone(&channels));
        channels
    }
}
