//! The HTTP edge: it parses, answers, and knows no business rule.
//!
//! [`Server`] runs one event loop per core, each with its own listener and connections. The routes of a rush are
//! matched on bytes ([`hot`]) and reach the partition in batches ([`pump`]); everything else goes to a router
//! ([`routes`]). JSON, statuses and words live here and nowhere below.

mod cold;
mod components;
mod counters;
mod deadlines;
pub mod dto;
pub mod h1;
mod h2;
mod hot;
mod http;
pub mod limits;
mod metrics;
pub mod openapi;
pub mod problem;
mod pump;
pub mod routes;
pub mod scenarios;
mod server;
mod settings;
pub mod text;
mod thread;

pub use components::{Components, SinkOperations};
pub use server::Server;
pub use settings::{Scenarios, Settings};
