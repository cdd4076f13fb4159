//! What `serve` says once it is ready: to a person on a terminal, or as one message to whoever collects them.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::thread;

use onrush_core::{TimeMs, write_rfc3339};
use onrush_log::file::SyncMethod;
use onrush_node::{Clock as _, MachineClock, Recovered};

use crate::output::print;
use crate::settings::Settings;

/// A log that is so far ahead of the clock was not written by the clock that the machine has now.
const LOG_AHEAD_WARNED_MS: TimeMs = 60_000;

/// Where the server can be reached, and what it found in its data directory.
pub(crate) struct Announcement<'a> {
    pub(crate) settings: &'a Settings,
    /// The address that was opened: the port is the system's choice where the settings say 0.
    pub(crate) public: SocketAddr,
    pub(crate) operator: SocketAddr,
    /// Nothing of a log that other nodes share: it is followed.
    pub(crate) recovered: Option<&'a Recovered>,
}

impl Announcement<'_> {
    /// Prints for a person if one watches, and logs otherwise. Only both outputs on one terminal would say it twice.
    pub(crate) fn make(&self) {
        let person_watches = io::stdout().is_terminal();
        if person_watches {
            print_on_own_thread(self.text());
        }
        if !(person_watches && io::stderr().is_terminal()) {
            tracing::info!(
                version = env!("CARGO_PKG_VERSION"),
                public = %self.public,
                operator = %self.operator,
                directory = %self.settings.log.directory.display(),
                sinks = sinks_words(self.settings),
                recovered = self.beginning(),
                "ready"
            );
        }
        let log_ms = self.recovered.map_or(0, |recovered| recovered.time_ms);
        if let Some(warning) = clock_warning(log_ms, MachineClock.wall_ms()) {
            tracing::warn!("{warning}");
        }
    }

    fn beginning(&self) -> String {
        self.recovered.map_or_else(|| "follows the log that other nodes share".to_owned(), recovered_words)
    }

    fn text(&self) -> String {
        let durability = match self.settings.log.sync_method {
            _ if self.settings.cluster.is_some() => "a copy: the shared log is what is durable",
            SyncMethod::Fdatasync => "every answer is durable (fdatasync)",
            SyncMethod::Direct => "every answer is durable (direct writes)",
            SyncMethod::UnsafeNone => "UNSAFE: a power failure loses answers",
        };
        let demo = if self.settings.demo {
            format!(
                "\n  try        curl http://{0}/web-counter/increment\n             curl http://{0}/stations/PWTC",
                self.public
            )
        } else {
            String::new()
        };
        let sinks = sinks_words(self.settings);
        let sinks = if sinks.is_empty() { sinks } else { format!("\n  sinks      {sinks}") };
        format!(
            "onrush {version}\n  public     http://{public}\n  operator   http://{operator}\n  data       {directory}, \
             {durability}{sinks}\n  recovered  {recovered}{demo}\n  stop with Ctrl-C\n",
            version = env!("CARGO_PKG_VERSION"),
            public = self.public,
            operator = self.operator,
            directory = self.settings.log.directory.display(),
            recovered = self.beginning(),
        )
    }
}

/// On a thread of its own: a terminal that somebody stopped (Ctrl-S) takes nothing, and the server is ready all the same.
fn print_on_own_thread(text: String) {
    let printing = move || {
        if let Err(failure) = print(&text) {
            tracing::warn!(%failure, "print the announcement");
        }
    };
    if let Err(error) = thread::Builder::new().name("announcement".to_owned()).spawn(printing) {
        tracing::warn!(%error, "start a thread that prints the announcement");
    }
}

/// The sinks with what they write to; empty if there are none.
fn sinks_words(settings: &Settings) -> String {
    let sinks = settings.sinks.iter().map(|sink| format!("{} ({})", sink.node.name, sink.target.kind()));
    sinks.collect::<Vec<_>>().join(", ")
}

