//! Consuming: one message at a time is taken, when somebody asks for it and the buffer has room.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brighter_core::channel::{Channel, ChannelError, Consumer, Delivery};
use futures_util::stream;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

use crate::layout::{found, nanoseconds};
use crate::settle::TakenMessage;
use crate::{Place, files, in_background, unreachable};

/// How often an empty channel is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a consumer needs to take the next message.
struct Reader {
    place: Arc<Place>,
    channel: Arc<Channel>,
    /// A permit for each message that may be in hand.
    buffer: Arc<Semaphore>,
    /// Held while a message is taken.
    taking: Arc<Mutex<()>>,
    closed: watch::Receiver<bool>,
}

/// The consumer of a channel that exists.
pub(crate) fn consumer(place: &Arc<Place>, channel: &Channel, closed: watch::Receiver<bool>) -> Consumer {
    let taking = Arc::new(Mutex::new(()));
    let reader = Reader {
        place: Arc::clone(place),
        channel: Arc::new(channel.clone()),
        buffer: Arc::new(Semaphore::new(channel.buffer.get().into())),
        taking: Arc::clone(&taking),
        closed,
    };
    let next = async |reader: Option<Reader>| {
        let mut reader = reader?;
        match reader.next().await? {
            Ok(delivery) => Some((Ok(delivery), Some(reader))),
            Err(error) => Some((Err(error), None)),
        }
    };
    // A message that is being taken when the consumer is dropped goes back when it was taken.
    Consumer::new(stream::unfold(Some(reader), next)).gone_when(async move { drop(taking.lock().await) })
}

impl Reader {
    /// The next delivery; `None`, once the broker is closed.
    async fn next(&mut self) -> Option<Result<Delivery, ChannelError>> {
        let room = tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => return None,
            room = Arc::clone(&self.buffer).acquire_owned() => room.ok()?,
        };
        let mut room = Some(room);
        loop {
            let taking = Arc::clone(&self.taking).lock_owned().await;
            let (place, channel) = (Arc::clone(&self.place), Arc::clone(&self.channel));
            match in_background(move || take(&place, &channel, taking)).await {
                Ok(Some(taken)) => return room.take().map(|room| Ok(delivery(taken, room))),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let reason = format!("`{}` was removed", self.channel.name);
                    return Some(Err(ChannelError::Lost { reason }));
                }
                Err(error) => return Some(Err(unreachable(error))),
            }
            tokio::select! {
                biased;
                _ = self.closed.wait_for(|closed| *closed) => return None,
                () = sleep(LOOK) => {}
            }
        }
    }
}

/// A message that was taken. Dropped in this order: the message goes back, and then others may take.
struct Taken {
    message: TakenMessage,
    bytes: Vec<u8>,
    redeliveries: u32,
    _taking: OwnedMutexGuard<()>,
}

fn delivery(taken: Taken, room: OwnedSemaphorePermit) -> Delivery {
    let Taken {
        message,
        bytes,
        redeliveries,
        ..
    } = taken;
    let settle = Box::new(message.with_room(room));
    let delivery = match files::read(&bytes) {
        Ok(message) => Delivery::new(message, settle),
        Err(reason) => Delivery::malformed(reason, settle),
    };
    delivery.with_redeliveries(redeliveries)
}

/// Takes the oldest message, if there is one.
fn take(
    place: &Arc<Place>,
    channel: &Arc<Channel>,
    taking: OwnedMutexGuard<()>,
) -> io::Result<Option<Taken>> {
    let path = place.layout.channel(&channel.name);
    let ready = path.join("ready");
    // Those whose delay is over come behind those that wait.
    let now = nanoseconds(SystemTime::now());
    for name in names(&path.join("delayed"))? {
        if let Some((due, id)) = name.split_once('-')
            && due.parse().is_ok_and(|due: u64| due <= now)
        {
            let to = ready.join(place.layout.name_of_next(id));
            found(fs::rename(path.join("delayed").join(&name), to))?;
        }
    }
    let hand = path.join("taken").join(place.owner.to_string());
    for name in names(&ready)? {
        found(fs::create_dir(&hand)).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Ok(None),
            _ => Err(error),
        })?;
        let file = hand.join(&name);
        // Another consumer was faster, if it is not there any more.
        if found(fs::rename(ready.join(&name), &file))?.is_none() {
            continue;
        }
        let message = TakenMessage::new(Arc::clone(place), Arc::clone(channel), file.clone());
        let count = name.rsplit_once('-').and_then(|(_, count)| count.parse().ok());
        return Ok(Some(Taken {
            message,
            bytes: fs::read(file)?,
            redeliveries: count.unwrap_or_default(),
            _taking: taking,
        }));
    }
    Ok(None)
}

/// The names in a directory, in their order.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(directory)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.collect::<io::Result<_>>()?;
    names.sort_unstable();
    Ok(names)
}
