//! Converts errors of a database to those of the ports.

use crate::database::error::{from_database_error, implement_consequence};
use brighter_core::inbox::InboxError;
use brighter_core::outbox::OutboxError;

from_database_error!(OutboxError, Tables, Standby, Conflict);
from_database_error!(InboxError, Tables, Standby, Conflict);
implement_consequence!(OutboxError);
implement_consequence!(InboxError);

#[cfg(feature = "desk")]
const _: () = {
    use brighter_core::desk::DeskError;

    from_database_error!(DeskError, Tables, Standby, Conflict);
    implement_consequence!(DeskError);
};
