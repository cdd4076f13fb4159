//! The denylist of a server at rest against the history.

use anyhow::{Result, ensure};
use std::net::SocketAddr;

use super::History;
use crate::api::DenialList;
use crate::http::{self, request};
use crate::operator_traffic::DENIAL_REASON;

impl History {
    pub(super) fn check_denylist(&mut self, operator: SocketAddr) -> Result<()> {
        let (times, answer) = self.clock.time(|| http::once(operator, &request("GET", "/v1/denylist")));
        let mut list: DenialList = answer?.expect(200)?;
        // Ends of sessions stand behind all customers.
        let count = list.denials.len();
        list.denials.retain(|denial| denial.kind != "session");
        let is_whole = list.next_cursor.is_none() || list.denials.len() < count;
        ensure!(is_whole, "more customers are denied than there are");
        for denial in &list.denials {
            let is_ours = denial.kind == "customer" && denial.reason == DENIAL_REASON;
            ensure!(is_ours && denial.expires_at.is_none(), "nobody put {denial:?} on the denylist");
        }
        let shown = list.denials.into_iter().map(|denial| denial.value).collect();
        self.denials.observed(&shown, times)
    }
}
