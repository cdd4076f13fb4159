//! What customers ask for, and what they get.

use crate::error::Error;
use crate::generated;

/// What one customer asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim(pub(crate) generated::Claim);

/// So many units of one stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the stock.
    pub stock: String,
    /// 1 to 1,000.
    pub quantity: u32,
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationStatus {
    /// Its units are set aside for a while.
    Held,
    /// Its units are the customer's.
    Confirmed,
    /// Somebody gave its units back.
    Released,
    /// Its time was over, so its units went back.
    Expired,
}

/// A reservation without what its claim says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its id.
    pub reservation: String,
    /// Where it stands.
    pub status: ReservationStatus,
    /// When it was made, milliseconds since 1970 in UTC.
    pub created_at_ms: u64,
    /// When it expires, the same; only while it is held.
    pub expires_at_ms: Option<u64>,
    /// Whether an earlier claim with this key made it. Then look at its status before you charge.
    pub replayed: bool,
}

/// One customer's reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Its id.
    pub reservation: String,
    /// The name of its sale.
    pub sale: String,
    /// Who reserved.
    pub customer: String,
    /// Where it stands.
    pub status: ReservationStatus,
    /// In the order in which they were asked for.
    pub lines: Vec<Line>,
    /// A JSON object, as it came; empty if there was none.
    pub details: Vec<u8>,
    /// When it was made, milliseconds since 1970 in UTC.
    pub created_at_ms: u64,
    /// When it expires, the same; only while it is held.
    pub expires_at_ms: Option<u64>,
}

impl Claim {
    /// Of this customer; nothing yet.
    #[must_use]
    pub fn of(customer: impl Into<String>) -> Self {
        Self(generated::Claim { customer: customer.into(), ..generated::Claim::default() })
    }

    /// With so many units of a stock more. A claim has 1 to 16 lines, each of another stock.
    #[must_use]
    pub fn line(mut self, stock: impl Into<String>, quantity: u32) -> Self {
        self.0.lines.push(generated::Line { stock: stock.into(), quantity });
        self
    }

    /// With a key by which a retry finds the reservation: 1 to 128 printable ASCII characters.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.idempotency_key = key.into();
        self
    }

    /// With a JSON object of at most 4 KiB that is kept with the reservation.
    #[must_use]
    pub fn details(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.0.details = json.into();
        self
    }

    /// With a challenge and its answer, as the HTTP API takes them.
    #[must_use]
    pub fn challenge(mut self, challenge: impl Into<String>) -> Self {
        self.0.challenge = challenge.into();
        self
    }
}

impl TryFrom<i32> for ReservationStatus {
    type Error = Error;

    fn try_from(status: i32) -> Result<Self, Error> {
        match generated::ReservationStatus::try_from(status) {
            Ok(generated::ReservationStatus::Held) => Ok(Self::Held),
            Ok(generated::ReservationStatus::Confirmed) => Ok(Self::Confirmed),
            Ok(generated::ReservationStatus::Released) => Ok(Self::Released),
            Ok(generated::ReservationStatus::Expired) => Ok(Self::Expired),
            Ok(generated::ReservationStatus::Unspecified) | Err(_) => {
                Err(Error::Senseless("a reservation has a status that this client does not know"))
            }
        }
    }
}

impl TryFrom<generated::Reserved> for Made {
    type Error = Error;

    fn try_from(reserved: generated::Reserved) -> Result<Self, Error> {
        let generated::Reserved { reservation, status, created_at_ms, expires_at_ms, replayed } = reserved;
        Ok(Self { reservation, status: status.try_into()?, created_at_ms, expires_at_ms, replayed })
    }
}

impl TryFrom<Option<generated::Reservation>> for Reservation {
    type Error = Error;

    fn try_from(reservation: Option<generated::Reservation>) -> Result<Self, Error> {
        let found = reservation.ok_or(Error::Senseless("a reservation is missing"))?;
        let line = |line: generated::Line| Line { stock: line.stock, quantity: line.quantity };
        Ok(Self {
            reservation: found.reservation,
            sale: found.sale,
            customer: found.customer,
            status: found.status.try_into()?,
            lines: found.lines.into_iter().map(line).collect(),
            details: found.details,
            created_at_ms: found.created_at_ms,
            expires_at_ms: found.expires_at_ms,
        })
    }
}
