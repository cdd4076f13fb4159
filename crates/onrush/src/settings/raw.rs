//! The settings as they are typed, with their defaults: a section each, a key each, nothing checked but the kind of value.

use onrush_core::Limits;
use onrush_log::SEGMENT_BYTES_DEFAULT;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettings {
    pub(super) server: RawServer,
    pub(super) operator: RawOperator,
    pub(super) log: RawLog,
    pub(super) cluster: RawCluster,
    pub(super) limits: RawLimits,
    pub(super) scenarios: RawScenarios,
    pub(super) request_window: RawRequestWindow,
    pub(super) gate: RawGate,
    pub(super) catalog: RawCatalog,
    pub(super) logging: RawLogging,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawServer {
    pub(super) listen: String,
    pub(super) threads: i64,
    pub(super) connections_max: i64,
    pub(super) header_timeout_ms: i64,
    pub(super) body_timeout_ms: i64,
    pub(super) idle_timeout_ms: i64,
    pub(super) write_timeout_ms: i64,
    pub(super) drain_timeout_ms: i64,
    pub(super) cors_origins: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawOperator {
    pub(super) listen: String,
    pub(super) key_file: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) kind: String,
    pub(super) directory: String,
    pub(super) segment_bytes: i64,
    pub(super) sync: String,
    pub(super) snapshot_bytes: i64,
    pub(super) brokers: Option<String>,
    pub(super) topic: String,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) tls: String,
    pub(super) tls_ca_file: Option<String>,
    pub(super) properties_file: Option<String>,
    pub(super) unsafe_topic: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCluster {
    pub(super) node: i64,
    pub(super) url: Option<String>,
    pub(super) silence_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_field_names, reason = "the fields are called what the settings are called")]
pub(super) struct RawLimits {
    pub(super) counters_max: i64,
    pub(super) windows_max: i64,
    pub(super) sales_max: i64,
    pub(super) stocks_max: i64,
    pub(super) reservations_max: i64,
    pub(super) details_bytes_max: i64,
    pub(super) denials_max: i64,
    pub(super) accounts_max: i64,
    pub(super) state_bytes_max: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "a switch for each")]
pub(super) struct RawScenarios {
    pub(super) visitor_counter: bool,
    pub(super) request_window: bool,
    pub(super) slot_booking: bool,
    pub(super) flash_sale: bool,
    pub(super) product_inventory: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRequestWindow {
    pub(super) persistence_timeframe: String,
    pub(super) precision: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGate {
    pub(super) trusted_proxies: Vec<String>,
    pub(super) forwarded_field: String,
    pub(super) limit_algorithm: String,
    pub(super) limit_keys_max: i64,
    pub(super) limit_reserve_address: String,
    pub(super) limit_reserve_route: String,
    pub(super) limit_reserve_customer: String,
    pub(super) limit_pages_address: String,
    pub(super) limit_pages_route: String,
    pub(super) proof_of_work_min: i64,
    pub(super) proof_of_work_max: i64,
    pub(super) unsafe_challenge_answer: Option<String>,
    pub(super) accounts: bool,
    pub(super) session_ttl: String,
    pub(super) session_key_file: Option<String>,
    pub(super) secure_cookies: bool,
    pub(super) jwt_key_file: Option<String>,
    pub(super) jwt_issuer: Option<String>,
    pub(super) jwt_audience: Option<String>,
    pub(super) jwt_customer_claim: String,
    pub(super) jwt_clock_skew: String,
}

/// Without its collections, whose names are the user's.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCatalog {
    pub(super) wait_ms_max: i64,
    pub(super) ready_when_coherent: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogging {
    pub(super) format: String,
    pub(super) level: String,
}

impl Default for RawServer {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            threads: 0,
            connections_max: 16_000,
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            write_timeout_ms: 10_000,
            drain_timeout_ms: 30_000,
            cors_origins: Vec::new(),
        }
    }
}

impl Default for RawOperator {
    fn default() -> Self {
        Self { listen: "127.0.0.1:8081".to_owned(), key_file: None }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            kind: "file".to_owned(),
            directory: "./onrush-data".to_owned(),
            segment_bytes: SEGMENT_BYTES_DEFAULT.cast_signed(),
            sync: "fdatasync".to_owned(),
            snapshot_bytes: onrush_node::Settings::default().snapshot_bytes.cast_signed(),
            brokers: None,
            topic: "onrush.log".to_owned(),
            username: None,
            password_file: None,
            tls: "auto".to_owned(),
            tls_ca_file: None,
            properties_file: None,
            unsafe_topic: false,
        }
    }
}

impl Default for RawCluster {
    fn default() -> Self {
        Self { node: 0, url: None, silence_ms: 2_500 }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            counters_max: limits.counters_max.into(),
            windows_max: limits.windows_max.into(),
            sales_max: limits.sales_max.into(),
            stocks_max: limits.stocks_max.into(),
            reservations_max: limits.reservations_max.into(),
            details_bytes_max: limits.details_bytes_max.cast_signed(),
            denials_max: limits.denials_max.into(),
            accounts_max: limits.accounts_max.into(),
            state_bytes_max: limits.state_bytes_max.cast_signed(),
        }
    }
}

impl Default for RawRequestWindow {
    fn default() -> Self {
        Self { persistence_timeframe: "60s".to_owned(), precision: "100ms".to_owned() }
    }
}

impl Default for RawGate {
    fn default() -> Self {
        let off = || "off".to_owned();
        Self {
            trusted_proxies: Vec::new(),
            forwarded_field: "x-forwarded-for".to_owned(),
            limit_algorithm: "bucket".to_owned(),
            limit_keys_max: 1_000_000,
            limit_reserve_address: off(),
            limit_reserve_route: off(),
            limit_reserve_customer: off(),
            limit_pages_address: off(),
            limit_pages_route: off(),
            proof_of_work_min: 50_000,
            proof_of_work_max: 1_000_000,
            unsafe_challenge_answer: None,
            accounts: false,
            session_ttl: "12h".to_owned(),
            session_key_file: None,
            secure_cookies: false,
            jwt_key_file: None,
            jwt_issuer: None,
            jwt_audience: None,
            jwt_customer_claim: "sub".to_owned(),
            jwt_clock_skew: "60s".to_owned(),
        }
    }
}

impl Default for RawCatalog {
    fn default() -> Self {
        Self { wait_ms_max: 1_000, ready_when_coherent: false }
    }
}

impl Default for RawLogging {
    fn default() -> Self {
        Self { format: "auto".to_owned(), level: "info".to_owned() }
    }
}
