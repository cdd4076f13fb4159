//! How often may be asked: for each client address, for all clients of some routes together, and for each customer. The first
//! limit that refuses wins, and what the others had given is given back.

mod bucket;
mod bucket_table;
mod limiter;
mod rate;
mod window_table;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use self::bucket::{Level, Wait};
pub use self::limiter::Algorithm;
use self::limiter::{Limiter, Ticket};
pub use self::rate::{InvalidRate, Rate, TICKS_PER_S};

/// Routes that share limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteGroup {
    /// What makes reservations.
    Reserve = 0,
    /// Everything else.
    Pages = 1,
}

/// What a limit is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Each client address; of IPv6 each network of 64 bits, because that is what one client has.
    Address,
    /// All clients of the routes together.
    Route,
    /// Each customer.
    Customer,
}

/// The rates of one group; a limit that is absent is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupRates {
    /// See [`Limited::Address`].
    pub address: Option<Rate>,
    /// See [`Limited::Route`].
    pub route: Option<Rate>,
    /// See [`Limited::Customer`].
    pub customer: Option<Rate>,
}

/// All rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimitSettings {
    /// What all limits count by.
    pub algorithm: Algorithm,
    /// Keys that each limit by address or customer has room for. With windows: requests that each of them remembers.
    pub keys_max: u32,
    /// Of [`RouteGroup::Reserve`].
    pub reserve: GroupRates,
    /// Of [`RouteGroup::Pages`].
    pub pages: GroupRates,
}

/// All limits and how they stand. Shared by all threads.
#[derive(Debug)]
pub struct RateLimits {
    secret: RandomState,
    groups: [GroupLimits; 2],
}

#[derive(Debug)]
struct GroupLimits {
    address: Option<Limiter>,
    route: Option<Limiter>,
    customer: Option<Limiter>,
}

/// What a request took of the limits.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// How the limit stands that is nearest to refusing; absent if the group has no limit that was asked.
    pub standing: Option<Standing>,
    group: RouteGroup,
    address: Option<Ticket>,
    route: Option<Ticket>,
}

/// How one limit stands for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of which routes.
    pub group: RouteGroup,
    /// Which limit.
    pub limited: Limited,
    /// Requests that it would let through at once.
    pub remaining: u32,
    /// Seconds until a whole burst is possible, rounded up.
    pub full_after_s: u64,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which limit.
    pub limited: Limited,
    /// Requests that it lets through at once.
    pub burst: u32,
    /// Requests that it would let through now; absent if nobody was named for whom it stands.
    pub remaining: Option<u32>,
}

/// A limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How it stands.
    pub standing: Standing,
    /// Seconds to wait before the next request: rounded up, and longer for some by chance, so that not all come back at once.
    pub retry_after_s: u64,
}

/// The figures of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitFigures {
    /// Of which routes.
    pub group: RouteGroup,
    /// Which limit.
    pub limited: Limited,
    /// Requests that it let through, be it that another limit refused them.
    pub admitted_count: u64,
    /// Requests that it refused.
    pub refused_count: u64,
    /// Keys in memory.
    pub key_count: u64,
    /// Bytes of the table of buckets; 0 with windows, whose memory depends on use.
    pub table_bytes: usize,
    /// Keys, or with windows requests, that were forgotten before their time for want of room.
    pub forgotten_count: u64,
}

impl RouteGroup {
    /// As settings and figures name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Pages => "pages",
        }
    }
}

impl Limited {
    /// As settings, answers and figures name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Route => "route",
            Self::Customer => "customer",
        }
    }
}

impl RateLimits {
    /// Limits at full buckets; nothing if all are off. The secret decides which keys could share a bucket.
    pub fn new(settings: &RateLimitSettings, secret: RandomState) -> Option<Self> {
        let RateLimitSettings { algorithm, keys_max, reserve, pages } = *settings;
        let by_key = |rate| Limiter::by_key(rate, algorithm, keys_max);
        let groups = [reserve, pages].map(|rates| GroupLimits {
            address: rates.address.map(by_key),
            route: rates.route.map(|rate| Limiter::shared(rate, algorithm)),
            customer: rates.customer.map(by_key),
        });
        let is_any_on = groups.iter().any(|group| group.limits().next().is_some());
        is_any_on.then_some(Self { secret, groups })
    }

    /// Takes a request of an address at `now` ticks. The customer is asked about later, by
    /// [`RateLimits::take_customer`].
    ///
    /// # Errors
    /// A limit refuses; nothing was taken then.
    pub fn take(&self, group: RouteGroup, address: IpAddr, now: u64) -> Result<Taken, Refused> {
        let limits = &self.groups[group as usize];
        let mut taken = Taken { standing: None, group, address: None, route: None };
        let key = self.secret.hash_one(client_of(address));
        if let Some(limiter) = &limits.address {
            match limiter.take(key, now) {
                Ok((level, ticket)) => {
                    taken.note(Limited::Address, level);
                    taken.address = Some(ticket);
                }
                Err(wait) => return Err(refused(group, Limited::Address, limiter.rate, wait, key ^ now)),
            }
        }
        if let Some(limiter) = &limits.route {
            match limiter.take(0, now) {
                Ok((level, ticket)) => {
                    taken.note(Limited::Route, level);
                    taken.route = Some(ticket);
                }
                Err(wait) => {
                    self.give_back(&taken, now);
                    return Err(refused(group, Limited::Route, limiter.rate, wait, key ^ now));
                }
            }
        }
        Ok(taken)
    }

