//! Which settings a sink starts with.

use onrush_connect::Secret;
use onrush_connect::redis::{STREAM_BYTES_MAX, Settings};

fn settings(url: &str, stream: &str) -> Settings {
    Settings {
        url: url.into(),
        password: Some(Secret::new("hidden")),
        tls: onrush_connect::TlsSettings::default(),
        stream: stream.into(),
        length_max: 0,
    }
}

#[test]
fn settings_are_checked() {
    let long = "s".repeat(STREAM_BYTES_MAX + 1);
    let cases = [
        ("redis://127.0.0.1:6379/0", "onrush", None),
        ("redis://user@db.example/3", "onrush", None),
        ("rediss://user@db.example:6380", "onrush", None),
        ("redis+unix:///run/redis.sock", "onrush", None),
        ("redis://user:secret@127.0.0.1", "onrush", Some("must not hold a password")),
        ("redis+unix:///run/redis.sock?pass=secret", "onrush", Some("must not hold a password")),
        ("rediss://db.example/#insecure", "onrush", Some("fragment")),
        ("http://127.0.0.1", "onrush", Some("must begin with")),
        ("nonsense", "onrush", Some("not a URL")),
        ("redis://127.0.0.1/one", "onrush", Some("cannot be used")),
        ("redis://127.0.0.1", "", Some("stream must be")),
        ("redis://127.0.0.1", long.as_str(), Some("stream must be")),
    ];
    for (url, stream, reason) in cases {
        let settings = settings(url, stream);
        let checked = settings.check();
        match (&checked, reason) {
            (Ok(()), None) => {}
            (Err(text), Some(reason)) => {
                assert!(text.contains(reason) && !text.contains("secret"), "{url}: {text}");
            }
            _ => panic!("{url} {stream}: {checked:?}"),
        }
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
