//! What some problems say besides, as members of their bodies.

use std::borrow::Cow;

use onrush_core::{ChallengeTerms, TimeMs, write_rfc3339};
use onrush_node::Name;

use crate::text::{write_json_string, write_number};

/// What some problems say besides, as members of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    None,
    Field(Cow<'static, str>),
    Stock(Name),
    StockLeft {
        stock: Name,
        quantity_available: u32,
    },
    StockTaken {
        stock: Name,
        quantity_held: u32,
        quantity_confirmed: u32,
    },
    CustomerLimit {
        per_customer_max: u32,
        quantity_taken: u64,
    },
    OpensAt(TimeMs),
    ClosesAt(TimeMs),
    CooldownLeft(u64),
    HoldsUnpaidMax(u32),
    /// Of which challenges one is asked for.
    Kinds(ChallengeTerms),
    StockClosed {
        stock: Name,
        closes_at: TimeMs,
    },
    Holds {
        quantity_held: u64,
        held_count: u32,
        held_until: TimeMs,
    },
    /// Which rate limit refused.
    Limit(&'static str),
}

impl Member {
    /// Appends the members, each behind a comma.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Field(field) => {
                out.extend_from_slice(b",\"field\":");
                write_json_string(out, field);
            }
            Self::Stock(stock) => {
                out.extend_from_slice(b",\"stock\":");
                write_json_string(out, stock);
            }
            Self::StockLeft { stock, quantity_available } => {
                out.extend_from_slice(b",\"stock\":");
                write_json_string(out, stock);
                out.extend_from_slice(b",\"quantity_available\":");
                write_number(out, *quantity_available);
            }
            Self::StockTaken { stock, quantity_held, quantity_confirmed } => {
                out.extend_from_slice(b",\"stock\":");
                write_json_string(out, stock);
                out.extend_from_slice(b",\"quantity_held\":");
                write_number(out, *quantity_held);
                out.extend_from_slice(b",\"quantity_confirmed\":");
                write_number(out, *quantity_confirmed);
            }
            Self::CustomerLimit { per_customer_max, quantity_taken } => {
                out.extend_from_slice(b",\"per_customer_max\":");
                write_number(out, *per_customer_max);
                out.extend_from_slice(b",\"quantity_taken\":");
                write_number(out, *quantity_taken);
            }
            Self::Holds { quantity_held, held_count, held_until } => {
                out.extend_from_slice(b",\"quantity_held\":");
                write_number(out, *quantity_held);
                out.extend_from_slice(b",\"held_count\":");
                write_number(out, *held_count);
                write_time(out, b",\"held_until\":\"", *held_until);
            }
            Self::Limit(limit) => {
                out.extend_from_slice(b",\"limit\":");
                write_json_string(out, limit);
            }
            Self::OpensAt(opens_at) => write_time(out, b",\"opens_at\":\"", *opens_at),
            Self::ClosesAt(closes_at) => write_time(out, b",\"closes_at\":\"", *closes_at),
            Self::CooldownLeft(left_ms) => {
                out.extend_from_slice(b",\"cooldown_left_ms\":");
                write_number(out, *left_ms);
            }
            Self::HoldsUnpaidMax(max) => {
                out.extend_from_slice(b",\"holds_unpaid_max\":");
                write_number(out, *max);
            }
            Self::Kinds(challenge) => {
                out.extend_from_slice(b",\"kinds\":[");
                for (at, kind) in challenge.kinds().iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_json_string(out, kind.as_str());
                }
                out.push(b']');
            }
            Self::StockClosed { stock, closes_at } => {
                out.extend_from_slice(b",\"stock\":");
                write_json_string(out, stock);
                write_time(out, b",\"closes_at\":\"", *closes_at);
            }
        }
    }
}

fn write_time(out: &mut Vec<u8>, name: &[u8], time: TimeMs) {
    out.extend_from_slice(name);
    write_rfc3339(out, time);
    out.push(b'"');
}
