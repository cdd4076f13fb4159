//! What a comparison found, for people and for programs.

use std::fmt::Write;

use onrush_connect::{Findings, Tally};
use onrush_edge::text::{write_json_string, write_number};
use onrush_sinks::Skipped;

use crate::table;
use crate::terminal::printable;

/// A comparison of a sink's target with the log.
pub(super) struct Comparison {
    pub(super) sink: String,
    pub(super) kind: &'static str,
    /// The first offset that the log still has.
    pub(super) from: u64,
    /// The offset before which it was compared: how far the sink is.
    pub(super) to: u64,
    /// The end of the log.
    pub(super) log_to: u64,
    /// Events from `to` on that the sink has to write.
    pub(super) unwritten_count: u64,
    /// What operators had left out.
    pub(super) skipped: Vec<Skipped>,
    pub(super) findings: Findings,
}

impl Comparison {
    fn tallies(&self) -> [(&'static str, &'static str, &Tally); 4] {
        let Findings { missing, doubled, different, unexpected, .. } = &self.findings;
        [
            ("missing", "in the log, not in the target", missing),
            ("doubled", "more than once in the target", doubled),
            ("different", "in both, with another content", different),
            ("unexpected", "in the target, not in the log", unexpected),
        ]
    }

    /// A table, examples of each difference, and a verdict.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write_text(&mut text).expect("a String takes every write");
        text
    }

    fn write_text(&self, text: &mut String) -> std::fmt::Result {
        let Self { sink, kind, from, to, log_to, unwritten_count, .. } = self;
        writeln!(text, "{sink} ({kind}): offsets {from}..{to} of a log that ends at {log_to}")?;
        if *unwritten_count > 0 {
            let behind = log_to - to;
            writeln!(
                text,
                "the sink is {behind} behind the log: {unwritten_count} that it has not written were not compared"
            )?;
        }
        let mut rows =
            vec![vec!["compared".to_owned(), String::new(), self.findings.compared_count.to_string()]];
        rows.extend(
            self.tallies()
                .map(|(name, words, tally)| vec![name.to_owned(), words.to_owned(), tally.count.to_string()]),
        );
        writeln!(text, "\n{}", table::aligned(&rows, 2))?;
        for (name, _, tally) in self.tallies() {
            for example in &tally.examples {
                writeln!(text, "{name}: {}", printable(example))?;
            }
            let more = tally.count.saturating_sub(tally.examples.len() as u64);
            if more > 0 {
                writeln!(text, "{name}: and {more} more")?;
            }
        }
        for Skipped { from, to, reason, .. } in &self.skipped {
            writeln!(text, "left out by an operator: offsets {from}..{to}: {}", printable(reason))?;
        }
        for note in &self.findings.notes {
            writeln!(text, "note: {}", printable(note))?;
        }
        let verdict = match (self.findings.agree(), unwritten_count) {
            (true, 0) => "the target agrees with the log",
            (true, _) => "the target agrees with the log as far as the sink went",
            (false, _) => "the target DIFFERS from the log",
        };
        writeln!(text, "{verdict}")
    }

    /// One JSON object and the end of a line.
    pub(super) fn json(&self) -> String {
        let mut out = b"{\"sink\":".to_vec();
        write_json_string(&mut out, &self.sink);
        out.extend_from_slice(b",\"kind\":");
        write_json_string(&mut out, self.kind);
        for (member, value) in [
            ("from", self.from),
            ("to", self.to),
            ("log_to", self.log_to),
            ("unwritten_count", self.unwritten_count),
            ("compared_count", self.findings.compared_count),
        ] {
            write_member(&mut out, member);
            write_number(&mut out, value);
        }
        write_member(&mut out, "agree");
        out.extend_from_slice(if self.findings.agree() { b"true" } else { b"false" });
        for (member, _, tally) in self.tallies() {
            write_member(&mut out, member);
            out.extend_from_slice(b"{\"count\":");
            write_number(&mut out, tally.count);
            out.extend_from_slice(b",\"examples\":");
            write_texts(&mut out, &tally.examples);
            out.push(b'}');
        }
        write_member(&mut out, "skipped");
        out.push(b'[');
        for (at, Skipped { from, to, reason, .. }) in self.skipped.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"{\"from\":" } else { b",{\"from\":" });
            write_number(&mut out, *from);
            write_member(&mut out, "to");
            write_number(&mut out, *to);
            write_member(&mut out, "reason");
            write_json_string(&mut out, reason);
            out.push(b'}');
        }
        out.push(b']');
        write_member(&mut out, "notes");
        write_texts(&mut out, &self.findings.notes);
        out.extend_from_slice(b"}\n");
        String::from_utf8(out).expect("JSON made of texts and numbers is UTF-8")
    }
}

