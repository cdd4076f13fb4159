//! Every ceiling of the core, and what happens at it. Unless a constant says otherwise, a command with more is refused
//! as invalid, with the field and the bound, and nothing changes.

/// Bytes in the name of a counter, window, sale, stock or customer; at least 1. A longer name is refused as invalid.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes in the title of a sale or a stock. Terms with a longer one are refused.
pub const TITLE_BYTES_MAX: usize = 256;
/// Lines in one reservation; at least 1. With more it is refused.
pub const LINES_MAX: usize = 16;
/// Units in one line; at least 1. With more the reservation is refused.
pub const QUANTITY_MAX: u32 = 1_000;
/// Bytes of the details of one reservation. With more it is refused.
pub const DETAILS_BYTES_MAX: usize = 4_096;
/// Bytes of an idempotency key; at least 1. With a longer one the reservation is refused.
pub const KEY_BYTES_MAX: usize = 128;
/// What one command may add to a counter; at least 1. A command with more is refused.
pub const ADD_MAX: u32 = 1_000_000;
/// Bytes of the reason of a denial.
pub const REASON_BYTES_MAX: usize = 256;
/// The longest that a session of a customer may last: 30 days, in milliseconds. So long it is known that sessions of a customer were
/// ended; what is written of it follows from this number, so that it never changes.
pub const SESSION_MS_MAX: u64 = 30 * 24 * 60 * 60 * 1_000;
/// Bytes of what a password is checked against; at least 1. An account with a longer one is refused.
pub const PASSWORD_HASH_BYTES_MAX: usize = 128;
/// Characters in the key of a row of the catalogue; at least 1. A row with a longer one is refused.
pub const ROW_KEY_CHARACTERS_MAX: usize = 128;
/// Bytes of the JSON of a row; at least 1. A row with more is refused.
pub const ROW_BYTES_MAX: usize = 16 << 10;
/// Rows that one command may put; at least 1. With more it is refused.
pub const ROWS_PER_PUT_MAX: usize = 10_000;
/// Bytes of those rows together, each as [`crate::row_line_bytes`] counts it. With more the command is refused: they become one
/// record of the log.
pub const ROWS_BYTES_MAX: usize = 3 << 19;
/// Denials that one page of the list looks at. At it the page ends, and the next one goes on behind it: those that are over and
/// not yet forgotten are passed over, and there can be many.
pub const DENIALS_SEARCH_MAX: usize = 1_000;
/// Reservations of one customer that are listed: the newest ones. Older ones are found by their ids.
pub const CUSTOMER_RESERVATIONS_MAX: usize = 1_000;
/// Bytes of details in that list after which it ends. Older reservations are found by their ids.
pub const CUSTOMER_DETAILS_BYTES_MAX: usize = 128 << 10;
/// Stocks in a page of sales after which it ends, whatever was asked for: copying them holds up whoever decides. The next
/// page goes on there.
pub const STOCKS_PER_PAGE_MAX: usize = 1_000;
/// Stocks in one sale; at least 1. Terms with more are refused.
pub const STOCKS_PER_SALE_MAX: usize = 1_000;
/// Units in one stock. Terms with more are refused.
pub const QUANTITY_TOTAL_MAX: u32 = 1_000_000_000;
/// The greatest limit per customer. Terms with a greater one are refused.
pub const PER_CUSTOMER_MAX_MAX: u32 = 1_000_000;
/// The longest hold: a day, in milliseconds. Terms with a longer one are refused.
pub const HOLD_TTL_MS_MAX: u32 = 86_400_000;
/// The longest cool-down: a day, in milliseconds. Terms with a longer one are refused.
pub const COOLDOWN_MS_MAX: u32 = 86_400_000;
/// The greatest number of unpaid holds that a sale may allow a customer. Terms with a greater one are refused.
pub const HOLDS_UNPAID_MAX_MAX: u32 = 100;
/// The longest window: a day, in milliseconds. A longer one is refused.
pub const SPAN_MS_MAX: u32 = 86_400_000;
/// The greatest `span / precision` of a window. A greater one is refused.
pub const PANES_MAX: u32 = 10_000;
/// Reservations of a sale that are looked through at once for those that are held. Whoever asked goes on behind them.
pub const HOLD_SEARCH_MAX: u32 = 1 << 16;
/// The latest time of a partition: 9999-12-31T00:00:00Z. A later `now` counts as this one.
pub const TIME_MS_MAX: u64 = 253_402_214_400_000;
/// The latest time that terms may name: 9999-12-31T23:59:59.999Z, the last with a year of four digits. Terms with a
/// later one are refused.
pub const TERMS_TIME_MS_MAX: u64 = 253_402_300_799_999;

const _: () =
    assert!(LINES_MAX * (QUANTITY_MAX as usize) < u16::MAX as usize, "a reservation's units fit 16 bits");
const _: () = assert!(HOLD_TTL_MS_MAX < 1 << 27, "a record keeps its hold in 27 bits");
const _: () = assert!(
    STOCKS_PER_SALE_MAX as u64 * (QUANTITY_TOTAL_MAX as u64) < 1 << 40,
    "a customer's units fit 40 bits"
);
const _: () = assert!(STOCKS_PER_SALE_MAX < u16::MAX as usize, "a StockNo fits 16 bits");

/// Ceilings that a user may set. They bound the memory of a partition; a command that would pass one is refused with
/// [`crate::Refusal::CeilingReached`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Counters in the partition.
    pub counters_max: u32,
    /// Windows in the partition.
    pub windows_max: u32,
    /// Sales that are not archived.
    pub sales_max: u32,
    /// Stocks of all those sales together.
    pub stocks_max: u32,
    /// Reservations of all those sales together, whatever their status.
    pub reservations_max: u32,
    /// Bytes of the details of all those reservations together.
    pub details_bytes_max: u64,
    /// Denials, of customers and of addresses together.
    pub denials_max: u32,
    /// Accounts of customers.
    pub accounts_max: u32,
    /// Bytes of the whole state, as [`crate::State::memory_bytes`] has them. Once it has as many, nothing is taken that needs
    /// more: new counters, windows, sales, denials, accounts and rows, longer terms, reasons and rows, reservations, and a request that needs room for another pane of
    /// its window. So the state passes the ceiling by what one command takes at most. What frees memory is never refused,
    /// nor is what needs none.
    pub state_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            counters_max: 100_000,
            windows_max: 10_000,
            sales_max: 200_000,
            stocks_max: 2_000_000,
            reservations_max: 50_000_000,
            details_bytes_max: 1 << 30,
            denials_max: 1_000_000,
            accounts_max: 10_000_000,
            state_bytes_max: 4 << 30,
        }
    }
}
