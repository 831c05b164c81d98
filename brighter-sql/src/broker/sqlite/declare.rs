//! Declares or checks channels.

use sqlx::{Row as _, Sqlite, SqliteConnection};

use super::row::millis;
use super::session::begin_session;
use super::state::FileState;
use super::temporary;
use super::topology::FileTopology;
use crate::database::backend::Operation;
use crate::database::error::DatabaseError;
use crate::database::value::Sql;
use brighter_core::__private::declared_otherwise;
use brighter_core::channel::{Channel, ChannelError, ChannelLimits, DeclareMode, Overflow};
use brighter_core::message::ChannelName;

/// Declares or checks a channel with its dead-letter and invalid-message channels, as the channel says.
pub(super) struct Declare<'a> {
    pub(super) channel: &'a Channel,
    pub(super) topology: &'a mut FileTopology,
    /// The session of a temporary channel, and the end of its lease. It is begun if there is none.
    pub(super) session: &'a mut Option<(i64, i64)>,
    pub(super) lease: i64,
}

/// The channel, or why it is not available.
pub(super) type Declared = Result<i64, ChannelError>;

impl Operation<Sqlite> for Declare<'_> {
    type Output = Declared;
    type Error = DatabaseError;

    async fn run(self, file: &mut SqliteConnection) -> Result<Declared, DatabaseError> {
        declare(self, file).await.map_err(Sqlite::sort)
    }
}

async fn declare(asked: Declare<'_>, file: &mut SqliteConnection) -> Result<Declared, sqlx::Error> {
    let Declare {
        channel,
        topology,
        session,
        lease,
    } = asked;
    let state = FileState::read(file, session.map(|(id, _)| id)).await?;
    if state.topology != topology.version {
        *topology = FileTopology::load(state.topology, file).await?;
    }
    let beside = [&channel.dead_letters, &channel.invalid_messages];
    match channel.declare {
        DeclareMode::Create => {}
        DeclareMode::Validate => {
            for name in beside {
                if let Err(error) = existing(topology, name) {
                    return Ok(Err(error));
                }
            }
            return Ok(existing(topology, &channel.name));
        }
        DeclareMode::Assume => return Ok(existing(topology, &channel.name)),
        _ => return Ok(Err(ChannelError::Unsupported("this way to make a channel"))),
    }
    if let Err(error) = check_kinds(topology, channel) {
        return Ok(Err(error));
    }
    let found = topology.find(&channel.name);
    let known = found.and_then(|id| Some((id, topology.channel(id)?)));
    if let Some((_, known)) = known.filter(|(_, known)| known.declared)
        && limits(&known.limits) != limits(&channel.limits)
    {
        let (name, has, wanted) = (&channel.name, &known.limits, &channel.limits);
        return Ok(Err(ChannelError::Refused {
            reason: format!(
                "channel `{name}` exists with other limits ({has:?}) than the subscription asks for ({wanted:?}): \
                 make them the same everywhere"
            ),
        }));
    }
    if let Some((id, known)) = known
        && known.declared
        && channel.idle_timeout.is_none()
        && beside.iter().all(|name| topology.find(name).is_some())
        && channel
            .routing_keys
            .iter()
            .all(|key| topology.has_binding(id, key))
    {
        return Ok(Ok(id));
    }
    let id = make(channel, file).await?;
    if channel.idle_timeout.is_some() {
        // A lost session is replaced here, as in the next batch.
        let (session, _) = match session.filter(|_| state.alive_until.is_some()) {
            Some(alive) => alive,
            None => *session.insert(begin_session(state.now, lease, file).await?),
        };
        temporary::claim(id, session, file).await?;
    }
    // Other processes read the topology again.
    sqlx::query("UPDATE brighter_broker SET topology = topology + 1")
        .execute(file)
        .await?;
    Ok(Ok(id))
}

/// A channel with dead letters of its own is of another kind than one for those of others.
fn check_kinds(topology: &FileTopology, channel: &Channel) -> Result<(), ChannelError> {
    let is_declared = |name| Some(topology.channel(topology.find(name)?)?.declared);
    if is_declared(&channel.name) == Some(false) {
        return Err(declared_otherwise(&channel.name, None));
    }
    let mut beside = [&channel.dead_letters, &channel.invalid_messages].into_iter();
    match beside.find(|name| is_declared(name) == Some(true)) {
        Some(name) if channel.idle_timeout.is_none() => Err(declared_otherwise(name, Some(&channel.name))),
        _ => Ok(()),
    }
}

fn existing(topology: &FileTopology, name: &ChannelName) -> Declared {
    topology.find(name).ok_or_else(|| ChannelError::Refused {
        reason: format!(
            "there is no channel `{name}`, and the subscription does not make it: declare it, or have it made with \
             `DeclareMode::Create`"
        ),
    })
}

async fn make(channel: &Channel, file: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let beside = [&channel.dead_letters, &channel.invalid_messages].into_iter();
    let beside = beside.filter(|_| channel.idle_timeout.is_none());
    for name in beside.chain([&channel.name]) {
        sqlx::query(
            "INSERT INTO brighter_broker_channels (id, name, declared) \
             SELECT max(coalesce((SELECT max(id) FROM brighter_broker_channels), 0), topology) + 1, ?1, 0 \
             FROM brighter_broker WHERE true ON CONFLICT (name) DO NOTHING",
        )
        .bind(name.as_str())
        .execute(&mut *file)
        .await?;
    }
    let (time_to_live, length, overflow, deliveries, single_active, priorities) = limits(&channel.limits);
    sqlx::query(
        "UPDATE brighter_broker_channels SET declared = 1, dead_letters = ?2, time_to_live = ?3, length = ?4, \
         overflow = ?5, deliveries = ?6, single_active = ?7, priorities = ?8 WHERE name = ?1 AND declared = 0",
    )
    .bind(channel.name.as_str())
    .bind(channel.dead_letters.as_str())
    .bind(time_to_live)
    .bind(length)
    .bind(overflow)
    .bind(deliveries)
    .bind(single_active)
    .bind(priorities)
    .execute(&mut *file)
    .await?;
    let found = sqlx::query("SELECT id FROM brighter_broker_channels WHERE name = ?1")
        .bind(channel.name.as_str())
        .fetch_one(&mut *file)
        .await?;
    let id: i64 = found.try_get(0)?;
    for key in &channel.routing_keys {
        sqlx::query(
            "INSERT INTO brighter_broker_bindings (channel, routing_key) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(key.as_str())
        .execute(&mut *file)
        .await?;
    }
    Ok(id)
}

/// The limits in the order of the columns: time to live, length, overflow, deliveries, single active consumer and
/// priorities.
type StoredLimits = (Option<i64>, Option<u32>, i64, Option<u32>, bool, Option<u8>);

/// Returns the limits in stored form, in which equal limits compare as equal.
fn limits(limits: &ChannelLimits) -> StoredLimits {
    (
        limits.time_to_live.map(millis),
        limits.length,
        i64::from(limits.overflow == Overflow::DeadLetterOldest),
        limits.deliveries,
        limits.single_active_consumer,
        limits.priorities,
    )
}

/// Refuses settings that this broker does not support.
pub(super) fn check(channel: &Channel) -> Result<(), ChannelError> {
    channel.validate()?;
    if channel.limits.priorities == Some(0) {
        let name = &channel.name;
        return Err(ChannelError::Refused {
            reason: format!(
                "the highest priority of channel `{name}` is 0, with which it would be of no use: say 1 or more, or \
                 nothing"
            ),
        });
    }
    Ok(())
}
