//! From what was typed to what it means: every value against its bounds, every problem named with key, value and limit.

use std::net::SocketAddr;
use std::path::PathBuf;

use onrush_core::{Limits, PANES_MAX, SPAN_MS_MAX, WindowShape};
use onrush_log::file::{LogSettings, SyncMethod};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::catalog::Collections;
use super::checks::{Checks, quoted};
use super::layers::Layers;
use super::raw::{RawLimits, RawLog, RawLogging, RawOperator, RawRequestWindow, RawSettings};
use super::{
    LogFiles, Logging, LoggingFormat, Operator, Settings, SettingsError, bounds, catalog, cluster, gate,
    operator_key, print, secret_files, sessions, sinks,
};

/// Checks everything and reports every problem at once. Reads the operator's key file, and those of passwords.
pub(super) fn resolve(layers: &Layers) -> Result<Settings, SettingsError> {
    let raw = &layers.raw;
    let mut checks = Checks { layers, problems: layers.problems.clone() };
    let collections = catalog::collections(&layers.collections, &raw.scenarios, &mut checks.problems);
    let edge = edge(&mut checks, raw, &collections);
    let log = log_files(&mut checks, &raw.log);
    let cluster = cluster::resolve(&mut checks);
    let node = node(&mut checks, raw);
    let sessions = sessions::resolve(&mut checks, &raw.gate, &raw.log.directory);
    let logging = logging(&mut checks, &raw.logging);
    let sinks = sinks::resolve(&layers.sinks, &mut checks.problems);
    let mut warnings = secret_files::check(layers, &mut checks.problems);
    warnings.extend(gate::warning(&raw.gate));
    warnings.extend(cluster::warning(&raw.log));
    if layers.demo && cluster.is_some() {
        let problem = "--demo is for a single server: with log.kind = \"kafka\" leave it out, and make sales on the node that leads";
        checks.problems.push(problem.to_owned());
    }
    match (edge, log, node, sessions, logging) {
        (Some(edge), Some(log), Some(node), Some(sessions), Some(logging)) if checks.problems.is_empty() => {
            let values = print::values(layers);
            let (sourced, demo) = (collections.sourced, layers.demo);
            Ok(Settings {
                edge,
                log,
                cluster,
                node,
                sessions,
                sinks,
                sourced,
                logging,
                demo,
                warnings,
                values,
            })
        }
        _ => Err(SettingsError { problems: checks.problems }),
    }
}

/// Checks what a client of the operator listener needs, and nothing else: whoever looks after sinks need not be able to
/// read their passwords.
pub(super) fn resolve_operator(layers: &Layers) -> Result<Operator, SettingsError> {
    let mut checks = Checks { layers, problems: layers.problems.clone() };
    match operator(&mut checks, &layers.raw.operator) {
        Some((address, key)) if checks.problems.is_empty() => Ok(Operator { address, key }),
        _ => Err(SettingsError { problems: checks.problems }),
    }
}

