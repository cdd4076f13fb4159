//! The denylist of a whole partition: every reader has it when it is answered and not before, and it is kept over a restart.

use std::net::IpAddr;
use std::time::Duration;

use onrush_core::{Denial, DenialKind};

use super::{Rig, START_MS, code, on_every_log};
use crate::{Call, Name, Outcome};

fn deny(kind: DenialKind, value: &str, expires_at: Option<u64>) -> Call {
    Call::Deny(Box::new(Denial { kind, value: value.into(), reason: "a bot".into(), expires_at }))
}

fn undeny(kind: DenialKind, value: &str) -> Call {
    Call::Undeny { kind, value: Name::from(value) }
}

fn denies(rig: &Rig, address: &str, wall: u64) -> bool {
    rig.partition.denies_address(address.parse::<IpAddr>().unwrap(), wall)
}

fn listed(rig: &mut Rig) -> Vec<String> {
    match rig.call(Call::ListDenials { after: None, count_max: 10 }) {
        Ok(Outcome::Denials(page)) => page.denials.iter().map(|denial| denial.value.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_denial_is_in_force_when_it_is_answered_and_not_before() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        let told = rig.submit(deny(DenialKind::Customer, "ada", None));
        assert!(told.take().is_none());
        assert!(!rig.partition.denies_customer("ada", START_MS), "it is not durable yet");
        rig.write();
        assert!(matches!(told.take(), Some(Ok(Outcome::DenialPut { created: true, .. }))));
        assert!(rig.partition.denies_customer("ada", START_MS));
        assert!(!rig.partition.denies_customer("eve", START_MS));
        rig.call(deny(DenialKind::Address, "192.0.2.0/24", None)).unwrap();
        assert!(denies(&rig, "192.0.2.7", START_MS) && denies(&rig, "::ffff:192.0.2.7", START_MS));
        assert!(!denies(&rig, "192.0.3.7", START_MS));
        assert_eq!(rig.metrics().denial_count, 2);
        assert!(matches!(rig.call(undeny(DenialKind::Address, "192.0.2.0/24")), Ok(Outcome::DenialRemoved)));
        assert!(!denies(&rig, "192.0.2.7", START_MS));
        assert_eq!(code(&rig.call(undeny(DenialKind::Address, "192.0.2.0/24"))), "denial_not_found");
        assert_eq!(code(&rig.call(deny(DenialKind::Address, "192.0.2.7/24", None))), "invalid_request");
    });
}

#[test]
fn sessions_end_when_it_is_answered_and_stay_so_over_a_restart() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        let ends = |rig: &Rig, began_at| rig.partition.ends_session("ada", began_at);
        let told = rig.submit(deny(DenialKind::Session, "ada", None));
        assert!(!ends(&rig, START_MS), "it is not durable yet");
        rig.write();
        assert!(matches!(told.take(), Some(Ok(Outcome::DenialPut { created: true, .. }))));
        let check = |rig: &Rig| {
            assert!(ends(rig, START_MS) && ends(rig, 0), "what had begun is over");
            assert!(!ends(rig, START_MS + 1), "what begins later is not");
            assert_eq!(rig.partition.sessions_ended_at("ada"), Some(START_MS));
            assert_eq!(rig.partition.sessions_ended_at("eve"), None);
            assert!(!rig.partition.denies_customer("ada", START_MS));
        };
        check(&rig);
        let digest = rig.close();
        let again = Rig::on(log);
        check(&again);
        assert_eq!(again.close(), digest);
    });
}

#[test]
fn denials_outlast_a_restart() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        rig.call(deny(DenialKind::Customer, "ada", None)).unwrap();
        rig.call(deny(DenialKind::Customer, "eve", None)).unwrap();
        rig.call(deny(DenialKind::Address, "2001:db8::/32", Some(START_MS + 60_000))).unwrap();
        rig.call(undeny(DenialKind::Customer, "eve")).unwrap();
        let digest = rig.close();
        let mut again = Rig::on(log);
        assert!(again.partition.denies_customer("ada", START_MS));
        assert!(!again.partition.denies_customer("eve", START_MS));
        assert!(denies(&again, "2001:db8::7", START_MS) && !denies(&again, "2001:db8::7", START_MS + 60_000));
        assert_eq!(listed(&mut again), ["ada", "2001:db8::/32"]);
        assert_eq!(again.close(), digest);
    });
}

#[test]
fn a_denial_that_is_over_denies_nobody_and_is_forgotten() {
    on_every_log(|log| {
        let mut rig = Rig::on(log);
        for number in 0..600 {
            let value = format!("customer-{number}");
            rig.partition.call(deny(DenialKind::Customer, &value, Some(START_MS + 60_000)), |reply| {
                assert!(reply.is_ok());
            });
        }
        rig.call(deny(DenialKind::Customer, "eve", None)).unwrap();
        rig.clock.pass(Duration::from_secs(59));
        rig.add("home").unwrap();
        assert_eq!(rig.metrics().denial_count, 601);
        rig.clock.pass(Duration::from_secs(1));
        assert!(!rig.partition.denies_customer("customer-7", START_MS + 60_000));
        assert!(rig.partition.denies_customer("eve", START_MS + 60_000));
        assert_eq!(listed(&mut rig), ["eve"]);
        // A turn forgets some of them, and nobody has to call for that.
        for _ in 0..3 {
            rig.add("home").unwrap();
        }
        assert_eq!(rig.metrics().denial_count, 1);
        let digest = rig.close();
        assert_eq!(Rig::on(log).close(), digest);
    });
}
