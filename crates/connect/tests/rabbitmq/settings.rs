//! Which settings a sink starts with.

use onrush_connect::rabbitmq::{NAME_BYTES_MAX, QueueType, Settings};
use onrush_connect::{MessageFormat, Secret};

fn settings(url: &str, exchange: &str, queue: &str) -> Settings {
    Settings {
        url: url.into(),
        password: Some(Secret::new("hidden")),
        tls: onrush_connect::TlsSettings::default(),
        exchange: exchange.into(),
        queue: queue.into(),
        queue_type: QueueType::default(),
        message_format: MessageFormat::default(),
    }
}

#[test]
fn settings_are_checked() {
    let long = "q".repeat(NAME_BYTES_MAX + 1);
    let cases = [
        ("amqp://onrush@127.0.0.1:5672/vhost", "onrush", "onrush", None),
        ("amqps://onrush@broker.example/%2F", "onrush", "", None),
        ("amqp://127.0.0.1", "", "onrush", None),
        ("amqp://onrush:secret@127.0.0.1", "onrush", "onrush", Some("must not hold a password")),
        ("http://127.0.0.1", "onrush", "onrush", Some("must begin with")),
        ("nonsense", "onrush", "onrush", Some("not a URL")),
        ("amqp://127.0.0.1?heartbeat=often", "onrush", "onrush", Some("cannot be used")),
        ("amqp://127.0.0.1", "", "", Some("must not both be empty")),
        ("amqp://127.0.0.1", long.as_str(), "onrush", Some("at most 255")),
        ("amqp://127.0.0.1", "onrush", long.as_str(), Some("at most 255")),
    ];
    for (url, exchange, queue, reason) in cases {
        let settings = settings(url, exchange, queue);
        let checked = settings.check();
        match (&checked, reason) {
            (Ok(()), None) => {}
            (Err(text), Some(reason)) => {
                assert!(text.contains(reason) && !text.contains("secret"), "{url}: {text}");
            }
            _ => panic!("{url} {exchange} {queue}: {checked:?}"),
        }
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
