//! What an edge asks of a partition and what it is told: owned forms of the core's commands, answers and views.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use onrush_core::{
    BroughtChallenge, ChallengeKind, Denial, DenialKind, DenialsPage, IdempotencyKey, LineRequest,
    PasswordHash, Precondition, Refusal, ReservationRef, ReservationStatus, ReservationView, Reserve,
    RowLine, SaleCheck, SaleTerms, SaleView, SalesPage, TermsChange, TermsField, TimeMs, Verdict,
    WindowShape,
};
use smallvec::SmallVec;

use crate::RoutingKey;

/// A name; up to 24 bytes of it are stored in place.
pub type Name = CompactString;

/// A command or a read.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are named after what they hold")]
pub enum Call {
    /// Adds 1 to 1,000,000 to a counter and creates it if need be. Answer: [`Outcome::Counter`].
    AddToCounter { counter: Name, by: u32 },
    /// Answer: [`Outcome::Counter`].
    ReadCounter { counter: Name },
    /// Counts one request in a window and creates it with the settings' shape. Answer: [`Outcome::Window`].
    HitWindow { window: Name },
    /// Answer: [`Outcome::Window`].
    ReadWindow { window: Name },
    /// Answer: [`Outcome::WindowPut`].
    PutWindow { window: Name, shape: WindowShape },
    /// Answer: [`Outcome::SalePut`]. Fields in `left_out` are at their defaults in `terms`, and have to be in a sale that exists.
    PutSale { sale: Name, terms: Box<SaleTerms>, left_out: Vec<TermsField>, only_if: Precondition },
    /// Changes single fields of a sale that exists. Answer: [`Outcome::SalePut`].
    ChangeSale { sale: Name, change: Box<TermsChange>, only_if: Precondition },
    /// Ends holds of a closed sale, of the reservations from ordinal `from` on: as many as one call may. Each of them is
    /// released, or expires if its time is over. Answer: [`Outcome::HoldsEnded`].
    EndHolds { sale: Name, only_if: Precondition, from: u32 },
    /// Refused while any reservation is held. Answer: [`Outcome::SaleArchived`].
    ArchiveSale { sale: Name, only_if: Precondition },
    /// Answer: [`Outcome::Sale`].
    ReadSale { sale: Name },
    /// At most `count_max` sales with names after `after`, by name. Answer: [`Outcome::Sales`].
    ListSales { after: Option<Name>, count_max: u16 },
    /// Answer: [`Outcome::Reserved`].
    Reserve(Box<ReserveCall>),
    /// Answer: [`Outcome::Reservation`].
    Confirm { sale: Name, reservation: ReservationRef, asker: Asker },
    /// As an operator confirms, but a hold that has expired takes its units again. Answer: [`Outcome::Reservation`].
    Reclaim { sale: Name, reservation: ReservationRef },
    /// Answer: [`Outcome::Reservation`].
    Release { sale: Name, reservation: ReservationRef, asker: Asker },
    /// Answer: [`Outcome::Reservation`].
    ReadReservation { sale: Name, reservation: ReservationRef, asker: Asker },
    /// Answer: [`Outcome::Reservations`].
    ReadCustomer { sale: Name, customer: Name, asker: Asker },
    /// At most `count_max` reservations of a sale, newest first, from the one before the ordinal `before` on, or from the newest.
    /// Answer: [`Outcome::Reservations`].
    ListReservations { sale: Name, before: Option<u32>, count_max: u16 },
    /// What each rule of a sale says of one more unit for a customer. Answer: [`Outcome::Explanation`].
    Explain { sale: Name, customer: Option<Name> },
    /// Puts an entry on the denylist, or replaces the one of its kind and value. Answer: [`Outcome::DenialPut`].
    Deny(Box<Denial>),
    /// Takes it off. Answer: [`Outcome::DenialRemoved`].
    Undeny { kind: DenialKind, value: Name },
    /// Answer: [`Outcome::Denial`].
    ReadDenial { kind: DenialKind, value: Name },
    /// Looks at a challenge of a sale, which is used up by that, without a claim. Answer: [`Outcome::ChallengeVerified`].
    VerifyChallenge { sale: Name, challenge: ChallengeCall },
    /// Gives a customer an account. Answer: [`Outcome::AccountCreated`].
    CreateAccount { customer: Name, password: StoredPassword },
    /// Puts 1 to 10,000 rows into a collection of the catalogue, all or none. Answer: [`Outcome::RowsPut`].
    PutRows { collection: Name, rows: Vec<RowCall> },
    /// Takes a row out of a collection. Answer: [`Outcome::RowDeleted`].
    DeleteRow { collection: Name, key: Box<str> },
    /// Answer: [`Outcome::Account`].
    ReadAccount { customer: Name },
    /// At most `count_max` denials from the first behind `after`, by kind and value. Answer: [`Outcome::Denials`].
    ListDenials { after: Option<(DenialKind, Name)>, count_max: u16 },
    /// Makes sure that this process still decided when it was asked, which is of use where it has rivals. Answer: [`Outcome::Leads`].
    CheckLead,
}

