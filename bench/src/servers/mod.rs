//! The servers under measurement, each started on free ports of 127.0.0.1 and stopped when its value is dropped.

mod cluster;
mod hyper;
mod nginx;
mod onrush;
mod redis;

pub(crate) use cluster::{Cluster, shared_log_environment};
pub(crate) use hyper::{Hyper, serve as serve_hyper};
pub(crate) use nginx::Nginx;
pub(crate) use onrush::{Onrush, SinkFigures, sale_body};
pub(crate) use redis::{DURABILITY as REDIS_DURABILITY, Redis, command_text as redis_command, parse_rate};
