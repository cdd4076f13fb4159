//! The log from outside: on a disk in memory that fails on demand, and on a real one.

#![allow(clippy::cast_possible_truncation, reason = "sizes in tests are small")]

mod append;
mod crash;
mod damage;
mod files;
mod golden;
mod history;
mod snapshots;