impl Call {
    /// What it is about, by which its partition is found; nothing if it is about all sales, the denylist, accounts or the catalogue.
    pub fn routing_key(&self) -> Option<RoutingKey<'_>> {
        Some(match self {
            Self::AddToCounter { counter, .. } | Self::ReadCounter { counter } => {
                RoutingKey::Counter(counter)
            }
            Self::HitWindow { window } | Self::ReadWindow { window } | Self::PutWindow { window, .. } => {
                RoutingKey::Window(window)
            }
            Self::PutSale { sale, .. }
            | Self::ChangeSale { sale, .. }
            | Self::EndHolds { sale, .. }
            | Self::ArchiveSale { sale, .. }
            | Self::ReadSale { sale }
            | Self::VerifyChallenge { sale, .. }
            | Self::Confirm { sale, .. }
            | Self::Reclaim { sale, .. }
            | Self::Release { sale, .. }
            | Self::ReadReservation { sale, .. }
            | Self::ReadCustomer { sale, .. }
            | Self::ListReservations { sale, .. }
            | Self::Explain { sale, .. } => RoutingKey::Sale(sale),
            Self::Reserve(call) => RoutingKey::Sale(&call.sale),
            Self::ListSales { .. }
            | Self::Deny(_)
            | Self::Undeny { .. }
            | Self::ReadDenial { .. }
            | Self::CreateAccount { .. }
            | Self::PutRows { .. }
            | Self::DeleteRow { .. }
            | Self::ReadAccount { .. }
            | Self::CheckLead
            | Self::ListDenials { .. } => return None,
        })
    }
}

/// Who asks; see [`onrush_core::Asker`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the core's")]
pub enum Asker {
    #[default]
    Anyone,
    Expired,
    Customer(Name),
    Operator,
}

/// A [`PasswordHash`] that is kept. It shows in no text.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(pub Box<[u8]>);

impl fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PasswordHash(&self.0).fmt(f)
    }
}

impl Asker {
    pub(crate) fn as_core(&self) -> onrush_core::Asker<'_> {
        match self {
            Self::Anyone => onrush_core::Asker::Anyone,
            Self::Expired => onrush_core::Asker::Expired,
            Self::Customer(name) => onrush_core::Asker::Customer(name),
            Self::Operator => onrush_core::Asker::Operator,
        }
    }
}

/// A claim of one customer; comes back with the answer, so that the edge can write it out without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveCall {
    /// The sale's name.
    pub sale: Name,
    /// Who asks.
    pub asker: Asker,
    /// Who reserves.
    pub customer: Name,
    /// 1 to 16 lines.
    pub lines: SmallVec<[LineCall; 1]>,
    /// A JSON object of at most 4 KiB, as it came; empty if there was none.
    pub details: Box<[u8]>,
    /// What it brings of a challenge.
    pub challenge: ChallengeCall,
    /// The client's `Idempotency-Key` and the fingerprint of what it stands for.
    pub key: Option<KeyCall>,
}

/// What a claim brings of a challenge, as far as whoever makes challenges can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChallengeCall {
    /// Nothing.
    #[default]
    Missing,
    /// Nothing that was ever given out, or what is over by now.
    Unreadable,
    /// An answer to the challenge of this number, right or wrong. No two challenges that a process gives out have the same number.
    #[allow(missing_docs, reason = "the fields are named after what they hold")]
    Answered { number: u64, kind: ChallengeKind, is_solved: bool },
}

impl ChallengeCall {
    /// That of the challenge that is used up when it is verified.
    pub(crate) fn number(self) -> Option<u64> {
        match self {
            Self::Missing | Self::Unreadable => None,
            Self::Answered { number, .. } => Some(number),
        }
    }
}

/// So many units of one stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineCall {
    /// The stock's name.
    pub stock: Name,
    /// 1 to 1,000.
    pub quantity: u32,
}

/// A row of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCall {
    /// 1 to 128 printable characters.
    pub key: Box<str>,
    /// A JSON object of at most 16 KiB, as it came.
    pub json: Box<[u8]>,
}

impl RowCall {
    pub(crate) fn as_core(&self) -> RowLine<'_> {
        RowLine { key: &self.key, json: &self.json }
    }
}

/// An idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCall {
    /// 1 to 128 bytes.
    pub key: Name,
    /// A stable hash of customer, lines and details.
    pub fingerprint: u64,
}

