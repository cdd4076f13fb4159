//! Where rows of the catalogue come from: a PostgreSQL database, whose changes are read as they are committed.

mod settings;

pub use settings::{SourceSettings, Watch};
