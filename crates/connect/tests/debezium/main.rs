//! Collections whose rows come through a real Kafka, in topics of a test's own, written as Debezium writes them.

#![cfg(feature = "kafka")]

#[path = "../conformance/harness.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the conformance suite's, which asks more of it")]
mod harness;
#[path = "../conformance/kafka.rs"]
#[allow(dead_code, reason = "it is for targets of sinks as well")]
mod place;
#[path = "../conformance/services.rs"]
mod services;

mod faults;
mod rows;
mod table;
