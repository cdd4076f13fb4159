//! The rules of onrush: what may happen ([`decide()`]) and what it means ([`State::apply`]).
//!
//! Both are synchronous, total and pure. Time, chance and limits come in as arguments; nothing in this crate reads a
//! clock, draws a random number, touches a file or knows that HTTP exists. `state == events.fold(apply)` for every
//! sequence of events that `decide` produced.

mod account;
mod apply;
mod asker;
mod challenge;
mod command;
mod decide;
mod denial;
mod digest;
mod encoding;
mod event;
mod fact;
mod gate_terms;
mod ids;
mod incarnations;
mod invalid_terms;
mod limits;
mod name;
mod precondition;
mod refusal;
mod refusal_code;
mod rfc3339;
mod row;
mod row_collection;
mod row_table;
mod state;
mod stock_numbers;
mod terms;
mod terms_change;
mod version;
mod view;

pub use account::PasswordHash;
pub use asker::Asker;
pub use challenge::{BroughtChallenge, ChallengeKind, ChallengeTerms};
pub use command::{Command, IdempotencyKey, LineRequest, Reserve};
pub use decide::{
    Answer, Decision, HoldEnd, SaleCheck, Verdict, change_terms, decide, decide_denial_expiry, decide_expiry,
    decide_hold_end, explain, shadow_refusal, verifies_challenge,
};
pub use denial::{Denial, DenialKind, DenialsPage, is_network};
pub use digest::Digest;
pub use encoding::terms_version;
pub use event::{Event, Line, Lines, ReclaimedClaim};
pub use fact::Fact;
pub use gate_terms::{ConfirmBy, GateChange, GateField, GateMode, GateTerms, SessionTerms};
pub use ids::{Incarnation, Now, ReservationNo, ReservationRef, SaleNo, StockNo, TimeMs};
pub use incarnations::Incarnations;
pub use invalid_terms::InvalidTerms;
pub use limits::{
    ADD_MAX, COOLDOWN_MS_MAX, CUSTOMER_DETAILS_BYTES_MAX, CUSTOMER_RESERVATIONS_MAX, DENIALS_SEARCH_MAX,
    DETAILS_BYTES_MAX, HOLD_SEARCH_MAX, HOLD_TTL_MS_MAX, HOLDS_UNPAID_MAX_MAX, KEY_BYTES_MAX, LINES_MAX,
    Limits, NAME_BYTES_MAX, PANES_MAX, PASSWORD_HASH_BYTES_MAX, PER_CUSTOMER_MAX_MAX, QUANTITY_MAX,
    QUANTITY_TOTAL_MAX, REASON_BYTES_MAX, ROW_BYTES_MAX, ROW_KEY_CHARACTERS_MAX, ROWS_BYTES_MAX,
    ROWS_PER_PUT_MAX, SESSION_MS_MAX, SPAN_MS_MAX, STOCKS_PER_PAGE_MAX, STOCKS_PER_SALE_MAX,
    TERMS_TIME_MS_MAX, TIME_MS_MAX, TITLE_BYTES_MAX,
};
pub use name::{NAME_ALPHABET, NAME_RULE, NEW_NAME_RULE, is_name, is_new_name};
pub use precondition::{Precondition, Unmet};
pub use refusal::{Ceiling, Refusal};
pub use refusal_code::RefusalCode;
pub use rfc3339::{parse_rfc3339, write_rfc3339};
pub use row::{ROW_KEY_RULE, Row, RowLine, is_row_key, row_line_bytes};
pub use row_collection::RowCollection;
pub use state::{ClaimKeys, LOOK_AHEAD_MAX, SaleImage, State};
pub use stock_numbers::StockNumbers;
pub use terms::{SaleTerms, StockTerms, WindowShape};
pub use terms_change::{TermsChange, TermsField};
pub use version::{SaleVersion, TermsVersion};
pub use view::{
    ReservationStatus, ReservationView, SaleStatus, SaleView, SalesPage, StockView, UnitTotals, WindowView,
};
