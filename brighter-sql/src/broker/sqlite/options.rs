//! The [`SqliteBrokerOptions`].

use std::time::Duration;

use crate::database::sqlite::PAGE;
use brighter_core::error::InvalidSetting;

/// The file is written three times within each.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// What may be chosen of a broker in a file.
///
/// ```
/// use std::time::Duration;
/// use brighter::transport::sqlite::SqliteBrokerOptions;
///
/// let options = SqliteBrokerOptions::default().lease(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteBrokerOptions {
    pub(super) lease: Duration,
    pub(super) size_limit: Option<u64>,
    pub(super) confirm_timeout: Duration,
}

impl Default for SqliteBrokerOptions {
    /// A lease of 15 seconds, as many messages as the disk holds, and 30 seconds to be confirmed.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            size_limit: None,
            confirm_timeout: Duration::from_secs(30),
        }
    }
}

impl SqliteBrokerOptions {
    /// How long a process that says nothing is taken to be alive, by the clock of the machine: what it has in hand
    /// is delivered to others after that. A process says so three times as often, in a thread of its own, so that a
    /// handler may take as long as it likes and may block. From 100 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How large the file may become, in bytes, from 4096: beyond that this process publishes nothing more, with
    /// [`PublishError::Blocked`](brighter_core::channel::PublishError::Blocked), until consumers have made room. What is beside
    /// the file, its write-ahead log, does not count. A limit of a single channel is
    /// `length_limit`.
    #[must_use]
    pub fn size_limit(mut self, bytes: u64) -> Self {
        self.size_limit = Some(bytes);
        self
    }

    /// Returns the setting that has a value it cannot have.
    pub(super) fn invalid(&self) -> Option<InvalidSetting> {
        let lease = format_args!("{:?}", self.lease);
        let lease = InvalidSetting::unless(self.lease >= SHORTEST_LEASE, "lease", lease, "at least 100ms");
        lease.or_else(|| {
            let bytes = self.size_limit.filter(|bytes| *bytes < PAGE)?;
            Some(InvalidSetting::new("size_limit", bytes, "at least 4096 bytes"))
        })
    }

    /// How long a publisher waits until its message is on the disk, before it is told that it may not be.
    #[must_use]
    pub fn confirm_timeout(mut self, time: Duration) -> Self {
        self.confirm_timeout = time;
        self
    }
}
