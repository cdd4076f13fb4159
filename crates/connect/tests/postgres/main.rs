//! The PostgreSQL target against a real server: each test in a schema of its own.

mod exactly_once;
mod migrations;
mod model;
mod place;
mod poison;
mod properties;
mod reading;
mod rejections;
mod rotation;
mod servers;
mod story;
mod tables;
mod takeover;
