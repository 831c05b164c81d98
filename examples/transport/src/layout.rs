//! The [`Layout`]: where each file stands, and how one moves.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use brighter_core::channel::{Channel, ChannelError, ChannelLimits, DeclareMode};
use brighter_core::id::MessageId;
use brighter_core::message::{ChannelName, RoutingKey};
use serde::{Deserialize, Serialize};

use crate::unreachable;

/// The longest name of a directory that every file system takes.
const LONGEST_NAME: usize = 255;

/// Where the files of a broker stand.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// The number of the last message, which is the time of its publishing in nanoseconds where that is higher.
    last: AtomicU64,
}

/// What `channel.json` says.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Declaration {
    name: String,
    routing_keys: Vec<RoutingKey>,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            last: AtomicU64::new(0),
        }
    }

    /// The directory of a channel.
    pub(crate) fn channel(&self, name: &ChannelName) -> PathBuf {
        self.root.join("channels").join(directory_name(name.as_str()))
    }

    /// Makes the directories of a channel and of the two beside it, or looks for them, as the channel says.
    pub(crate) fn declare(&self, channel: &Channel) -> Result<(), ChannelError> {
        channel.validate()?;
        check(channel)?;
        if channel.declare == DeclareMode::Create {
            self.make(channel).map_err(unreachable)?;
        }
        if self.channel(&channel.name).join("channel.json").exists() {
            return Ok(());
        }
        let reason = format!(
            "there is no channel `{}`: have it made with `DeclareMode::Create`",
            channel.name
        );
        Err(ChannelError::Refused { reason })
    }

    fn make(&self, channel: &Channel) -> io::Result<()> {
        fs::create_dir_all(self.root.join("new"))?;
        for name in [&channel.dead_letters, &channel.invalid_messages, &channel.name] {
            let path = self.channel(name);
            for directory in ["ready", "taken", "delayed"] {
                fs::create_dir_all(path.join(directory))?;
            }
            let mut declaration = declaration(&path)?.unwrap_or_default();
            declaration.name = name.to_string();
            if name == &channel.name {
                let new = channel.routing_keys.iter();
                let new = new.filter(|key| !declaration.routing_keys.contains(key)).cloned();
                let new: Vec<_> = new.collect();
                declaration.routing_keys.extend(new);
            }
            let json = serde_json::to_vec(&declaration).map_err(io::Error::other)?;
            self.write(&json, &path.join("channel.json"))?;
        }
        Ok(())
    }

    /// Removes a channel with all that is in it.
    pub(crate) fn remove(&self, name: &ChannelName) -> Result<(), ChannelError> {
        name.validate()?;
        // First out of sight, so that nobody puts anything in while it is emptied.
        let gone = self.root.join("new").join(self.next_number().to_string());
        let removed = fs::rename(self.channel(name), &gone).and_then(|()| fs::remove_dir_all(&gone));
        found(removed).map(drop).map_err(unreachable)
    }

    /// How many messages wait; `None`, if there is no such channel.
    pub(crate) fn depth(&self, name: &ChannelName) -> Result<Option<u64>, ChannelError> {
        let ready = found(fs::read_dir(self.channel(name).join("ready"))).map_err(unreachable)?;
        Ok(ready.map(|ready| ready.count() as u64))
    }

    /// The channels that want a topic.
    pub(crate) fn wanting(&self, topic: &RoutingKey) -> io::Result<Vec<PathBuf>> {
        let mut wanting = Vec::new();
        for entry in found(fs::read_dir(self.root.join("channels")))?
            .into_iter()
            .flatten()
        {
            let path = entry?.path();
            let declared = declaration(&path)?.unwrap_or_default();
            if declared.routing_keys.iter().any(|key| key.matches(topic)) {
                wanting.push(path);
            }
        }
        Ok(wanting)
    }

    /// Puts a message into a channel, to be delivered at once or after a delay. When this returns it is on the disk.
    pub(crate) fn put(&self, channel: &Path, file: &[u8], delay: Option<Duration>) -> io::Result<()> {
        let id = MessageId::new();
        let to = match delay {
            None => channel.join("ready").join(self.name_of_next(&id.to_string())),
            Some(delay) => {
                let due = nanoseconds(SystemTime::now())
                    .saturating_add(nanoseconds(SystemTime::UNIX_EPOCH + delay));
                channel.join("delayed").join(format!("{due:020}-{id}"))
            }
        };
        self.write(file, &to)
    }

    /// Writes a file beside its place and moves it there, so that nobody sees half of it.
    fn write(&self, bytes: &[u8], to: &Path) -> io::Result<()> {
        let beside = self.root.join("new").join(MessageId::new().to_string());
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, to).inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })?;
        sync_directory(to.parent().unwrap_or(to))
    }

    /// The name of a file that comes behind all that wait, and was not delivered yet. The id is in it because two
    /// processes may have one number.
    pub(crate) fn name_of_next(&self, id: &str) -> String {
        format!("{:020}-{id}-0", self.next_number())
    }

    /// Higher than every number before in this process, and in others as far as their clocks agree.
    fn next_number(&self) -> u64 {
        let now = nanoseconds(SystemTime::now());
        let next = |last: u64| now.max(last + 1);
        self.last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)))
            .map_or(now, next)
    }

    /// Becomes an owner of messages: the lock says that this process lives, and ends with it.
    pub(crate) fn own(&self, owner: &MessageId) -> io::Result<File> {
        let owners = self.root.join("owners");
        fs::create_dir_all(&owners)?;
        fs::create_dir_all(self.root.join("new"))?;
        // Locked before others can see it, or they would take its process for dead.
        let unseen = self.root.join("new").join(owner.to_string());
        let file = File::create(&unseen)?;
        file.lock()?;
        fs::rename(unseen, owners.join(owner.to_string()))?;
        Ok(file)
    }

    /// Gives back what owners had in hand that are gone.
    pub(crate) fn recover(&self) -> io::Result<()> {
        for entry in found(fs::read_dir(self.root.join("owners")))?
            .into_iter()
            .flatten()
        {
            let entry = entry?;
            let (owner, path) = (entry.file_name(), entry.path());
            // Another process may have removed it meanwhile.
            let Some(lock) = found(File::open(&path))? else {
                continue;
            };
            if lock.try_lock().is_err() {
                continue;
            }
            for channel in found(fs::read_dir(self.root.join("channels")))?
                .into_iter()
                .flatten()
            {
                let channel = channel?.path();
                let taken = channel.join("taken").join(&owner);
                for file in found(fs::read_dir(&taken))?.into_iter().flatten() {
                    give_back(&file?.path(), &channel)?;
                }
                found(fs::remove_dir(&taken))?;
            }
            found(fs::remove_file(&path))?;
        }
        Ok(())
    }
}