fn edge(
    checks: &mut Checks<'_>,
    raw: &RawSettings,
    collections: &Collections,
) -> Option<onrush_edge::Settings> {
    let server = &raw.server;
    let listen = checks.address("server.listen", &server.listen);
    let threads = checks.number("server.threads", server.threads, &bounds::THREADS);
    let connections_max =
        checks.number("server.connections_max", server.connections_max, &bounds::CONNECTIONS);
    let header = checks.timeout("server.header_timeout_ms", server.header_timeout_ms, &bounds::TIMEOUT_MS);
    let body = checks.timeout("server.body_timeout_ms", server.body_timeout_ms, &bounds::TIMEOUT_MS);
    let idle = checks.timeout("server.idle_timeout_ms", server.idle_timeout_ms, &bounds::TIMEOUT_MS);
    let write = checks.timeout("server.write_timeout_ms", server.write_timeout_ms, &bounds::TIMEOUT_MS);
    let drain = checks.timeout("server.drain_timeout_ms", server.drain_timeout_ms, &bounds::DRAIN_TIMEOUT_MS);
    let gate = gate::resolve(checks, &raw.gate, &server.cors_origins);
    let catalog = catalog::resolve(checks, &raw.catalog, collections);
    let operator = operator(checks, &raw.operator);
    let (operator_listen, _) = operator?;
    let operator_key = raw.operator.key_file.as_deref().map(operator_key::in_file);
    if let Some(listen) = listen
        && overlap(listen, operator_listen)
    {
        return checks.refuse("operator.listen", operator_listen, "server.listen has this address already");
    }
    let threads = match threads? {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    Some(onrush_edge::Settings {
        listen: listen?,
        operator_listen,
        operator_key,
        threads,
        connections_max: connections_max?,
        header_timeout: header?,
        body_timeout: body?,
        idle_timeout: idle?,
        write_timeout: write?,
        unsent_bytes_max: onrush_edge::limits::UNSENT_BYTES_MAX,
        drain_timeout: drain?,
        scenarios: onrush_edge::Scenarios {
            visitor_counter: raw.scenarios.visitor_counter,
            request_window: raw.scenarios.request_window,
            slot_booking: raw.scenarios.slot_booking,
            flash_sale: raw.scenarios.flash_sale,
            product_inventory: raw.scenarios.product_inventory,
        },
        gate: gate?,
        catalog: catalog?,
    })
}

/// Whether two listeners cannot both have these addresses.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && (a == b || a.is_unspecified() || b.is_unspecified())
}

/// The operator's address, and the key that it asks for if there is one.
fn operator(checks: &mut Checks<'_>, raw: &RawOperator) -> Option<(SocketAddr, Option<String>)> {
    let listen = checks.address("operator.listen", &raw.listen);
    let key = match &raw.key_file {
        None => None,
        Some(path) => Some(key_in(checks, path)?),
    };
    let listen = listen?;
    if key.is_none() && !listen.ip().to_canonical().is_loopback() {
        return checks.refuse(
            "operator.listen",
            listen,
            "an operator address that other machines can reach needs operator.key_file",
        );
    }
    Some((listen, key))
}

fn key_in(checks: &mut Checks<'_>, path: &str) -> Option<String> {
    match operator_key::read(path) {
        Ok(key) => Some(key),
        Err(problem) => checks.refuse("operator.key_file", quoted(path), problem),
    }
}

fn log_files(checks: &mut Checks<'_>, log: &RawLog) -> Option<LogFiles> {
    if log.directory.is_empty() || log.directory.contains('\0') {
        let _: Option<()> = checks.refuse("log.directory", quoted(&log.directory), "must name a directory");
    }
    let segment_bytes = segment_bytes(checks, log.segment_bytes);
    let sync_method = checks.choice(
        "log.sync",
        &log.sync,
        &[
            ("fdatasync", SyncMethod::Fdatasync),
            ("direct", SyncMethod::Direct),
            ("unsafe-none", SyncMethod::UnsafeNone),
        ],
    );
    Some(LogFiles {
        directory: PathBuf::from(&log.directory),
        segment_bytes: segment_bytes?,
        sync_method: sync_method?,
    })
}

fn node(checks: &mut Checks<'_>, raw: &RawSettings) -> Option<onrush_node::Settings> {
    let snapshot_bytes = checks.number("log.snapshot_bytes", raw.log.snapshot_bytes, &bounds::SNAPSHOT_BYTES);
    let limits = limits(checks, &raw.limits);
    let default_shape = window_shape(checks, &raw.request_window);
    Some(onrush_node::Settings {
        partition: 0,
        snapshot_bytes: snapshot_bytes?,
        limits: limits?,
        default_shape: default_shape?,
        ..onrush_node::Settings::default()
    })
}

fn segment_bytes(checks: &mut Checks<'_>, value: i64) -> Option<u64> {
    const KEY: &str = "log.segment_bytes";
    let segment_bytes = checks.number(KEY, value, &bounds::SEGMENT_BYTES)?;
    match LogSettings::new(segment_bytes).check() {
        Ok(()) => Some(segment_bytes),
        Err(problem) => checks.refuse(KEY, value, problem),
    }
}