fn write_member(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    write_json_string(out, name);
    out.push(b':');
}

fn write_texts(out: &mut Vec<u8>, texts: &[String]) {
    out.push(b'[');
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_json_string(out, text);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(findings: Findings) -> Comparison {
        let skipped = vec![Skipped { from: 4, to: 5, at: 0, reason: "too \"long\"".into() }];
        Comparison {
            sink: "shop".into(),
            kind: "postgres",
            from: 1,
            to: 20,
            log_to: 22,
            unwritten_count: 1,
            skipped,
            findings,
        }
    }

    #[test]
    fn differences_are_told() {
        let mut missing = Tally::default();
        (5..17).for_each(|offset| missing.add(format_args!("offset {offset}")));
        let notes = vec!["3 repeats".to_owned()];
        let found = comparison(Findings { compared_count: 18, missing, notes, ..Findings::default() });
        let text = found.text();
        for part in [
            "shop (postgres): offsets 1..20 of a log that ends at 22\nthe sink is 2 behind the log: 1 that it",
            "\ncompared                                   18\n",
            "\nmissing     in the log, not in the target  12\n",
            "\ndoubled     more than once in the target    0\n",
            "\nmissing: offset 5\n",
            "\nmissing: offset 14\nmissing: and 2 more\n",
            "\nleft out by an operator: offsets 4..5: too \"long\"\nnote: 3 repeats\nthe target DIFFERS from the log\n",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        let agreed = Comparison { to: 22, unwritten_count: 0, ..comparison(Findings::default()) }.text();
        assert!(
            !agreed.contains("behind") && agreed.ends_with("\nthe target agrees with the log\n"),
            "{agreed}"
        );
        let behind = comparison(Findings::default()).text();
        assert!(behind.ends_with("\nthe target agrees with the log as far as the sink went\n"), "{behind}");
        // A sink that writes only some events has nothing to do for the others.
        let filtered = Comparison { unwritten_count: 0, ..comparison(Findings::default()) }.text();
        assert!(filtered.ends_with("\nthe target agrees with the log\n"), "{filtered}");
    }

    #[test]
    fn findings_byte_for_byte() {
        let mut different = Tally::default();
        different.add("offset 9: \"a\"");
        let found = comparison(Findings { compared_count: 18, different, ..Findings::default() });
        assert_eq!(
            found.json(),
            "{\"sink\":\"shop\",\"kind\":\"postgres\",\"from\":1,\"to\":20,\"log_to\":22,\"unwritten_count\":1,\"compared_count\":18,\
             \"agree\":false,\"missing\":{\"count\":0,\"examples\":[]},\"doubled\":{\"count\":0,\"examples\":[]},\
             \"different\":{\"count\":1,\"examples\":[\"offset 9: \\\"a\\\"\"]},\
             \"unexpected\":{\"count\":0,\"examples\":[]},\
             \"skipped\":[{\"from\":4,\"to\":5,\"reason\":\"too \\\"long\\\"\"}],\"notes\":[]}\n"
        );
    }
}
