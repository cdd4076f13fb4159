//! What a server of a target confirmed. A target may have several servers, of which one is written to at a time, and which may not
//! have the same.

/// What one server of a target is known to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Its address and port, as it says them.
    pub server: String,
    /// It has the events below this offset.
    pub offset: u64,
    /// The fence of the sink there. Each open raises it above that of the server before, so a server that was left for another has a
    /// lower one, even if it has the same events.
    pub fence: u64,
}

/// What a target of several servers is told before it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// What a server of the target confirmed last, in this run or an earlier one; absent if that is not known.
    pub confirmed: Option<Confirmed>,
    /// By an operator's word the sink goes on with whatever server answers, even with one that lacks something.
    pub accepts_less: bool,
}

impl Expected {
    /// As [`Confirmed::check`], unless an operator said that it is no matter.
    pub fn check(&self, found: &Confirmed, sink: &str) -> Result<(), String> {
        match &self.confirmed {
            Some(confirmed) if !self.accepts_less => confirmed.check(found, sink),
            _ => Ok(()),
        }
    }

    /// Whoever takes a server over raises its fence above this one as well: the server that is left, if it comes back, must not look
    /// as if it knew of that.
    pub fn left_fence(&self) -> u64 {
        self.confirmed.as_ref().map_or(0, |confirmed| confirmed.fence)
    }
}

impl Confirmed {
    /// An error, in words for an operator, if `found` is another server than this, and lacks something that this one confirmed: an
    /// old primary, or a replica that had not received everything. Whoever reads there finds less than there was, so it is for
    /// people to say whether `sink` goes on with it.
    pub fn check(&self, found: &Self, sink: &str) -> Result<(), String> {
        let Self { server, offset, fence } = found;
        if *server == self.server || (*offset >= self.offset && *fence >= self.fence) {
            return Ok(());
        }
        let unknown = if *offset < self.offset {
            ""
        } else {
            "does not know of the sink's last connection there, and "
        };
        Err(format!(
            "{server} answers for the target now and has the events below offset {offset}, while {} had confirmed those below {}: \
             it {unknown}was left behind, or is an old primary. Nothing was written to it. Make the right one the primary, or go on \
             with this one, which gets the missing events again; in both cases run `onrush sinks retry {sink}`",
            self.server, self.offset
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_server_needs_all_that_was_confirmed() {
        let confirmed = |server: &str, offset, fence| Confirmed { server: server.to_owned(), offset, fence };
        let before = confirmed("10.0.0.1:5432", 100, 7);
        for (found, wanted) in [
            (confirmed("10.0.0.2:5432", 100, 7), None),
            (confirmed("10.0.0.2:5432", 101, 8), None),
            // A server may lose what it had, which is no matter of another one.
            (confirmed("10.0.0.1:5432", 99, 6), None),
            (confirmed("10.0.0.2:5432", 99, 7), Some("below 100: it was left behind")),
            (confirmed("10.0.0.2:5432", 99, 6), Some("below 100: it was left behind")),
            (
                confirmed("10.0.0.2:5432", 100, 6),
                Some("below 100: it does not know of the sink's last connection there, and was left behind"),
            ),
            (
                confirmed("10.0.0.2:5432", 101, 6),
                Some("below 100: it does not know of the sink's last connection there, and was left behind"),
            ),
        ] {
            let found = before.check(&found, "shop").err();
            let fits = found.as_deref().zip(wanted).map(|(found, wanted)| found.contains(wanted));
            assert!(fits.unwrap_or(found.is_none() && wanted.is_none()), "{found:?}, not {wanted:?}");
        }
    }
}