fn limits(checks: &mut Checks<'_>, raw: &RawLimits) -> Option<Limits> {
    let counters = checks.number("limits.counters_max", raw.counters_max, &bounds::OBJECTS);
    let windows = checks.number("limits.windows_max", raw.windows_max, &bounds::OBJECTS);
    let sales = checks.number("limits.sales_max", raw.sales_max, &bounds::OBJECTS);
    let stocks = checks.number("limits.stocks_max", raw.stocks_max, &bounds::OBJECTS);
    let reservations = checks.number("limits.reservations_max", raw.reservations_max, &bounds::OBJECTS);
    let details = checks.number("limits.details_bytes_max", raw.details_bytes_max, &bounds::DETAILS_BYTES);
    let denials = checks.number("limits.denials_max", raw.denials_max, &bounds::OBJECTS);
    let accounts = checks.number("limits.accounts_max", raw.accounts_max, &bounds::OBJECTS);
    let state = checks.number("limits.state_bytes_max", raw.state_bytes_max, &bounds::STATE_BYTES);
    Some(Limits {
        counters_max: counters?,
        windows_max: windows?,
        sales_max: sales?,
        stocks_max: stocks?,
        reservations_max: reservations?,
        details_bytes_max: details?,
        denials_max: denials?,
        accounts_max: accounts?,
        state_bytes_max: state?,
    })
}

fn window_shape(checks: &mut Checks<'_>, raw: &RawRequestWindow) -> Option<WindowShape> {
    const SPAN: &str = "request_window.persistence_timeframe";
    const PRECISION: &str = "request_window.precision";
    let span_ms = checks.duration_ms(SPAN, &raw.persistence_timeframe);
    let precision_ms = checks.duration_ms(PRECISION, &raw.precision);
    let (span_ms, precision_ms) = (span_ms?, precision_ms?);
    let Some(span_ms) = u32::try_from(span_ms).ok().filter(|ms| (1..=SPAN_MS_MAX).contains(ms)) else {
        return checks.refuse(SPAN, quoted(&raw.persistence_timeframe), "must be 1ms to 24h");
    };
    let Some(precision_ms) = u32::try_from(precision_ms).ok().filter(|ms| (1..=span_ms).contains(ms)) else {
        let rule = format!("must be 1ms to the timeframe, {span_ms}ms");
        return checks.refuse(PRECISION, quoted(&raw.precision), rule);
    };
    if span_ms / precision_ms > PANES_MAX {
        let rule = format!("the timeframe, {span_ms}ms, may be at most {PANES_MAX} times the precision");
        return checks.refuse(PRECISION, quoted(&raw.precision), rule);
    }
    Some(WindowShape { span_ms, precision_ms })
}

fn logging(checks: &mut Checks<'_>, raw: &RawLogging) -> Option<Logging> {
    let format = checks.choice(
        "logging.format",
        &raw.format,
        &[("auto", LoggingFormat::Auto), ("pretty", LoggingFormat::Pretty), ("json", LoggingFormat::Json)],
    );
    let is_level = EnvFilter::builder().parse(&raw.level).is_ok() && raw.level.split(',').all(is_directive);
    let level = if is_level && !raw.level.is_empty() {
        Some(raw.level.clone())
    } else {
        checks.refuse(
            "logging.level",
            quoted(&raw.level),
            "must be error, warn, info, debug, trace or off, for all or by part, such as info,onrush_node=debug",
        )
    };
    Some(Logging { format: format?, level: level? })
}

/// Whether a part of a level says a level. A bare word would be taken for the name of a part of the server, and a misspelt
/// level for one that does not exist.
fn is_directive(part: &str) -> bool {
    let part = part.trim();
    part.contains(['=', '[', '}']) || part.parse::<LevelFilter>().is_ok()
}
