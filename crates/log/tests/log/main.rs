//! The log from outside: on a disk in memory that fails on demand, and on a real one.

#![allow(clippy::cast_possible_truncation, reason = "sizes in tests are small")]

mod advice;
mod append;
mod crash;
mod damage;
mod files;
mod gaps;
mod golden;
mod history;
mod snapshots;
