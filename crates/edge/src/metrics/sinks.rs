//! The figures of sinks and of the replica. Their labels come from the settings, never from a client.

use onrush_sinks::SinkStatus;

use super::{Page, decimal};

/// Every state that a sink can be in, so that each has a figure whatever the sinks do.
const STATES: [&str; 6] = ["starting", "following", "running", "waiting", "retrying", "stopped"];

/// One family of figures over all sinks.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    read: fn(&SinkStatus) -> u64,
    /// Decimals of the unit below which `read` counts.
    decimals: usize,
}

const FAMILIES: [Family; 7] = [
    Family {
        name: "onrush_sink_lag_events",
        kind: "gauge",
        help: "Events of the log that the sink has not passed.",
        read: |sink| sink.lag_events,
        decimals: 0,
    },
    Family {
        name: "onrush_sink_lag_seconds",
        kind: "gauge",
        help: "For how long the sink has been behind the log.",
        read: |sink| sink.lag_ms,
        decimals: 3,
    },
    Family {
        name: "onrush_sink_backlog_bytes",
        kind: "gauge",
        help: "Bytes of log files kept for the sink.",
        read: |sink| sink.backlog_bytes,
        decimals: 0,
    },
    Family {
        name: "onrush_sink_offset",
        kind: "gauge",
        help: "Offset below which everything is durable in the target.",
        read: |sink| sink.sink_offset,
        decimals: 0,
    },
    Family {
        name: "onrush_sink_written_total",
        kind: "counter",
        help: "Events handed to the target, repeats included.",
        read: |sink| sink.written_count,
        decimals: 0,
    },
    Family {
        name: "onrush_sink_failures_total",
        kind: "counter",
        help: "Failed attempts to write to the target.",
        read: |sink| sink.failure_count,
        decimals: 0,
    },
    Family {
        name: "onrush_sink_skipped_total",
        kind: "counter",
        help: "Events left out by operators, ever.",
        read: |sink| sink.skipped_count,
        decimals: 0,
    },
];

/// Adds the figures; nothing for a server without sinks and without an answer of a replica.
pub(super) fn render(page: &mut Page, sinks: &[SinkStatus], replica_lag_ms: Option<u64>) {
    if !sinks.is_empty() {
        for Family { name, kind, help, read, decimals } in FAMILIES {
            page.family(name, kind, help);
            for sink in sinks {
                page.sample(name, &labels(sink), &decimal(read(sink), decimals));
            }
        }
        page.family("onrush_sink_state", "gauge", "1 for the state that the sink is in, else 0.");
        for sink in sinks {
            for state in STATES {
                let labels = format!("{},state=\"{state}\"", labels(sink));
                page.sample("onrush_sink_state", &labels, if sink.state.name() == state { "1" } else { "0" });
            }
        }
    }
    if let Some(lag_ms) = replica_lag_ms {
        let help = "How far the replica was behind its primary when it last answered.";
        page.family("onrush_replica_lag_seconds", "gauge", help);
        page.sample("onrush_replica_lag_seconds", "", &decimal(lag_ms, 3));
    }
}

fn labels(sink: &SinkStatus) -> String {
    format!("sink=\"{}\",kind=\"{}\"", sink.name, sink.kind)
}

#[cfg(test)]
mod tests {
    use onrush_sinks::{SinkState, Stop};

    use super::*;
    use crate::api::sinks::body::sample;

    #[test]
    fn every_sink_has_every_figure() {
        let shop = sample::sink(SinkState::Stopped(Stop::LetGo));
        let stream =
            SinkStatus { name: "stream".into(), kind: "redis", state: SinkState::Running, ..shop.clone() };
        let mut page = Page(String::new());
        render(&mut page, &[shop, stream], Some(250));
        for line in [
            "# TYPE onrush_sink_lag_events gauge",
            "onrush_sink_lag_events{sink=\"shop\",kind=\"postgres\"} 3",
            "onrush_sink_lag_events{sink=\"stream\",kind=\"redis\"} 3",
            "onrush_sink_lag_seconds{sink=\"shop\",kind=\"postgres\"} 1.5",
            "onrush_sink_backlog_bytes{sink=\"shop\",kind=\"postgres\"} 4096",
            "onrush_sink_offset{sink=\"shop\",kind=\"postgres\"} 7",
            "onrush_sink_written_total{sink=\"shop\",kind=\"postgres\"} 6",
            "onrush_sink_failures_total{sink=\"shop\",kind=\"postgres\"} 2",
            "onrush_sink_skipped_total{sink=\"shop\",kind=\"postgres\"} 1",
            "onrush_sink_state{sink=\"shop\",kind=\"postgres\",state=\"stopped\"} 1",
            "onrush_sink_state{sink=\"shop\",kind=\"postgres\",state=\"running\"} 0",
            "onrush_sink_state{sink=\"stream\",kind=\"redis\",state=\"running\"} 1",
            "onrush_sink_state{sink=\"stream\",kind=\"redis\",state=\"starting\"} 0",
            "onrush_replica_lag_seconds 0.25",
        ] {
            assert!(page.0.lines().any(|one| one == line), "no {line} in\n{}", page.0);
        }
        let declared = page.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for (name, kind) in declared.map(|line| line.split_once(' ').unwrap()) {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        }
        let mut empty = Page(String::new());
        render(&mut empty, &[], None);
        assert_eq!(empty.0, "");
    }
}
