//! Data directories as earlier versions left them: they open with what was in them, and go on.
//!
//! `golden/directory-v1` was written by the last version of format 1, `golden/directory-v2` by the first one of format 2 in which a
//! process begins an incarnation. Each was made through the API by one history: two counters, two windows, holds that were
//! confirmed, released and left, one that expired, changed terms, a sale that was archived, then so many reservations that a
//! snapshot was taken, a restart, and a few calls behind it. A directory is kept for as long as its format is read.
//!
//! Files are stored without their long runs of one byte: a number of bytes (32 bits, the lowest first), the bytes, a number, and
//! the byte that is repeated so often; then the next.

mod support;

use onrush_core::{ReservationStatus, TimeMs};
use onrush_log::file::faulty::FaultyStorage;
use onrush_node::{Asker, Call, Name, Outcome};
use support::{Rig, code, reserve};

/// Within the time of every hold that was left.
const SOON_MS: u64 = 60_000;

/// Behind the time of every hold that was left.
const LATE_MS: u64 = 700_000;

macro_rules! stored {
    ($directory:literal, $name:literal) => {
        ($name, include_bytes!(concat!("../golden/", $directory, "/", $name, ".runs")))
    };
}

/// A directory, and what the version that wrote it answered.
struct Earlier {
    segments: [(&'static str, &'static [u8]); 2],
    snapshot: (&'static str, &'static [u8]),
    snapshot_offset: u64,
    /// As it was computed then, and stands in the snapshot.
    snapshot_digest: &'static str,
    offset: u64,
    digest: &'static str,
    /// When the first reservation was made.
    begun_at: TimeMs,
    /// The ids of the reservations of ann, bob, cat, dan, eve and fay.
    ids: [&'static str; 6],
    /// Units that the sale of the filling has confirmed.
    filled: u32,
}

fn earlier() -> [Earlier; 2] {
    [
        Earlier {
            segments: [
                stored!("directory-v1", "00000000000000000000-0000000001.seg"),
                stored!("directory-v1", "00000000000000000280-0000000002.seg"),
            ],
            snapshot: stored!("directory-v1", "00000000000000000280.snap"),
            snapshot_offset: 280,
            snapshot_digest: "10b0e1bf1883c009ecd074fc7b52b377",
            offset: 300,
            digest: "e4b8828643ae0282afc06bb9335dd146",
            begun_at: 1_795_697_030_306,
            ids: [
                "5aj8ajsm8ps3vk433axgp0c8pg",
                "4v8hvse8s0sz62hq9b6qh372fq",
                "0kcx3hq2ecj1t2tttyhddvy3a9",
                "7edk8zv4mqjwqpptcf5arvxw9g",
                "7z0te1xm68zx7g47nyrbsx40v1",
                "5h6ja94e8n719pb93x911pxtg5",
            ],
            filled: 23,
        },
        Earlier {
            segments: [
                stored!("directory-v2", "00000000000000000000-0000000001.seg"),
                stored!("directory-v2", "00000000000000000280-0000000002.seg"),
            ],
            snapshot: stored!("directory-v2", "00000000000000000280.snap"),
            snapshot_offset: 280,
            snapshot_digest: "a46b0df5bfc89d6a183fdaf63e88cd94",
            offset: 303,
            digest: "a4b9e99226bd0f67774ff6d85692bd61",
            begun_at: 1_795_697_033_776,
            ids: [
                "13j9e2ja3q0wy58mxq3bsq4w32",
                "0k02zngxgcv9pye0a81hy5ffra",
                "3etjwwzjexmw678v2yzme1094p",
                "7224mxepygy1sj9mebtwy7gsyp",
                "3411kkj94wsd25tcj8gagdrdht",
                "0z1ch5h9m9fd7sr9f4xw6cy2sz",
            ],
            filled: 25,
        },
    ]
}

/// The bytes of a file that is stored without its runs.
fn unpacked(mut stored: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !stored.is_empty() {
        let plain = count(&mut stored);
        bytes.extend_from_slice(stored.split_off(..plain).unwrap());
        let run = count(&mut stored);
        bytes.resize(bytes.len() + run, *stored.split_off_first().unwrap());
    }
    bytes
}

fn count(stored: &mut &[u8]) -> usize {
    let count = stored.split_off(..4).unwrap();
    u32::from_le_bytes(count.try_into().unwrap()) as usize
}

impl Earlier {
    fn disk(&self, with_snapshot: bool) -> FaultyStorage {
        let disk = FaultyStorage::new();
        for (name, stored) in self.segments.iter().chain(with_snapshot.then_some(&self.snapshot)) {
            disk.put(name, &unpacked(stored));
        }
        disk
    }

