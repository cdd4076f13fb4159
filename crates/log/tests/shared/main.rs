//! The records of a shared log, and what is told of them.

mod conformance;
mod golden;
mod in_force;
mod memory;
mod records;
