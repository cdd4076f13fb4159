//! Who is on the denylist: what an operator was told of each change, and what that means for a request of the customer.

use anyhow::{Result, ensure};
use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, Times};

/// One change of a customer's entry.
#[derive(Debug, Clone, Copy)]
struct Change {
    denied: bool,
    times: Times,
    acknowledged: bool,
}

/// Which states a customer may have been in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Possible {
    /// On the list.
    pub denied: bool,
    /// Not on the list.
    pub allowed: bool,
}

impl Possible {
    fn only(denied: bool) -> Self {
        Self { denied, allowed: !denied }
    }

    fn add(&mut self, denied: bool) {
        self.denied |= denied;
        self.allowed |= !denied;
    }
}

/// The entries of all customers; one connection changes them, one after another.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    changes: BTreeMap<String, Vec<Change>>,
}

impl Denials {
    /// Takes the outcome of a change. Changes come in the order in which they were sent.
    pub(crate) fn changed(
        &mut self,
        customer: &str,
        denied: bool,
        times: Times,
        outcome: &Outcome<()>,
    ) -> Result<()> {
        if let Outcome::Refused { status, code } = outcome {
            let was_absent = self.during(customer, times).allowed;
            let fits = *status == 503 || *status == 404 && !denied && was_absent;
            ensure!(fits, "denied: {denied} of {customer} was refused with {status} {code}");
            return Ok(());
        }
        let acknowledged = !outcome.is_unknown();
        self.changes.entry(customer.to_owned()).or_default().push(Change { denied, times, acknowledged });
        Ok(())
    }

    /// In which states the customer may have been while a request was under way.
    pub(crate) fn during(&self, customer: &str, request: Times) -> Possible {
        let mut possible = Possible::only(false);
        for change in self.changes.get(customer).into_iter().flatten() {
            if change.times.sent_ns >= request.ended_ns {
                break;
            }
            if change.acknowledged && change.times.ended_ns <= request.sent_ns {
                possible = Possible::only(change.denied);
            } else {
                possible.add(change.denied);
            }
        }
        possible
    }

    /// Takes the whole list as the server shows it at rest; nothing about it is unknown then.
    pub(crate) fn observed(&mut self, shown: &BTreeSet<String>, times: Times) -> Result<()> {
        for customer in shown {
            ensure!(self.changes.contains_key(customer), "nobody put {customer} on the denylist");
        }
        let customers = self.changes.keys().cloned().collect::<Vec<_>>();
        for customer in customers {
            let (denied, possible) = (shown.contains(&customer), self.during(&customer, times));
            let fits = if denied { possible.denied } else { possible.allowed };
            ensure!(fits, "{customer} is shown on the denylist: {denied}, but only {possible:?}");
            self.changes.insert(customer, vec![Change { denied, times, acknowledged: true }]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Lost;

    fn at(sent_ns: u64, ended_ns: u64) -> Times {
        Times { sent_ns, ended_ns }
    }

    /// `+SENT-ENDED` puts the customer on the list, `-SENT-ENDED` takes the customer off; with `?` nobody knows.
    fn denials(text: &str) -> Denials {
        let mut denials = Denials::default();
        for word in text.split_whitespace() {
            let (denied, rest) = (word.starts_with('+'), &word[1..]);
            let (times, outcome) = match rest.strip_suffix('?') {
                Some(times) => (times, Outcome::Unknown(Lost::Closed)),
                None => (rest, Outcome::Acknowledged(())),
            };
            let (sent, ended) = times.split_once('-').expect("SENT-ENDED");
            let times = at(sent.parse().expect("a number"), ended.parse().expect("a number"));
            denials.changed("ann", denied, times, &outcome).expect("a change");
        }
        denials
    }

    #[test]
    fn a_request_meets_what_was_answered_before_it_and_what_was_under_way() {
        for (changes, request, denied, allowed) in [
            ("", at(5, 6), false, true),
            ("+1-2", at(3, 4), true, false),
            ("+1-2", at(0, 1), false, true),
            ("+1-4", at(3, 5), true, true),
            ("+1-2 -3-6", at(4, 5), true, true),
            ("+1-2 -3-4", at(5, 6), false, true),
            ("+1-2?", at(5, 6), true, true),
            ("+1-2? -3-4", at(5, 6), false, true),
            ("+1-2 -7-8", at(5, 6), true, false),
        ] {
            let possible = denials(changes).during("ann", request);
            assert_eq!((possible.denied, possible.allowed), (denied, allowed), "{changes}");
        }
    }

    #[test]
    fn an_entry_that_was_acknowledged_is_shown_and_nothing_else_is() {
        let (nobody, ann) = (BTreeSet::new(), BTreeSet::from(["ann".to_owned()]));
        for (changes, shown, fits) in [
            ("+1-2", &ann, true),
            ("+1-2", &nobody, false),
            ("+1-2 -3-4", &ann, false),
            ("+1-2?", &ann, true),
            ("+1-2?", &nobody, true),
            ("", &ann, false),
        ] {
            assert_eq!(denials(changes).observed(shown, at(8, 9)).is_ok(), fits, "{changes} {shown:?}");
        }
        let mut denials = denials("+1-2?");
        denials.observed(&ann, at(3, 4)).expect("it may be there");
        assert!(denials.observed(&nobody, at(5, 6)).is_err(), "what was seen is known");
    }
}