    /// What was in it is still there, `after_ms` behind the first reservation.
    #[track_caller]
    fn check_content(&self, rig: &Rig, after_ms: u64) {
        use ReservationStatus::{Confirmed, Expired, Held, Released};
        assert_eq!((rig.counter("visits").unwrap(), rig.counter("votes:a").unwrap()), (5, 1));
        let left = if after_ms < LATE_MS { Held } else { Expired };
        for (id, sale, customer, status, lines) in [
            (self.ids[0], "concert", "ann", left, &[("floor", 2)][..]),
            (self.ids[1], "concert", "bob", Confirmed, &[("seats", 1)]),
            (self.ids[2], "concert", "cat", Released, &[("floor", 1)]),
            (self.ids[3], "concert", "dan", left, &[("floor", 1), ("seats", 2)]),
            (self.ids[4], "short", "eve", Expired, &[("only", 5)]),
            (self.ids[5], "concert", "fay", left, &[("floor", 3)]),
        ] {
            let reservation = rig.partition.reservation_ids().read(id).expect("an id of this log");
            let read =
                rig.call(Call::ReadReservation { sale: Name::from(sale), reservation, asker: Asker::Anyone });
            let Ok(Outcome::Reservation(view)) = read else { panic!("{id}: {read:?}") };
            assert_eq!((view.sale.as_str(), view.customer.as_str(), view.status), (sale, customer, status));
            let lines_seen: Vec<_> =
                view.lines.iter().map(|(stock, units)| (stock.as_str(), *units)).collect();
            assert_eq!(lines_seen, lines, "{customer}");
            let details: &[u8] = if customer == "ann" { br#"{"seat":"any"}"# } else { b"" };
            assert_eq!(view.details, details, "{customer}");
        }
    }

    /// Terms and figures of the sales, before anything is done.
    #[track_caller]
    fn check_sales(&self, rig: &Rig) {
        let sale = |name: &str| match rig.call(Call::ReadSale { sale: Name::from(name) }) {
            Ok(Outcome::Sale(view)) => view,
            other => panic!("{name}: {other:?}"),
        };
        let concert = sale("concert");
        assert_eq!((concert.title.as_str(), concert.per_customer_max), ("A concert", Some(5)));
        assert_eq!(concert.hold_ttl_ms, 600_000);
        let [floor, seats] = &concert.stocks[..] else { panic!("{concert:?}") };
        let (floor, seats) = if floor.stock == "floor" { (floor, seats) } else { (seats, floor) };
        assert_eq!((floor.title.as_str(), floor.starts_at), ("Standing", None));
        assert_eq!((floor.quantity_total, floor.quantity_held, floor.quantity_confirmed), (600, 6, 0));
        assert_eq!((seats.starts_at, seats.ends_at), (Some(1_893_524_400_000), Some(1_893_535_200_000)));
        assert_eq!((seats.quantity_total, seats.quantity_held, seats.quantity_confirmed), (40, 2, 1));
        let later = sale("later");
        assert_eq!((later.opens_at, later.closes_at), (Some(4_102_444_800_000), Some(4_102_531_200_000)));
        assert_eq!(rig.figures("more"), (0, self.filled));
        let archived = rig.call(Call::ReadSale { sale: Name::from("filling") });
        assert_eq!(code(&archived), "sale_not_found");
        for (window, count, span_ms, precision_ms) in
            [("logins", 1, 60_000, 1000), ("requests", 2, 60_000, 100)]
        {
            let read = rig.call(Call::ReadWindow { window: Name::from(window) });
            let Ok(Outcome::Window { count: seen, shape }) = read else { panic!("{window}: {read:?}") };
            assert_eq!((seen, shape.span_ms, shape.precision_ms), (count, span_ms, precision_ms), "{window}");
        }
    }
}

#[test]
fn what_was_in_a_directory_is_there_and_its_digest_is_the_same() {
    for earlier in earlier() {
        // Behind the snapshot, whose own digest is compared as it is read; and from the first record on.
        for with_snapshot in [true, false] {
            let rig = Rig::at(earlier.disk(with_snapshot), earlier.begun_at + SOON_MS / 2);
            assert_eq!(rig.recovered.snapshot_offset, with_snapshot.then_some(earlier.snapshot_offset));
            assert_eq!((rig.recovered.offset, rig.recovered.torn_at.clone()), (earlier.offset, None));
            earlier.check_sales(&rig);
            earlier.check_content(&rig, SOON_MS);
            assert_eq!(rig.close().1.to_string(), earlier.digest);
        }
    }
}

#[test]
fn the_log_alone_leads_to_the_digest_that_was_computed_then() {
    for earlier in earlier() {
        let disk = FaultyStorage::new();
        let (name, stored) = earlier.segments[0];
        disk.put(name, &unpacked(stored));
        let rig = Rig::at(disk, earlier.begun_at);
        assert_eq!((rig.recovered.snapshot_offset, rig.recovered.offset), (None, earlier.snapshot_offset));
        assert_eq!(rig.close().1.to_string(), earlier.snapshot_digest);
    }
}

#[test]
fn a_directory_goes_on_in_the_newest_format() {
    for earlier in earlier() {
        let rig = Rig::at(earlier.disk(true), earlier.begun_at + SOON_MS);
        let again = rig.call(Call::Reserve(reserve("concert", "ann", Some("5f0c1c1e"))));
        assert_eq!(code(&again), "idempotency_key_reused", "the key of other lines is remembered");
        rig.put_sale("new", 3, 60_000);
        let Ok(Outcome::Reserved { reservation, .. }) = rig.reserve("new", "gus") else { panic!("refused") };
        let id = rig.partition.reservation_ids().write(reservation);
        let (disk, digest) = rig.close();

        let rig = Rig::at(disk.after_power_cut(|| false), earlier.begun_at + SOON_MS);
        earlier.check_content(&rig, SOON_MS);
        let read = rig.partition.reservation_ids().read(str::from_utf8(&id).unwrap());
        assert_eq!((read, rig.figures("new")), (Some(reservation), (1, 0)));
        let (disk, same) = rig.close();
        assert_eq!(same, digest);

        let rig = Rig::at(disk, earlier.begun_at + LATE_MS);
        rig.await_decided();
        assert_eq!(rig.figures("new"), (0, 0));
        earlier.check_content(&rig, LATE_MS);
        drop(rig.close());
    }
}
