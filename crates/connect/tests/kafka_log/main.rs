//! A topic as the log of several nodes, against a real broker: the suite of every such log, what is said of a topic that is not made
//! for it, and topics that do not stay as they are.

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
mod inspection;
mod restart;
mod topic;

onrush_log::shared_conformance_tests!(topic::Topic::make());
