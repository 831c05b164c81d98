//! What an error of a database is called by the ports of the stores.

use crate::database::error::from_database_error;
use brighter_core::inbox::InboxError;
use brighter_core::outbox::OutboxError;

from_database_error!(OutboxError, Tables);
from_database_error!(InboxError, Tables);
