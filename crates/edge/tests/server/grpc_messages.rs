//! Messages of sales, reservations and batches, stated once more.

#![allow(clippy::struct_field_names, reason = "the names are those of the protocol files")]

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Claim {
    #[prost(string, tag = "1")]
    pub(crate) customer: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) lines: Vec<Line>,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) details: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(crate) challenge: String,
    #[prost(string, tag = "5")]
    pub(crate) idempotency_key: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Line {
    #[prost(string, tag = "1")]
    pub(crate) stock: String,
    #[prost(uint32, tag = "2")]
    pub(crate) quantity: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reservation {
    #[prost(string, tag = "1")]
    pub(crate) reservation: String,
    #[prost(string, tag = "2")]
    pub(crate) sale: String,
    #[prost(string, tag = "3")]
    pub(crate) customer: String,
    #[prost(int32, tag = "4")]
    pub(crate) status: i32,
    #[prost(message, repeated, tag = "5")]
    pub(crate) lines: Vec<Line>,
    #[prost(bytes = "vec", tag = "6")]
    pub(crate) details: Vec<u8>,
    #[prost(uint64, tag = "7")]
    pub(crate) created_at_ms: u64,
    #[prost(uint64, optional, tag = "8")]
    pub(crate) expires_at_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneClaim {
    #[prost(string, tag = "1")]
    pub(crate) sale: String,
    #[prost(message, tag = "2")]
    pub(crate) claim: Option<Claim>,
}

/// A reservation, and whether it was there before; also the answer to all calls that answer with one.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OneReservation {
    #[prost(message, tag = "1")]
    pub(crate) reservation: Option<Reservation>,
    #[prost(bool, tag = "2")]
    pub(crate) replayed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManyReservations {
    #[prost(message, repeated, tag = "1")]
    pub(crate) reservations: Vec<Reservation>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManyClaims {
    #[prost(string, tag = "1")]
    pub(crate) sale: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) claims: Vec<Claim>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManyReserved {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<ReserveResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReserveResult {
    #[prost(oneof = "ReserveEnd", tags = "1, 2")]
    pub(crate) end: Option<ReserveEnd>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ReserveEnd {
    #[prost(message, tag = "1")]
    Reserved(Reserved),
    #[prost(message, tag = "2")]
    Refused(Refusal),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reserved {
    #[prost(string, tag = "1")]
    pub(crate) reservation: String,
    #[prost(int32, tag = "2")]
    pub(crate) status: i32,
    #[prost(uint64, tag = "3")]
    pub(crate) created_at_ms: u64,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) expires_at_ms: Option<u64>,
    #[prost(bool, tag = "5")]
    pub(crate) replayed: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Refusal {
    #[prost(string, tag = "1")]
    pub(crate) code: String,
    #[prost(string, tag = "2")]
    pub(crate) detail: String,
    #[prost(uint32, tag = "3")]
    pub(crate) retry_after_s: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Addition {
    #[prost(string, tag = "1")]
    pub(crate) counter: String,
    #[prost(uint32, tag = "2")]
    pub(crate) by: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManyAdditions {
    #[prost(message, repeated, tag = "1")]
    pub(crate) additions: Vec<Addition>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ManyAdded {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<AddResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddResult {
    #[prost(oneof = "AddEnd", tags = "1, 2")]
    pub(crate) end: Option<AddEnd>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum AddEnd {
    #[prost(uint64, tag = "1")]
    Value(u64),
    #[prost(message, tag = "2")]
    Refused(Refusal),
}

/// One unit of the stock `unit`, with a key unless that is empty.
pub(crate) fn unit_for(customer: &str, key: &str) -> Claim {
    let lines = vec![Line { stock: "unit".into(), quantity: 1 }];
    Claim { customer: customer.into(), lines, idempotency_key: key.into(), ..Claim::default() }
}

impl ManyReserved {
    /// `new`, `again` or the code of the refusal, for each claim.
    pub(crate) fn in_short(&self) -> Vec<&str> {
        self.results.iter().map(ReserveResult::in_short).collect()
    }

    /// The id of each reservation; empty for a refusal.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.results.iter().map(ReserveResult::id).collect()
    }
}

impl ReserveResult {
    fn in_short(&self) -> &str {
        match &self.end {
            Some(ReserveEnd::Reserved(Reserved { replayed: false, .. })) => "new",
            Some(ReserveEnd::Reserved(_)) => "again",
            Some(ReserveEnd::Refused(refusal)) => &refusal.code,
            None => "nothing",
        }
    }

    fn id(&self) -> &str {
        match &self.end {
            Some(ReserveEnd::Reserved(reserved)) => &reserved.reservation,
            _ => "",
        }
    }
}
