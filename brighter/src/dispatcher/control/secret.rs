//! [`ControlSecret`]: what those who may control a dispatcher share.

use std::fmt;
use std::sync::Arc;

/// The secret that a dispatcher shares with those who may control it. It is never printed.
#[derive(Clone)]
pub struct ControlSecret(Arc<[u8]>);

/// The secret is too short to be one.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret of the control topic has {bytes} bytes, and fewer than 32 can be guessed: make one with `openssl rand -hex 32`"
)]
#[non_exhaustive]
pub struct WeakSecret {
    /// How long it is.
    pub bytes: usize,
}

brighter_core::__private::readable_debug!(WeakSecret);

impl ControlSecret {
    /// The fewest bytes that cannot be guessed.
    pub const MIN_BYTES: usize = 32;

    /// A secret of these bytes, or of the bytes of this text. With the feature `config`, `from_config` reads
    /// it from a file or a variable.
    ///
    /// # Errors
    /// There are fewer than [`MIN_BYTES`](Self::MIN_BYTES).
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, WeakSecret> {
        let bytes = secret.as_ref();
        if bytes.len() < Self::MIN_BYTES {
            return Err(WeakSecret { bytes: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ControlSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlSecret(…)")
    }
}
