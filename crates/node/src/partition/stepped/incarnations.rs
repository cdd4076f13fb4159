//! What an older copy of a partition's log comes to: nothing that it makes is taken for what was made since.

use onrush_core::ReservationRef;

use super::{Rig, code, on_every_log};
use crate::{Asker, Call, Name, Outcome};

/// Reserves, and gives the id that the client gets.
fn reserve(rig: &mut Rig, customer: &str) -> String {
    match rig.reserve("s", customer).unwrap() {
        Outcome::Reserved { reservation, .. } => id(rig, reservation),
        other => panic!("{other:?}"),
    }
}

fn id(rig: &Rig, reservation: ReservationRef) -> String {
    let id = rig.partition.reservation_ids().write(reservation);
    String::from_utf8(id.to_vec()).unwrap()
}

/// What reading the reservation of this id comes to.
fn read(rig: &mut Rig, id: &str) -> String {
    let reservation = rig.partition.reservation_ids().read(id).expect("an id of this partition");
    let reply = rig.call(Call::ReadReservation { sale: Name::from("s"), reservation, asker: Asker::Anyone });
    match reply {
        Ok(Outcome::Reservation(view)) => view.customer,
        reply => code(&reply).to_owned(),
    }
}

#[test]
fn an_older_copy_that_goes_on_gives_other_ids() {
    on_every_log(|log| {
        let mut first = Rig::on(log);
        first.put_sale("s", 100, 60_000);
        let kept = reserve(&mut first, "kept");
        let copy = log.copy();
        let lost = [reserve(&mut first, "lost"), reserve(&mut first, "gone")];
        first.close();

        let mut given = vec![kept.clone(), lost[0].clone(), lost[1].clone()];
        for round in 0..3 {
            let log = &copy.copy();
            let mut restored = Rig::on(log);
            assert_eq!(read(&mut restored, &kept), "kept");
            let new = [reserve(&mut restored, "new"), reserve(&mut restored, "newer")];
            for id in &lost {
                assert_eq!(read(&mut restored, id), "reservation_not_found", "round {round}");
                let reservation = restored.partition.reservation_ids().read(id).unwrap();
                let sale = Name::from("s");
                let release =
                    restored.call(Call::Release { sale: sale.clone(), reservation, asker: Asker::Anyone });
                assert_eq!(code(&release), "reservation_not_found");
                let confirm = restored.call(Call::Confirm { sale, reservation, asker: Asker::Anyone });
                assert_eq!(code(&confirm), "reservation_not_found");
            }
            assert_eq!(restored.figures("s"), (3, 0), "nobody else's units were given back");
            given.extend(new.clone());
            // They stay good over a restart, and what comes then is of yet another incarnation.
            restored.close();
            let mut again = Rig::on(log);
            assert_eq!([read(&mut again, &new[0]), read(&mut again, &new[1])], ["new", "newer"]);
            given.push(reserve(&mut again, "newest"));
        }
        let count = given.len();
        given.sort();
        given.dedup();
        assert_eq!(given.len(), count, "an id was given twice");
    });
}

#[test]
fn a_partition_that_decides_nothing_begins_nothing() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.put_sale("s", 100, 0);
        let digest = rig.close();
        let offset = Rig::on(log).recovered.offset;
        assert_eq!(Rig::on(log).close(), digest);
        let mut third = Rig::on(log);
        assert_eq!(third.recovered.offset, offset);
        assert_eq!(code(&third.call(Call::ReadSale { sale: Name::from("s") })), "done");
        assert_eq!(third.close(), digest);
    });
}
