//! Several limits at once.

use super::*;

fn limits(settings: RateLimitSettings) -> RateLimits {
    RateLimits::new(&settings, RandomState::new()).expect("some limit is on")
}

fn rate(text: &str) -> Option<Rate> {
    text.parse().ok()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Both algorithms, with these rates for reserving.
fn both(reserve: GroupRates) -> [RateLimits; 2] {
    [Algorithm::Bucket, Algorithm::Window].map(|algorithm| {
        limits(RateLimitSettings { algorithm, keys_max: 1_000, reserve, pages: GroupRates::default() })
    })
}

#[test]
fn without_a_rate_there_are_no_limits() {
    assert!(RateLimits::new(&RateLimitSettings::default(), RandomState::new()).is_none());
}

#[test]
fn a_network_of_64_bits_is_one_client() {
    for limits in both(GroupRates { address: rate("1/s burst 1"), ..GroupRates::default() }) {
        let is_admitted = |address| limits.take(RouteGroup::Reserve, ip(address), 0).is_ok();
        assert!(is_admitted("2001:db8:0:1::1") && !is_admitted("2001:db8:0:1:ffff::2"));
        assert!(is_admitted("2001:db8:0:2::1"));
        assert!(is_admitted("192.0.2.1") && !is_admitted("::ffff:192.0.2.1") && is_admitted("192.0.2.2"));
        assert!(is_admitted("::c000:203"), "an address of IPv6 is none of IPv4");
    }
}

#[test]
fn the_first_refusal_wins_and_nothing_is_taken_of_the_others() {
    let (address, route, customer) = (rate("30/m burst 3"), rate("1/m burst 2"), rate("1/m burst 1"));
    let rates = GroupRates { address, route, customer };
    for limits in both(rates) {
        let ask = |address, customer| -> Result<u32, Limited> {
            let mut taken = limits
                .take(RouteGroup::Reserve, ip(address), 7)
                .map_err(|refused| refused.standing.limited)?;
            let asked = limits.take_customer(&mut taken, customer, true, 7);
            asked.map_err(|refused| refused.standing.limited)?;
            Ok(taken.standing.expect("limits are on").remaining)
        };
        assert_eq!(ask("192.0.2.1", "ada"), Ok(0));
        for _ in 0..5 {
            assert_eq!(ask("192.0.2.1", "ada"), Err(Limited::Customer));
        }
        assert_eq!(ask("192.0.2.1", "bob"), Ok(0));
        for _ in 0..5 {
            assert_eq!(ask("192.0.2.1", "eve"), Err(Limited::Route));
        }
        let figures = limits.figures();
        let counts: Vec<_> = figures
            .iter()
            .map(|figure| (figure.limited, figure.admitted_count, figure.refused_count))
            .collect();
        assert_eq!(counts, [(Limited::Address, 12, 0), (Limited::Route, 7, 5), (Limited::Customer, 2, 5)]);
        assert!(
            limits.take(RouteGroup::Pages, ip("192.0.2.1"), 7).is_ok_and(|taken| taken.standing.is_none())
        );
    }
}

#[test]
fn an_address_that_is_refused_takes_nothing_of_the_routes() {
    let rates = GroupRates { address: rate("1/m burst 1"), route: rate("1/m burst 2"), customer: None };
    for limits in both(rates) {
        let limited = |address| {
            let taken = limits.take(RouteGroup::Reserve, ip(address), 0);
            taken.map(|_| ()).map_err(|refused| refused.standing.limited)
        };
        assert_eq!(limited("192.0.2.1"), Ok(()));
        for _ in 0..5 {
            assert_eq!(limited("192.0.2.1"), Err(Limited::Address));
        }
        assert_eq!(limited("192.0.2.2"), Ok(()));
        assert_eq!(limited("192.0.2.3"), Err(Limited::Route));
    }
}

#[test]
fn a_refusal_says_when_to_come_back_and_not_to_all_the_same() {
    let rates = GroupRates { route: rate("6/m burst 2"), ..GroupRates::default() };
    for (limits, wait_s) in both(rates).into_iter().zip([10, 20]) {
        for _ in 0..2 {
            limits.take(RouteGroup::Reserve, ip("192.0.2.1"), 0).unwrap();
        }
        let mut seen = Vec::new();
        for host in 0..200 {
            let address = IpAddr::from([192, 0, 2, host]);
            let refused = limits.take(RouteGroup::Reserve, address, 0).unwrap_err();
            assert!((wait_s..=wait_s * 3 / 2).contains(&refused.retry_after_s), "{refused:?}");
            seen.push(refused.retry_after_s);
        }
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() > 2, "{seen:?}");
    }
}

#[test]
fn what_is_left_is_told_and_nothing_is_taken() {
    let (address, customer) = (rate("60/m burst 3"), rate("1/m burst 1"));
    for limits in both(GroupRates { address, route: None, customer }) {
        let left = |address: Option<&str>, customer, now| -> Vec<_> {
            let left = limits.left(RouteGroup::Reserve, address.map(ip), customer, now * TICKS_PER_S);
            left.map(|left| (left.limited, left.burst, left.remaining)).collect()
        };
        let told = |address, customer| [(Limited::Address, 3, address), (Limited::Customer, 1, customer)];
        assert_eq!(left(Some("192.0.2.1"), None, 0), told(Some(3), None));
        for is_admitted in [true, false, false] {
            let mut taken = limits.take(RouteGroup::Reserve, ip("192.0.2.1"), 0).expect("enough is left");
            assert_eq!(limits.take_customer(&mut taken, "ada", true, 0).is_ok(), is_admitted);
            assert_eq!(left(None, Some(("ada", true)), 0), told(None, Some(0)));
        }
        let figures = limits.figures();
        for _ in 0..5 {
            // The customer's limit gave back what its refusals had taken.
            assert_eq!(left(Some("192.0.2.1"), Some(("ada", true)), 0), told(Some(2), Some(0)));
            assert_eq!(left(Some("192.0.2.2"), Some(("bob", true)), 0), told(Some(3), Some(1)));
        }
        assert_eq!(limits.figures(), figures);
        assert_eq!(left(Some("192.0.2.1"), Some(("ada", true)), 60), told(Some(3), Some(1)));
        assert_eq!(limits.left(RouteGroup::Pages, None, None, 0).count(), 0);
    }
}