    /// Takes the same request of its customer. Whoever proves to be the customer has a bucket of their own, so that nobody who
    /// only knows the name can empty it.
    ///
    /// # Errors
    /// The limit refuses; what was taken before is given back then.
    pub fn take_customer(
        &self,
        taken: &mut Taken,
        customer: &str,
        is_proven: bool,
        now: u64,
    ) -> Result<(), Refused> {
        let Some(limiter) = &self.groups[taken.group as usize].customer else { return Ok(()) };
        let key = self.secret.hash_one((customer, is_proven));
        match limiter.take(key, now) {
            Ok((level, _)) => {
                taken.note(Limited::Customer, level);
                Ok(())
            }
            Err(wait) => {
                self.give_back(taken, now);
                Err(refused(taken.group, Limited::Customer, limiter.rate, wait, key ^ now))
            }
        }
    }

    /// What is left of each limit of a group that is on at `now` ticks, in the order in which they are asked, for a customer who
    /// proves to be that or does not. Nothing is taken.
    pub fn left(
        &self,
        group: RouteGroup,
        address: Option<IpAddr>,
        customer: Option<(&str, bool)>,
        now: u64,
    ) -> impl Iterator<Item = Left> {
        self.groups[group as usize].limits().map(move |(limited, limiter)| {
            let key = match limited {
                Limited::Address => address.map(|address| self.secret.hash_one(client_of(address))),
                Limited::Route => Some(0),
                Limited::Customer => customer.map(|customer| self.secret.hash_one(customer)),
            };
            let remaining = key.map(|key| limiter.level(key, now).remaining);
            Left { limited, burst: limiter.rate.burst(), remaining }
        })
    }

    /// Forgets what nobody needs, a part at a time. To be called ten times a second, by one thread or more.
    pub fn sweep(&self, now: u64) {
        self.groups.iter().flat_map(GroupLimits::limits).for_each(|(_, limiter)| limiter.sweep(now));
    }

    /// The rates of a group that are on, in the order in which they are asked.
    pub fn rates(&self, group: RouteGroup) -> impl Iterator<Item = (Limited, Rate)> {
        self.groups[group as usize].limits().map(|(limited, limiter)| (limited, limiter.rate))
    }

    /// The figures of all limits that are on.
    pub fn figures(&self) -> Vec<LimitFigures> {
        let groups = [RouteGroup::Reserve, RouteGroup::Pages];
        let all = groups.into_iter().flat_map(|group| {
            self.groups[group as usize].limits().map(move |(limited, limiter)| LimitFigures {
                group,
                limited,
                admitted_count: limiter.admitted_count(),
                refused_count: limiter.refused_count(),
                key_count: limiter.key_count(),
                table_bytes: limiter.table_bytes(),
                forgotten_count: limiter.forgotten_count(),
            })
        });
        all.collect()
    }

    fn give_back(&self, taken: &Taken, now: u64) {
        let limits = &self.groups[taken.group as usize];
        for (limiter, ticket) in [(&limits.address, taken.address), (&limits.route, taken.route)] {
            if let (Some(limiter), Some(ticket)) = (limiter, ticket) {
                limiter.give_back(ticket, now);
            }
        }
    }
}

impl GroupLimits {
    fn limits(&self) -> impl Iterator<Item = (Limited, &Limiter)> {
        let limits = [
            (Limited::Address, &self.address),
            (Limited::Route, &self.route),
            (Limited::Customer, &self.customer),
        ];
        limits.into_iter().filter_map(|(limited, limiter)| Some((limited, limiter.as_ref()?)))
    }
}

impl Taken {
    fn note(&mut self, limited: Limited, level: Level) {
        if self.standing.is_none_or(|standing| level.remaining < standing.remaining) {
            self.standing = Some(standing(self.group, limited, level));
        }
    }
}

/// What tells one client from another by its address.
fn client_of(address: IpAddr) -> (bool, u64) {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, address.to_bits().into()),
        IpAddr::V6(address) => (true, u64::try_from(address.to_bits() >> 64).unwrap_or_default()),
    }
}

fn standing(group: RouteGroup, limited: Limited, level: Level) -> Standing {
    let full_after_s = level.full_after.div_ceil(TICKS_PER_S);
    Standing { group, limited, remaining: level.remaining, full_after_s }
}

fn refused(group: RouteGroup, limited: Limited, rate: Rate, wait: Wait, chance: u64) -> Refused {
    let Wait(ticks) = wait;
    let full_after = ticks + rate.depth() - rate.interval();
    let wait_s = ticks.div_ceil(TICKS_PER_S).max(1);
    // Up to half as long again, and a second at least.
    let spread_s = (wait_s / 2).max(1);
    let chance = chance.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    Refused {
        standing: standing(group, limited, Level { remaining: 0, full_after }),
        retry_after_s: wait_s + chance % (spread_s + 1),
    }
}

#[cfg(test)]
mod tests;
