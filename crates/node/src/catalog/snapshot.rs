//! Which transactions of a source a read of it has seen.

/// What a statement saw, as PostgreSQL's `pg_current_snapshot()` tells it: every transaction below `xmax` that was not in progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    xmax: u64,
    in_progress: Vec<u64>,
}

/// Transactions that a source counts with 32 bits, which begin again.
const XIDS: u64 = 1 << 32;

impl Snapshot {
    /// Of a statement that saw all transactions below `xmax` but those of `in_progress`.
    pub fn new(xmax: u64, mut in_progress: Vec<u64>) -> Self {
        in_progress.sort_unstable();
        Self { xmax, in_progress }
    }

    /// Reads `xmin:xmax:xid,xid,…`, as PostgreSQL writes it (Functions and Operators, section "Transaction ID and Snapshot
    /// Information"); nothing for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (_, xmax, in_progress) = (parts.next()?, parts.next()?, parts.next()?);
        let numbers = in_progress.split(',').filter(|number| !number.is_empty());
        let in_progress = numbers.map(|number| number.parse().ok()).collect::<Option<Vec<_>>>()?;
        Some(Self::new(xmax.parse().ok()?, in_progress))
    }

    /// Whether it has seen the transaction of this number, which was committed.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmax && self.in_progress.binary_search(&xid).is_err()
    }

    /// Whether all transactions below this number had ended when it was taken.
    pub fn sees_all_below(&self, xid: u64) -> bool {
        xid <= self.xmax && self.in_progress.first().is_none_or(|oldest| *oldest >= xid)
    }

    /// The number that the next transaction had when it was taken.
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// The whole number of a transaction of which only the lower 32 bits are known, and which is of the time of this snapshot: that
    /// nearest to `xmax`.
    pub fn whole_xid(&self, low: u32) -> u64 {
        let near = (self.xmax & !(XIDS - 1)) | u64::from(low);
        if near > self.xmax + XIDS / 2 && near >= XIDS {
            near - XIDS
        } else if near + XIDS / 2 < self.xmax {
            near + XIDS
        } else {
            near
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_snapshot_or_nothing() {
        let snapshot = Snapshot::parse("10:20:10,14,15").expect("as PostgreSQL writes it");
        for (xid, is_seen) in [(1, true), (10, false), (11, true), (14, false), (19, true), (20, false)] {
            assert_eq!(snapshot.sees(xid), is_seen, "{xid}");
        }
        for (below, is_seen) in [(10, true), (11, false), (20, false), (21, false)] {
            assert_eq!(snapshot.sees_all_below(below), is_seen, "{below}");
        }
        assert!(
            Snapshot::new(20, vec![]).sees_all_below(20) && !Snapshot::new(20, vec![]).sees_all_below(21)
        );
        assert_eq!(Snapshot::parse("7:7:"), Some(Snapshot::new(7, vec![])));
        for wrong in ["", "1", "1:2", "1:x:", "1:2:x", "1:2:3,,x"] {
            assert_eq!(Snapshot::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_of_32_bits_is_the_nearest() {
        for (xmax, low, whole) in [
            (20, 19, 19),
            (20, 4_000_000_000, 4_000_000_000),
            (XIDS + 5, 3, XIDS + 3),
            (XIDS + 5, u32::MAX, XIDS - 1),
            (2 * XIDS - 1, 2, 2 * XIDS + 2),
        ] {
            assert_eq!(Snapshot::new(xmax, vec![]).whole_xid(low), whole, "{xmax} {low}");
        }
    }
}
