//! Opens the desk, the outbox and the broker. Addresses come from variables and files, and are never printed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brighter::channel::Broker;
use brighter::desk::{DeskStore, MySqlDesk, PostgresDesk, SqliteDesk};
use brighter::outbox::Outbox;
use brighter::store::{DeskOptions, OutboxOptions};
use brighter::{MySqlOutbox, PostgresOutbox, RabbitMq, SqliteBroker, SqliteOutbox};
use clap::Args;

use crate::outcome::CliError;

/// The largest file with an address.
const MOST_BYTES: u64 = 64 << 10;

/// How long a broker that cannot be reached is tried.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseArgs {
    /// A file with the address of the database: sqlite:PATH, postgres://… or mysql://…
    ///
    /// Without it, the address is in DATABASE_URL, or in the file that DATABASE_URL_FILE names.
    #[arg(long, value_name = "FILE", global = true)]
    database_file: Option<PathBuf>,
    /// The schema of PostgreSQL, or database of MySQL, with the tables
    #[arg(long, value_name = "NAME", global = true)]
    schema: Option<String>,
}

/// Where the broker is.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrokerArgs {
    /// A file with the address of the broker: amqp://…, amqps://… or sqlite:PATH
    ///
    /// Without it, the address is in BROKER_URL or BRIGHTER_RABBITMQ_URL, or in the file that one of these names with
    /// _FILE behind it.
    #[arg(long, value_name = "FILE")]
    broker_file: Option<PathBuf>,
}

/// An address, and where it is from. It has no `Debug`, as it may hold a password.
struct StoreAddress {
    url: String,
    origin: String,
}

impl StoreAddress {
    /// Finds an address in a file, or in these variables.
    fn find(file: Option<&Path>, variables: &[&str]) -> Result<Option<Self>, CliError> {
        if let Some(file) = file {
            return Self::read(file).map(Some);
        }
        for name in variables {
            if let Some(url) = std::env::var_os(name) {
                let url = url.into_string();
                let url = url.map_err(|_| CliError::refused(format!("{name} is not UTF-8")))?;
                let origin = (*name).to_owned();
                return Ok(Some(Self { url, origin }));
            }
            if let Some(file) = std::env::var_os(format!("{name}_FILE")) {
                return Self::read(Path::new(&file)).map(Some);
            }
        }
        Ok(None)
    }

    fn read(file: &Path) -> Result<Self, CliError> {
        let origin = format!("the file {}", file.display());
        let wrong = |reason: String| CliError::refused(format!("{origin} has no address: {reason}"));
        let bytes = brighter_core::__private::small_file::read(file, MOST_BYTES).map_err(wrong)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let url = text.trim().to_owned();
        Ok(Self { url, origin })
    }

    /// Returns the path of an address of SQLite.
    fn sqlite(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        Some(path.strip_prefix("//").unwrap_or(path).into())
    }

    fn starts_with(&self, schemes: &[&str]) -> bool {
        schemes.iter().any(|scheme| self.url.starts_with(scheme))
    }

    fn unknown(&self, expected: &str) -> CliError {
        CliError::refused(format!(
            "the address in {} must begin with {expected}",
            self.origin
        ))
    }
}

/// Returns the path if the file is there: a new one would only hide a mistyped path.
fn present(path: PathBuf) -> Result<PathBuf, CliError> {
    match path.is_file() {
        true => Ok(path),
        false => Err(CliError::failed(format!("there is no file {}", path.display()))),
    }
}

const SCHEMES: &str = "sqlite:, postgres:// or mysql://";

impl DatabaseArgs {
    fn address(&self) -> Result<StoreAddress, CliError> {
        StoreAddress::find(self.database_file.as_deref(), &["DATABASE_URL"])?.ok_or_else(|| {
            CliError::refused(
                "the address of the database is missing: set DATABASE_URL, or give --database-file",
            )
        })
    }

    /// Opens the desk.
    pub(crate) async fn desk(&self) -> Result<Arc<dyn DeskStore>, CliError> {
        let address = self.address()?;
        let mut options = DeskOptions::default();
        if let Some(schema) = &self.schema {
            options = options.schema(schema);
        }
        Ok(if let Some(path) = address.sqlite() {
            Arc::new(SqliteDesk::open(present(path)?).options(options).await?)
        } else if address.starts_with(&["postgres://", "postgresql://"]) {
            Arc::new(PostgresDesk::connect(address.url).options(options).await?)
        } else if address.starts_with(&["mysql://", "mariadb://"]) {
            Arc::new(MySqlDesk::connect(address.url).options(options).await?)
        } else {
            return Err(address.unknown(SCHEMES));
        })
    }

    /// Opens the outbox.
    pub(crate) async fn outbox(&self) -> Result<Arc<dyn Outbox>, CliError> {
        let address = self.address()?;
        let mut options = OutboxOptions::default();
        if let Some(schema) = &self.schema {
            options = options.schema(schema);
        }
        Ok(if let Some(path) = address.sqlite() {
            Arc::new(SqliteOutbox::open(present(path)?).options(options).await?)
        } else if address.starts_with(&["postgres://", "postgresql://"]) {
            Arc::new(PostgresOutbox::connect(address.url).options(options).await?)
        } else if address.starts_with(&["mysql://", "mariadb://"]) {
            Arc::new(MySqlOutbox::connect(address.url).options(options).await?)
        } else {
            return Err(address.unknown(SCHEMES));
        })
    }
}

impl BrokerArgs {
    /// Connects to the broker; `None` if no address is given.
    pub(crate) async fn connect(&self) -> Result<Option<Arc<dyn Broker>>, CliError> {
        let variables = ["BROKER_URL", "BRIGHTER_RABBITMQ_URL"];
        let Some(address) = StoreAddress::find(self.broker_file.as_deref(), &variables)? else {
            return Ok(None);
        };
        if let Some(path) = address.sqlite() {
            let broker = SqliteBroker::open(present(path)?).await;
            return Ok(Some(Arc::new(
                broker.map_err(|error| CliError::Failed(error.into()))?,
            )));
        }
        if !address.starts_with(&["amqp://", "amqps://"]) {
            return Err(address.unknown("amqp://, amqps:// or sqlite:"));
        }
        let broker = RabbitMq::builder(&address.url)
            .connect_timeout(CONNECT)
            .connect()
            .await;
        Ok(Some(Arc::new(
            broker.map_err(|error| CliError::Failed(error.into()))?,
        )))
    }

    /// Connects to the broker, which a command needs.
    pub(crate) async fn needed(&self) -> Result<Arc<dyn Broker>, CliError> {
        self.connect().await?.ok_or_else(|| {
            CliError::refused(
                "the address of the broker is missing: set BROKER_URL, or give --broker-file; \
                 or begin with --wait 0, and let a process that runs the desk do the rest",
            )
        })
    }
}
