//! Problems of who somebody is.

use onrush_core::Refusal;
use onrush_gate::jwt::JwtRefused;

use super::{Code, Problem};

/// How a browser is asked for the operator key.
pub(super) const OPERATOR_PASSWORD: &str = "Basic realm=\"onrush operator\", charset=\"UTF-8\"";

impl Problem {
    /// 401: nothing says who sends this.
    pub fn session_required() -> Self {
        let detail = "Say who you are: POST /v1/session begins a session. Its cookie, or a token as Authorization: Bearer, \
                      goes with every request.";
        Self::new(Code::SessionRequired, detail)
    }

    /// 401: nothing says who sends this, and no customer is named.
    pub fn session_or_customer() -> Self {
        let detail = "Say who you are: POST /v1/session begins a session. Its cookie, or a token as Authorization: Bearer, \
                      goes with every request. Where a sale takes none, naming the `customer` is enough.";
        Self::new(Code::SessionRequired, detail)
    }

    /// 401: what says who sends this is a session that the operator has ended.
    pub fn session_ended() -> Self {
        Self::new(
            Code::SessionRequired,
            "The operator has ended this session. POST /v1/session begins another one.",
        )
    }

    /// 401: what says who sends this has expired.
    pub fn session_expired() -> Self {
        Self::new(Code::SessionExpired, "It was good once. POST /v1/session begins another one.")
    }

    /// 401: a token of the shop that proves nothing.
    pub fn invalid_token(refused: &JwtRefused) -> Self {
        Self::new(Code::InvalidCredentials, format!("The token {refused}."))
    }

    /// 401: a token that is neither one of the shop nor one of ours.
    pub fn unknown_token() -> Self {
        let detail = "The token of Authorization is no token of a session, or one under a key that is no longer known.";
        Self::new(Code::InvalidCredentials, detail)
    }

    /// 403: one customer speaks of another.
    pub fn customer_mismatch() -> Self {
        Self::from_refusal(&Refusal::CustomerMismatch, None, 0)
    }

    /// 403: the public listener was asked to take the units of an expired hold again.
    pub(crate) fn reclaim_is_the_operators() -> Self {
        let detail = "reclaim is for the shop alone: ask the operator listener. Without it this path confirms a live hold.";
        Self::new(Code::OperatorOnly, detail)
    }

    /// 403: a page of another site may have made the browser send a session.
    pub fn cross_site_session() -> Self {
        let detail =
            "A page of another site made this request, so its session does not count. Nothing was done.";
        Self::new(Code::CrossSite, detail)
    }

    /// 401: a page of the operator asks a browser for the key.
    pub fn password_required() -> Self {
        let detail = "Give the operator key as the password; the name may be anything. A program sends it as Authorization: Bearer.";
        Self { asks_for_password: true, ..Self::new(Code::Unauthorized, detail) }
    }

    /// 403: a page of another site sent a form, with a password that the browser remembered.
    pub fn cross_site_form() -> Self {
        Self::new(Code::CrossSite, "A page of another site made this request. Nothing was done.")
    }

    /// 401: no such customer, or another password. Which of them is not said.
    pub fn wrong_password() -> Self {
        Self::new(Code::InvalidCredentials, "There is no such customer, or the password is another one.")
    }

    /// 409: somebody was faster.
    pub fn customer_exists() -> Self {
        Self::from_refusal(&Refusal::CustomerExists, None, 0)
    }

    /// 404: nobody set up who may say who somebody is.
    pub fn sessions_off() -> Self {
        let detail = "Sessions are off: the operator has set neither gate.jwt_key_file nor gate.accounts.";
        Self::new(Code::NotFound, detail)
    }

    /// 404: the shop has its own accounts, or none.
    pub fn accounts_off() -> Self {
        Self::new(Code::NotFound, "Accounts are off: the operator has not set gate.accounts.")
    }
}
