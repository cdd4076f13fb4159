//! The HTTP edge: it parses, answers, and knows no business rule.
//!
//! [`Server`] runs one event loop per core, each with its own listener and connections. The routes of a rush are
//! matched on bytes ([`hot`]) and reach the partition in batches ([`net::call_batcher`]); everything else goes to a router
//! ([`api`]). JSON, statuses and words live here and nowhere below.

pub mod api;
mod catalog;
mod components;
mod denied;
mod gate;
mod grpc;
mod hot;
mod http;
mod leading;
pub mod limits;
mod metrics;
mod net;
pub mod openapi;
mod pages;
mod phases;
mod preflights;
pub mod problem;
mod router_bridge;

pub mod scenarios;
mod server;
mod settings;
pub mod text;

pub use catalog::{CatalogSettings, RowSource, Source};
pub use components::{Components, NodeOperations, NodeReport, SinkOperations};
pub use gate::{ChallengeSettings, Denylist, PasswordPool, SessionSettings, Sessions};
pub use grpc::{RowAsked, RowsAsked, whole_message};
pub use http::credentials::find_cookie;
pub use http::origin::{InvalidOrigin, Origin};
pub use net::h1;
pub use server::Server;
pub use settings::{GateSettings, OperatorKey, Scenarios, Settings};
