//! A connection that holds a schema, and what it is held by.

use super::connection::Connection;
use super::statements::Statements;

/// From an open of a target to its next error.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) statements: Statements,
    pub(super) schema: String,
    pub(super) sink: String,
    pub(super) fence: i64,
    /// What the server's session was marked with.
    pub(super) mark: String,
    /// The number of the columns as they were checked.
    pub(super) columns: i64,
}
