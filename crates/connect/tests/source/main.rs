//! Collections whose rows are in a real PostgreSQL, each in a database of a test's own.

mod changes;
mod faults;
mod large;
mod shop;
