//! [`Opening`]: opens an outbox, an inbox or a broker when it is awaited.

use std::fmt;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

type Open<O, T> = Box<dyn FnOnce(O) -> BoxFuture<'static, T> + Send>;

/// Opens an outbox, an inbox or a broker when it is awaited, with its default [options](Self::options) unless others
/// are set.
///
/// ```no_run
/// use brighter::SqliteOutbox;
/// use brighter::store::OutboxOptions;
///
/// # async fn example() -> Result<(), brighter::BoxError> {
/// let plain = SqliteOutbox::open("tasks.db").await?;
/// let limited = SqliteOutbox::open("orders.db")
///     .options(OutboxOptions::default().limit(100_000))
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is opened until this is awaited"]
pub struct Opening<O, T> {
    options: O,
    open: Open<O, T>,
}

impl<O: Default + 'static, T: 'static> Opening<O, T> {
    pub(crate) fn new<F>(open: impl FnOnce(O) -> F + Send + 'static) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        Self {
            options: O::default(),
            open: Box::new(move |options| open(options).boxed()),
        }
    }
}

impl<O, T> Opening<O, T> {
    /// Sets the options.
    pub fn options(mut self, options: O) -> Self {
        self.options = options;
        self
    }
}

impl<O, T> IntoFuture for Opening<O, T> {
    type Output = T;
    type IntoFuture = BoxFuture<'static, T>;

    fn into_future(self) -> Self::IntoFuture {
        (self.open)(self.options)
    }
}

impl<O: fmt::Debug, T> fmt::Debug for Opening<O, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
