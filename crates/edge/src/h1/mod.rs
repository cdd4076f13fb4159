//! HTTP/1.1: parsing, the life of a connection, and writing answers.

mod chunked;
mod connection;
mod head;
#[cfg(test)]
mod head_tests;
mod write;

pub use head::{Body, Fields, Parsed, Rejection, Request, parse};

pub(crate) use connection::serve;
