//! Redis: a stream for each test.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use onrush_connect::redis::{Redis, RedisAuditor, Settings};
use onrush_connect::{Audit, Secret};
use onrush_sinks::Target;

use crate::harness::{Harness, Seen, WRONG_PASSWORD};
use crate::services::variable;

/// A stream in the Redis of the services.
pub struct RedisHarness {
    address: SocketAddr,
    password: String,
    stream: String,
}

/// A stream of its own, if there is a server.
pub fn harness() -> Option<RedisHarness> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let address = variable("ONRUSH_SERVICES_REDIS_ADDRESS")?.parse().expect("an address");
    let password = variable("ONRUSH_SERVICES_REDIS_PASSWORD")?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(RedisHarness { address, password, stream: format!("conformance-{}-{count}", std::process::id()) })
}

impl RedisHarness {
    fn settings(&self, address: SocketAddr, password: &str) -> Settings {
        let settings = Settings {
            url: format!("redis://{address}/0"),
            password: Some(Secret::new(password)),
            tls: onrush_connect::TlsSettings::default(),
            stream: self.stream.clone(),
            length_max: 0,
        };
        settings.check().expect("the settings are good");
        settings
    }

    fn ask<T: redis::FromRedisValue>(&self, arguments: &[&str]) -> T {
        let client = redis::Client::open(format!("redis://:{}@{}/0", self.password, self.address));
        let mut connection = client.expect("a url").get_connection().expect("the server is there");
        let mut command = redis::cmd(arguments[0]);
        for argument in &arguments[1..] {
            command.arg(argument);
        }
        command.query(&mut connection).expect("the server answers")
    }
}

impl Harness for RedisHarness {
    fn target(&self, through: Option<SocketAddr>) -> Box<dyn Target> {
        Box::new(Redis::new(self.settings(through.unwrap_or(self.address), &self.password)))
    }

    fn intruder(&self) -> Box<dyn Target> {
        Box::new(Redis::new(self.settings(self.address, WRONG_PASSWORD)))
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn seen(&self) -> Vec<Seen> {
        let entries: Vec<(String, Vec<String>)> = self.ask(&["XRANGE", &self.stream, "-", "+"]);
        let seen = |(id, fields): (String, Vec<String>)| {
            let names: Vec<&str> = fields.iter().step_by(2).map(String::as_str).collect();
            assert_eq!(names, ["id", "type", "time", "key", "data"]);
            let offset: u64 =
                id.strip_suffix("-0").expect("ids end with -0").parse().expect("ids are offsets");
            assert_eq!(fields[1], format!("0-{offset}"));
            Seen {
                offset,
                key: fields[7].clone(),
                kind: fields[3].strip_prefix("dev.onrush.").expect("a type").to_owned(),
                body: serde_json::from_str(&fields[9]).expect("the body is JSON"),
            }
        };
        entries.into_iter().map(seen).collect()
    }

    fn auditor(&self) -> Box<dyn Audit> {
        Box::new(RedisAuditor::new(self.settings(self.address, &self.password)))
    }

    fn exactly_once(&self) -> bool {
        true
    }

    fn keeps_offset(&self) -> bool {
        true
    }

    fn lose(&self, offset: u64) -> bool {
        self.ask::<u64>(&["XDEL", &self.stream, &format!("{offset}-0")]) == 1
    }
}

impl Drop for RedisHarness {
    fn drop(&mut self) {
        self.ask::<u64>(&["DEL", &self.stream, &format!("{}:onrush", self.stream)]);
    }
}
