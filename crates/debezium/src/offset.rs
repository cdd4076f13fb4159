//! How far a connector is, as Kafka Connect keeps it in a topic of its own. It is written once everything that the connector told before has been
//! taken by the brokers, in whatever topic and partition.

use std::borrow::Cow;
use std::sync::Arc;

use onrush_node::catalog::{GtidSet, binlog_position};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A place in the source's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    /// All that was committed before it has been told.
    pub position: u64,
    /// All these transactions have been told, if the source names them.
    pub gtids: Option<Arc<GtidSet>>,
    /// When what is there was committed, in milliseconds of Unix time by the source's clock.
    pub committed_ms: u64,
    /// Whether the connector is telling all rows, and has not come to the last one.
    pub is_in_snapshot: bool,
}

impl Offset {
    /// Whether the key of a record is that of this connector: `["NAME",{…}]`.
    pub fn is_of(key: &[u8], connector: &str) -> bool {
        serde_json::from_slice::<(Cow<'_, str>, IgnoredAny)>(key).is_ok_and(|(name, _)| name == connector)
    }

    /// What a record says; nothing if the connector is no longer there.
    ///
    /// # Errors
    /// It says nothing that is known, as a sentence.
    pub fn parse(value: Option<&[u8]>) -> Result<Option<Self>, String> {
        let Some(value) = value else { return Ok(None) };
        let unknown = || "the offset of the connector is none of PostgreSQL, MySQL or MariaDB".to_owned();
        let wire: Wire<'_> = serde_json::from_slice(value).map_err(|_| unknown())?;
        let postgres = wire.lsn.map(|lsn| lsn.max(wire.lsn_commit.unwrap_or_default()));
        let mysql = || binlog_position(wire.file.as_deref()?, wire.pos?);
        let position = postgres.or_else(mysql).ok_or_else(unknown)?;
        let committed_ms =
            wire.ts_usec.map(|us| us / 1_000).or(wire.ts_sec.map(|seconds| seconds.saturating_mul(1_000)));
        // Whoever waits for a transaction by its name waits in vain if the names cannot be read. Nothing else depends on them.
        let gtids = wire.gtids.as_deref().and_then(GtidSet::parse).map(Arc::new);
        Ok(Some(Self {
            position,
            gtids,
            committed_ms: committed_ms.unwrap_or_default(),
            is_in_snapshot: wire.snapshot.is_some() && !wire.snapshot_completed,
        }))
    }
}

/// What the connectors of PostgreSQL, MySQL and MariaDB keep.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default)]
    lsn: Option<u64>,
    #[serde(default)]
    lsn_commit: Option<u64>,
    #[serde(default)]
    ts_usec: Option<u64>,
    #[serde(borrow, default)]
    file: Option<Cow<'a, str>>,
    #[serde(default)]
    pos: Option<u64>,
    #[serde(borrow, default)]
    gtids: Option<Cow<'a, str>>,
    #[serde(default)]
    ts_sec: Option<u64>,
    #[serde(default)]
    snapshot: Option<IgnoredAny>,
    #[serde(default)]
    snapshot_completed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::samples::golden;