/// One sentence for people and messages alike.
fn recovered_words(recovered: &Recovered) -> String {
    let Recovered { snapshot_offset, offset, replayed_count, torn_at, took, .. } = recovered;
    if *offset == 0 {
        return "nothing: this is a new log".to_owned();
    }
    let start = match snapshot_offset {
        Some(snapshot_offset) => {
            format!(
                "the snapshot at offset {snapshot_offset} and {} behind it",
                counted(*replayed_count, "event")
            )
        }
        None => counted(*replayed_count, "event"),
    };
    let torn = match torn_at {
        Some((file, position)) => {
            format!(
                "; cut off an unfinished write that nobody was answered for, at byte {position} of {file}"
            )
        }
        None => String::new(),
    };
    let rows = match recovered.row_count {
        0 => String::new(),
        count => format!(", {} of the catalogue", counted(count, "row")),
    };
    format!(
        "{}, {} and {}{rows} from {start}, in {:.3} s{torn}",
        counted(recovered.counter_count, "counter"),
        counted(recovered.sale_count, "sale"),
        counted(recovered.reservation_count, "reservation"),
        took.as_secs_f64()
    )
}

/// What to say if the log's newest time is implausible by the machine's clock.
fn clock_warning(log_ms: TimeMs, clock_ms: TimeMs) -> Option<String> {
    let ahead_ms = log_ms.saturating_sub(clock_ms);
    (ahead_ms > LOG_AHEAD_WARNED_MS).then(|| {
        format!(
            "the log's newest time is {}, the machine's clock shows {}: one of them is wrong. If it is the clock, set it \
             right; nothing has to be restarted. If the clock was ahead when the log was written, nothing has to be \
             done: holds and windows go on from the log's time, at nine tenths of the pace for about {} more hours, and \
             sales open and close by the clock. Only an empty data directory begins at the clock's time",
            rfc3339(log_ms),
            rfc3339(clock_ms),
            ahead_ms.div_ceil(360_000),
        )
    })
}

fn rfc3339(time: TimeMs) -> String {
    let mut text = Vec::new();
    write_rfc3339(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}

/// So many of something whose plural ends in s.
fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onrush_node::Recovered;

    #[test]
    fn a_log_from_the_future_names_both_times() {
        let now = 1_700_000_000_000;
        assert_eq!(super::clock_warning(now + 60_000, now), None);
        assert_eq!(super::clock_warning(0, now), None);
        let warning = super::clock_warning(now + 86_400_000, now).expect("a day is implausible");
        for part in ["is 2023-11-15T22:13:20", "shows 2023-11-14T22:13:20", "about 240 more hours"] {
            assert!(warning.contains(part), "{warning}");
        }
    }

    #[test]
    fn what_was_recovered_is_told_in_words() {
        let mut recovered = Recovered {
            snapshot_offset: None,
            offset: 0,
            replayed_count: 0,
            replayed_bytes: 0,
            torn_at: None,
            epoch: 1,
            time_ms: 0,
            took: Duration::from_millis(1_234),
            counter_count: 1,
            sale_count: 2,
            reservation_count: 3,
            row_count: 0,
        };
        let mut check = |change: fn(&mut Recovered), expected: &str| {
            change(&mut recovered);
            assert_eq!(super::recovered_words(&recovered), expected);
        };
        check(|_| {}, "nothing: this is a new log");
        check(
            |recovered| (recovered.offset, recovered.replayed_count) = (9, 9),
            "1 counter, 2 sales and 3 reservations from 9 events, in 1.234 s",
        );
        check(
            |recovered| recovered.row_count = 1,
            "1 counter, 2 sales and 3 reservations, 1 row of the catalogue from 9 events, in 1.234 s",
        );
        check(
            |recovered| {
                (recovered.snapshot_offset, recovered.replayed_count, recovered.row_count) = (Some(7), 2, 0);
            },
            "1 counter, 2 sales and 3 reservations from the snapshot at offset 7 and 2 events behind it, in 1.234 s",
        );
        check(
            |recovered| recovered.torn_at = Some(("a.seg".to_owned(), 4_096)),
            "1 counter, 2 sales and 3 reservations from the snapshot at offset 7 and 2 events behind it, in 1.234 s; \
             cut off an unfinished write that nobody was answered for, at byte 4096 of a.seg",
        );
    }
}
