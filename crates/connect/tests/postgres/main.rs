//! The PostgreSQL target against a real server: each test in a schema of its own.

mod exactly_once;
mod migrations;
mod model;
mod place;
mod poison;
mod properties;
#[path = "../conformance/proxy.rs"]
#[allow(dead_code, unreachable_pub, reason = "it belongs to the conformance suite, which uses all of it")]
mod proxy;
mod reading;
mod rejections;
mod rotation;
mod story;
mod tables;
mod takeover;