    #[test]
    fn offsets_say_how_far_a_connector_is() {
        let offset = |position, committed_ms, is_in_snapshot| {
            Ok(Some(Offset { position, gtids: None, committed_ms, is_in_snapshot }))
        };
        for (value, expected) in [
            (
                r#"{"lsn_proc":9,"messageType":"UPDATE","lsn_commit":8,"lsn":9,"txId":1,"ts_usec":1795846708072098}"#,
                offset(9, 1_795_846_708_072, false),
            ),
            (r#"{"lsn":7,"lsn_commit":8,"ts_usec":1000}"#, offset(8, 1, false)),
            (
                r#"{"last_snapshot_record":false,"lsn":7,"txId":1,"ts_usec":2000,"snapshot":"INITIAL","snapshot_completed":false}"#,
                offset(7, 2, true),
            ),
            (
                r#"{"last_snapshot_record":true,"lsn":7,"ts_usec":2000,"snapshot":"INITIAL","snapshot_completed":true}"#,
                offset(7, 2, false),
            ),
            (
                r#"{"ts_sec":1795850262,"file":"binlog.000001","pos":6583172,"gtids":"another form","row":1,"server_id":1,"event":2}"#,
                offset((1 << 32) + 6_583_172, 1_795_850_262_000, false),
            ),
            (
                r#"{"ts_sec":1,"file":"binlog.000001","pos":4,"snapshot":true}"#,
                offset((1 << 32) + 4, 1_000, true),
            ),
            (
                r#"{"ts_sec":18446744073709551615,"file":"binlog.000001","pos":4}"#,
                offset((1 << 32) + 4, u64::MAX, false),
            ),
        ] {
            assert_eq!(Offset::parse(Some(value.as_bytes())), expected, "{value}");
        }
        assert_eq!(Offset::parse(None), Ok(None));
        for value in
            ["", "{}", "null", "[]", r#"{"lsn":-1}"#, r#"{"file":"binlog","pos":4}"#, r#"{"scn":"5"}"#]
        {
            assert!(Offset::parse(Some(value.as_bytes())).is_err(), "{value}");
        }
    }

    #[test]
    fn offsets_say_which_transactions_were_told() {
        for (value, name, expected) in [
            (
                r#"{"ts_sec":1795850262,"file":"binlog.000001","pos":6583172,"gtids":"0-1-5032","row":1,"server_id":1,"event":2}"#,
                "0-1-5032",
                true,
            ),
            (r#"{"file":"binlog.000003","pos":4,"gtids":"0-12-71,7-11-1","server_id":11}"#, "7-11-2", false),
            (
                r#"{"file":"binlog.000003","pos":4,"gtids":"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7"}"#,
                "3e11fa47-71ca-11e1-9e33-c80aa9429562:7",
                true,
            ),
        ] {
            let offset =
                Offset::parse(Some(value.as_bytes())).expect("it is one").expect("the connector is there");
            let name = GtidSet::parse(name).expect("a name");
            assert_eq!(offset.gtids.map(|gtids| gtids.has_all(&name)), Some(expected), "{value}");
        }
    }

    #[test]
    fn offsets_of_real_connectors_are_read() {
        let said = golden("offsets").into_iter().map(|record| {
            let Offset { position, gtids, committed_ms, is_in_snapshot } =
                Offset::parse(record.value()).expect("it is one").expect("the connector is there");
            assert!(!Offset::is_of(record.key().expect("a name"), "shop"));
            let told = (1..30_000).take_while(|number| {
                let name = GtidSet::parse(&format!("0-1-{number}")).expect("a name");
                gtids.as_ref().is_some_and(|gtids| gtids.has_all(&name))
            });
            (position >> 32, position & 0xffff_ffff, told.count(), committed_ms, is_in_snapshot)
        });
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                (1, 2_872, 7, 1_795_885_777_000, true),
                (1, 2_872, 7, 1_795_885_777_000, false),
                (1, 3_542, 9, 1_795_885_779_000, false),
                (1, 4_212, 11, 1_795_885_780_000, false),
                (0, 53_807_112, 0, 1_795_885_826_538, true),
                (0, 53_807_112, 0, 1_795_885_826_538, false),
                (0, 53_807_288, 0, 1_795_885_828_029, false),
                (1, 4, 25_565, 0, false),
                (1, 7_517_843, 25_622, 1_795_887_395_000, false),
            ]
        );
    }

    #[test]
    fn a_connector_has_its_own_offsets() {
        for (key, is_own) in [
            (r#"["shop",{"server":"shop"}]"#, true),
            (r#"["sh\u006fp",{"server":"shop"}]"#, true),
            (r#"["other",{"server":"shop"}]"#, false),
            (r#"["shop"]"#, false),
            ("shop", false),
        ] {
            assert_eq!(Offset::is_of(key.as_bytes(), "shop"), is_own, "{key}");
        }
    }
}
