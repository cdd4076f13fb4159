//! The short window: its count at an instant lies between the hits that were certainly inside its span and acknowledged,
//! and all hits that may have been inside.

use anyhow::{Result, ensure};

use super::{Outcome, Times};

/// One request that the window counted, or may have counted.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    /// When.
    pub times: Times,
    /// The count that it was told.
    pub outcome: Outcome<u64>,
}

/// The window's settings and what the run allows for, all in nanoseconds.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "the unit comes last in every name")]
pub(crate) struct Panes {
    /// Its span.
    pub span_ns: u64,
    /// The length of a pane.
    pub precision_ns: u64,
    /// How far the server's reading of the clock may lie from the time in which the request was under way.
    pub slack_ns: u64,
}

impl Panes {
    /// Checks a count that was asked for and answered at `times`, this request not included.
    pub(crate) fn check(self, hits: &[Hit], times: Times, count: u64) -> Result<()> {
        let reach_ns = self.span_ns + self.precision_ns + self.slack_ns;
        let mut certain = 0;
        let mut possible = 0;
        for hit in hits {
            let acknowledged = match hit.outcome {
                Outcome::Acknowledged(_) => true,
                Outcome::Unknown(_) => false,
                Outcome::Refused { .. } => continue,
            };
            let before = hit.times.ended_ns < times.sent_ns;
            // A pane that began just inside the span also counts what came up to one precision earlier.
            let inside = hit.times.sent_ns + self.span_ns >= times.ended_ns + self.slack_ns;
            if acknowledged && before && inside {
                certain += 1;
            }
            if hit.times.sent_ns <= times.ended_ns && hit.times.ended_ns + reach_ns >= times.sent_ns {
                possible += 1;
            }
        }
        ensure!(
            count >= certain,
            "the window counts {count}, but {certain} were acknowledged inside its span"
        );
        ensure!(
            count <= possible,
            "the window counts {count}, but at most {possible} were asked for inside its span"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Lost;

    /// Hits as `SENT ENDED` or `SENT ENDED ?`, one per line; then what a reading at 1000 to 1010 may be, with a span of
    /// 100, panes of 10 and no slack.
    fn check(hits: &str, allowed: std::ops::RangeInclusive<u64>) {
        let panes = Panes { span_ns: 100, precision_ns: 10, slack_ns: 0 };
        let read = |line: &str| {
            let words = line.split_whitespace().collect::<Vec<_>>();
            let number = |at: usize| words[at].parse::<u64>().expect("a number");
            let outcome =
                if words.len() > 2 { Outcome::Unknown(Lost::Closed) } else { Outcome::Acknowledged(1) };
            Hit { times: Times { sent_ns: number(0), ended_ns: number(1) }, outcome }
        };
        let hits = hits.lines().filter(|line| !line.trim().is_empty()).map(read).collect::<Vec<_>>();
        for count in 0..10 {
            let fits = panes.check(&hits, Times { sent_ns: 1000, ended_ns: 1010 }, count).is_ok();
            assert_eq!(fits, allowed.contains(&count), "{count} of {hits:?}");
        }
    }

    #[test]
    fn counts_lie_between_what_is_certain_and_what_is_possible() {
        check("", 0..=0);
        check("950 960", 1..=1);
        check("950 960 \n 950 960 ?", 1..=2);
        check("905 960", 0..=1);
        check("880 889", 0..=0);
        check("880 890", 0..=1);
        check("990 1005", 0..=1);
        check("1011 1020", 0..=0);
        check("910 999 \n 911 999 \n 100 200", 2..=2);
    }
}
