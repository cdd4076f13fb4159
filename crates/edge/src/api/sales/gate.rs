//! What a sale asks of a buyer, as JSON.

#![allow(clippy::option_option, reason = "left out, null and a value are three things")]

use std::borrow::Cow;

use onrush_core::{
    ChallengeTerms, ConfirmBy, GateChange, GateField, GateMode, GateTerms, SessionTerms, TermsField,
};

use serde::de::{Deserialize, Deserializer, Error as _};

use crate::http::json::given;
use crate::text::write_number;

/// The object `gate` of the terms of a sale; `null` stands for the default of a field.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GateBody {
    #[serde(default, deserialize_with = "session")]
    session: Option<Option<SessionTerms>>,
    #[serde(default, deserialize_with = "challenge")]
    challenge: Option<Option<ChallengeTerms>>,
    #[serde(default, deserialize_with = "given")]
    cooldown_ms: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    holds_unpaid_max: Option<Option<u32>>,
    #[serde(default, deserialize_with = "confirm_by")]
    confirm_by: Option<Option<ConfirmBy>>,
    #[serde(default, deserialize_with = "mode")]
    mode: Option<Option<GateMode>>,
}

impl GateBody {
    /// All of a gate, and the fields that were left out, which are at their defaults.
    pub(super) fn into_terms(self) -> (GateTerms, Vec<TermsField>) {
        let change = self.into_change();
        let is_left_out = |field: &GateField| match field {
            GateField::Session => change.session.is_none(),
            GateField::Challenge => change.challenge.is_none(),
            GateField::CooldownMs => change.cooldown_ms.is_none(),
            GateField::HoldsUnpaidMax => change.holds_unpaid_max.is_none(),
            GateField::ConfirmBy => change.confirm_by.is_none(),
            GateField::Mode => change.mode.is_none(),
        };
        let left_out = GateField::ALL.into_iter().filter(is_left_out).map(TermsField::Gate).collect();
        (change.applied_to(GateTerms::default()), left_out)
    }

    /// The fields that are there.
    pub(super) fn into_change(self) -> GateChange {
        let Self { session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode } = self;
        GateChange {
            session: session.map(Option::unwrap_or_default),
            challenge: challenge.map(Option::unwrap_or_default),
            cooldown_ms: cooldown_ms.map(Option::unwrap_or_default),
            holds_unpaid_max,
            confirm_by: confirm_by.map(Option::unwrap_or_default),
            mode: mode.map(Option::unwrap_or_default),
        }
    }
}

fn session<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<SessionTerms>>, D::Error> {
    given_word(SessionTerms::ALL.map(|value| (value.as_str(), value)), d)
}

fn challenge<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<ChallengeTerms>>, D::Error> {
    given_word(ChallengeTerms::ALL.map(|value| (value.as_str(), value)), d)
}

fn confirm_by<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<ConfirmBy>>, D::Error> {
    given_word(ConfirmBy::ALL.map(|value| (value.as_str(), value)), d)
}

fn mode<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<GateMode>>, D::Error> {
    given_word(GateMode::ALL.map(|value| (value.as_str(), value)), d)
}

/// One of these words, or `null`.
fn given_word<'de, T: Copy, D: Deserializer<'de>, const N: usize>(
    words: [(&str, T); N],
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    let Some(text) = Option::<Cow<'_, str>>::deserialize(deserializer)? else { return Ok(Some(None)) };
    let found = words.iter().find(|(word, _)| *word == text);
    found.map(|(_, value)| Some(Some(*value))).ok_or_else(|| D::Error::custom("it is another word"))
}

/// Appends the object.
pub(super) fn write_gate(out: &mut Vec<u8>, gate: GateTerms) {
    out.extend_from_slice(b"{\"session\":\"");
    out.extend_from_slice(gate.session.as_str().as_bytes());
    out.extend_from_slice(b"\",\"challenge\":\"");
    out.extend_from_slice(gate.challenge.as_str().as_bytes());
    out.extend_from_slice(b"\",\"cooldown_ms\":");
    write_number(out, gate.cooldown_ms);
    out.extend_from_slice(b",\"holds_unpaid_max\":");
    match gate.holds_unpaid_max {
        Some(max) => write_number(out, max),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"confirm_by\":\"");
    out.extend_from_slice(gate.confirm_by.as_str().as_bytes());
    out.extend_from_slice(b"\",\"mode\":\"");
    out.extend_from_slice(gate.mode.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
