//! PostgreSQL: every event once, in tables that follow from them, in the same transaction as the sink's offset.

mod audit;
mod audit_queries;
mod batch;
mod change_exchanges;
mod changes;
mod columns;
pub(crate) mod connection;
mod copy_rows;
mod each_server;
pub(crate) mod errors;
mod io_thread;
mod jsonb;
mod migrations;
mod numbers;
mod opening;
mod ownership;
mod replica;
mod servers;
mod session;
mod settings;
mod statements;
mod target;
mod time;
mod transaction;

pub use audit::PostgresAuditor;
pub use replica::PostgresReplica;
pub use settings::{Rows, Settings};
pub use target::Postgres;