impl ReserveCall {
    /// Lends the claim, which brings this of a challenge, to `use_it` in the form that the core reads.
    pub(crate) fn with_command<R>(
        &self,
        challenge: BroughtChallenge,
        use_it: impl FnOnce(Reserve<'_>) -> R,
    ) -> R {
        let lines: SmallVec<[LineRequest<'_>; 4]> = self
            .lines
            .iter()
            .map(|line| LineRequest { stock: &line.stock, quantity: line.quantity })
            .collect();
        use_it(Reserve {
            sale: &self.sale,
            asker: self.asker.as_core(),
            customer: &self.customer,
            lines: &lines,
            details: &self.details,
            challenge,
            key: self
                .key
                .as_ref()
                .map(|k| IdempotencyKey { key: k.key.as_bytes(), fingerprint: k.fingerprint }),
        })
    }
}

/// The end of a call.
pub type Reply = Result<Outcome, Failure>;

/// What a call that was not refused brought.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are named after what they hold")]
pub enum Outcome {
    /// The counter's total.
    Counter { value: u64 },
    /// The window's count.
    Window { count: u64, shape: WindowShape },
    /// The window has the shape; `created` if it is new.
    WindowPut { created: bool, shape: WindowShape },
    /// A sale as it is.
    Sale(Box<SaleView>),
    /// The sale as it is now; `created` if it is new.
    SalePut { created: bool, sale: Box<SaleView> },
    /// So many holds were ended as one call may; `next` is where the next call goes on, if there can be more.
    HoldsEnded { next: Option<u32> },
    /// The sale is gone.
    SaleArchived,
    /// Sales by name.
    Sales(SalesPage),
    /// The claim was made, now or, if `replayed`, by an earlier call with this key; `status` and `expires_at` (only while it is
    /// held) say where it stands now.
    Reserved {
        reservation: ReservationRef,
        status: ReservationStatus,
        created_at: TimeMs,
        expires_at: Option<TimeMs>,
        replayed: bool,
        call: Box<ReserveCall>,
    },
    /// A reservation as it is.
    Reservation(Box<ReservationView>),
    /// The newest 1,000 reservations of a customer in a sale, oldest first; or some of a sale, newest first.
    Reservations(Vec<ReservationView>),
    /// What each rule says, in the order in which they are asked.
    Explanation(Vec<(SaleCheck, Verdict)>),
    /// The denial is on the list as it is here; `created` if nobody of that kind and value was denied.
    DenialPut { created: bool, denial: Arc<Denial> },
    /// It is off the list.
    DenialRemoved,
    /// The challenge was solved, and not used before.
    ChallengeVerified,
    /// It did.
    Leads,
    /// The customer has an account.
    AccountCreated,
    /// The rows are in the collection, whose version is this now.
    RowsPut { version: u64 },
    /// The row is out of the collection, whose version is this now.
    RowDeleted { version: u64 },
    /// What the customer's password is checked against; nothing if the customer has no account.
    Account(Option<StoredPassword>),
    /// A denial that is not over.
    Denial(Arc<Denial>),
    /// Denials that are not over.
    Denials(DenialsPage),
}

/// Why a call brought nothing. Grouped by what the caller can do about it.
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are named after what they hold")]
pub enum Failure {
    /// A business "no": ask for something else. `call` is the claim, if it was one.
    Refused { refusal: Refusal, call: Option<Box<ReserveCall>> },
    /// Too many calls are waiting: try again shortly. Nothing was done.
    Overloaded,
    /// The log cannot take writes now (full or failing disk): try again later. Whether the call was done is unknown only if the log failed while it was being written.
    LogUnavailable,
    /// The server is stopping: try another or later. Nothing was done.
    Draining,
    /// Another node decides: ask that one. Nothing was done.
    NotLeader,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_the_key_of_what_it_is_about() {
        let name = || Name::from("one");
        let reservation = onrush_core::ReservationNo { sale: onrush_core::SaleNo(0), seq: 0 }.into();
        let claim = ReserveCall {
            sale: name(),
            asker: Asker::Anyone,
            customer: Name::from("ann"),
            lines: SmallVec::new(),
            details: Box::default(),
            challenge: ChallengeCall::Missing,
            key: None,
        };
        for (call, key) in [
            (Call::AddToCounter { counter: name(), by: 1 }, Some(RoutingKey::Counter("one"))),
            (Call::ReadWindow { window: name() }, Some(RoutingKey::Window("one"))),
            (Call::ReadSale { sale: name() }, Some(RoutingKey::Sale("one"))),
            (Call::Reserve(Box::new(claim)), Some(RoutingKey::Sale("one"))),
            (
                Call::Confirm { sale: name(), reservation, asker: Asker::Anyone },
                Some(RoutingKey::Sale("one")),
            ),
            (
                Call::ReadCustomer { sale: name(), customer: Name::from("ann"), asker: Asker::Anyone },
                Some(RoutingKey::Sale("one")),
            ),
            (Call::ListSales { after: Some(name()), count_max: 1 }, None),
        ] {
            assert_eq!(call.routing_key(), key, "{call:?}");
        }
    }
}
