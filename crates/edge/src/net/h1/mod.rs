//! HTTP/1.1: parsing, the life of a connection, and writing answers.

mod chunked;
mod connection;
#[cfg(test)]
pub(super) mod connection_tests;
mod head;
#[cfg(test)]
mod head_tests;
mod rejection;
mod rest;
mod sending;
mod write;

pub use crate::http::size::TooLarge;
pub use head::{Awaiting, Body, Fields, Parsed, Request, parse};
pub use rejection::Rejection;

pub(crate) use connection::serve;
pub(crate) use head::{FieldLines, fields_of};
