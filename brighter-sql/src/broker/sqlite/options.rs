//! [`SqliteBrokerOptions`]: the options of a broker in a file.

use std::time::Duration;

use crate::database::sqlite::PAGE;
use brighter_core::error::InvalidSetting;

/// The shortest lease: the file is written three times within each.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// The options of a broker in a file.
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
    /// Sets a lease of 15 seconds, no limit of the file, and 30 seconds for a confirm.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            size_limit: None,
            confirm_timeout: Duration::from_secs(30),
        }
    }
}

impl SqliteBrokerOptions {
    /// Sets how long a process without a sign of life keeps its unsettled messages; after that, other processes get
    /// them. The process renews the lease after each third of that time, on a thread of its own, so a handler may run
    /// long and may block. The shortest lease is 100 ms.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the largest size of the file in bytes, at least 4096. Beyond it this process publishes no more messages,
    /// and fails with [`PublishError::Blocked`](brighter_core::channel::PublishError::Blocked), until consumers have
    /// made room. The write-ahead log beside the file does not count. `length_limit` limits a single channel.
    #[must_use]
    pub fn size_limit(mut self, bytes: u64) -> Self {
        self.size_limit = Some(bytes);
        self
    }

    /// Returns the setting that has an invalid value, if there is one.
    pub(super) fn invalid(&self) -> Option<InvalidSetting> {
        let lease = format_args!("{:?}", self.lease);
        let lease = InvalidSetting::unless(self.lease >= SHORTEST_LEASE, "lease", lease, "at least 100ms");
        lease.or_else(|| {
            let bytes = self.size_limit.filter(|bytes| *bytes < PAGE)?;
            Some(InvalidSetting::new("size_limit", bytes, "at least 4096 bytes"))
        })
    }

    /// Sets how long a publisher waits for its message to be on the disk. After that it fails, and the message may be
    /// stored or not.
    #[must_use]
    pub fn confirm_timeout(mut self, time: Duration) -> Self {
        self.confirm_timeout = time;
        self
    }
}