/// Puts a message back that was taken, in its old place, and counts the delivery.
pub(crate) fn give_back(taken: &Path, channel: &Path) -> io::Result<()> {
    let name = taken
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let (place, count) = name.rsplit_once('-').unwrap_or((name, "0"));
    let count: u32 = count.parse().unwrap_or_default();
    let ready = channel
        .join("ready")
        .join(format!("{place}-{}", count.saturating_add(1)));
    found(fs::rename(taken, ready)).map(drop)
}

/// `None` of what is not there.
pub(crate) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What this broker cannot do it does not pretend to.
fn check(channel: &Channel) -> Result<(), ChannelError> {
    let refused = |reason: String| Err(ChannelError::Refused { reason });
    let name = &channel.name;
    if channel.limits != ChannelLimits::default() || channel.idle_timeout.is_some() {
        return refused(format!(
            "channel `{name}` has limits, which a directory does not keep: leave them out"
        ));
    }
    for name in [name, &channel.dead_letters, &channel.invalid_messages] {
        if directory_name(name.as_str()).len() > LONGEST_NAME {
            return refused(format!(
                "`{name}` is too long for the name of a directory: shorten it"
            ));
        }
    }
    Ok(())
}

/// Letters, digits, `-`, `_` and dots inside stay as they are; every other byte becomes `%` and its number.
fn directory_name(name: &str) -> String {
    let mut directory = String::new();
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => directory.push(char::from(byte)),
            b'.' if index > 0 => directory.push('.'),
            // Capitals too, for some file systems take them for small letters.
            _ => directory.push_str(&format!("%{byte:02x}")),
        }
    }
    directory
}

fn declaration(channel: &Path) -> io::Result<Option<Declaration>> {
    let Some(json) = found(fs::read(channel.join("channel.json")))? else {
        return Ok(None);
    };
    serde_json::from_slice(&json).map(Some).map_err(io::Error::other)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    // A directory cannot be opened everywhere; where it can, the rename is on the disk then.
    match File::open(path) {
        Ok(directory) => directory.sync_all(),
        Err(_) => Ok(()),
    }
}

pub(crate) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
