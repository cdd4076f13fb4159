//! What a sale asks of whoever wants something of it, beside its times and its limits.

#![allow(clippy::option_option, reason = "left out, null and a value are three things")]

use crate::{COOLDOWN_MS_MAX, ChallengeTerms, HOLDS_UNPAID_MAX_MAX, InvalidTerms};

/// What a sale asks of a buyer. The default asks nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateTerms {
    /// Whether it takes a session to reserve.
    pub session: SessionTerms,
    /// Which challenge has to be solved for each reservation.
    pub challenge: ChallengeTerms,
    /// How long after a reservation of a customer the next one is refused, in milliseconds; 0 for not at all, at most
    /// [`COOLDOWN_MS_MAX`].
    pub cooldown_ms: u32,
    /// With so many holds that ran out unpaid a customer reserves no more, 1 to [`HOLDS_UNPAID_MAX_MAX`]; no limit if absent.
    pub holds_unpaid_max: Option<u32>,
    /// Who confirms.
    pub confirm_by: ConfirmBy,
    /// Whether what the gate finds is refused.
    pub mode: GateMode,
}

/// Whether a sale asks for a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionTerms {
    /// Customers are whom requests say they are.
    #[default]
    Off = 0,
    /// The same, but a session is taken if there is one.
    Optional = 1,
    /// Nobody reserves without one, and a customer sees and changes no reservations but their own.
    Required = 2,
}

/// Who confirms a reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ConfirmBy {
    /// Whoever knows its id.
    #[default]
    Anyone = 0,
    /// The operator alone: the shop, once it was paid.
    Operator = 1,
}

/// What happens to a request that the gate finds wanting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum GateMode {
    /// It is refused.
    #[default]
    Enforce = 0,
    /// It is counted, and goes on.
    Shadow = 1,
}

impl SessionTerms {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Off, Self::Optional, Self::Required];

    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl ConfirmBy {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Anyone, Self::Operator];

    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Operator => "operator",
        }
    }
}

impl GateMode {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Enforce, Self::Shadow];

    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// A field of [`GateTerms`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named after the fields")]
pub enum GateField {
    Session,
    Challenge,
    CooldownMs,
    HoldsUnpaidMax,
    ConfirmBy,
    Mode,
}

/// Changes of single fields of [`GateTerms`]; what is absent stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are named after the fields")]
pub struct GateChange {
    pub session: Option<SessionTerms>,
    pub challenge: Option<ChallengeTerms>,
    pub cooldown_ms: Option<u32>,
    pub holds_unpaid_max: Option<Option<u32>>,
    pub confirm_by: Option<ConfirmBy>,
    pub mode: Option<GateMode>,
}

impl GateTerms {
    pub(crate) fn check(self) -> Result<(), InvalidTerms> {
        let invalid = |field: GateField, rule| Err(InvalidTerms { field: field.path().into(), rule });
        if self.cooldown_ms > COOLDOWN_MS_MAX {
            return invalid(GateField::CooldownMs, "must be at most 86400000");
        }
        if self.holds_unpaid_max.is_some_and(|max| !(1..=HOLDS_UNPAID_MAX_MAX).contains(&max)) {
            return invalid(GateField::HoldsUnpaidMax, "must be 1 to 100");
        }
        Ok(())
    }

    /// Whether a field is as it is by default.
    pub(crate) fn is_default(self, field: GateField) -> bool {
        let default = Self::default();
        match field {
            GateField::Session => self.session == default.session,
            GateField::Challenge => self.challenge == default.challenge,
            GateField::CooldownMs => self.cooldown_ms == default.cooldown_ms,
            GateField::HoldsUnpaidMax => self.holds_unpaid_max == default.holds_unpaid_max,
            GateField::ConfirmBy => self.confirm_by == default.confirm_by,
            GateField::Mode => self.mode == default.mode,
        }
    }
}

impl GateField {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Session, Self::Challenge, Self::CooldownMs, Self::HoldsUnpaidMax, Self::ConfirmBy, Self::Mode];

    /// As a JSON client would write it.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Session => "gate.session",
            Self::Challenge => "gate.challenge",
            Self::CooldownMs => "gate.cooldown_ms",
            Self::HoldsUnpaidMax => "gate.holds_unpaid_max",
            Self::ConfirmBy => "gate.confirm_by",
            Self::Mode => "gate.mode",
        }
    }
}

impl GateChange {
    /// Every field becomes as it is by default.
    pub fn to_default() -> Self {
        let GateTerms { session, challenge, cooldown_ms, holds_unpaid_max, confirm_by, mode } =
            GateTerms::default();
        Self {
            session: Some(session),
            challenge: Some(challenge),
            cooldown_ms: Some(cooldown_ms),
            holds_unpaid_max: Some(holds_unpaid_max),
            confirm_by: Some(confirm_by),
            mode: Some(mode),
        }
    }

    /// The gate with these changes.
    pub fn applied_to(self, gate: GateTerms) -> GateTerms {
        GateTerms {
            session: self.session.unwrap_or(gate.session),
            challenge: self.challenge.unwrap_or(gate.challenge),
            cooldown_ms: self.cooldown_ms.unwrap_or(gate.cooldown_ms),
            holds_unpaid_max: self.holds_unpaid_max.unwrap_or(gate.holds_unpaid_max),
            confirm_by: self.confirm_by.unwrap_or(gate.confirm_by),
            mode: self.mode.unwrap_or(gate.mode),
        }
    }
}

const _: () = assert!(COOLDOWN_MS_MAX == 86_400_000 && HOLDS_UNPAID_MAX_MAX == 100);
