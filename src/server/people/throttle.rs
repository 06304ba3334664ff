//! Slows down whoever guesses passwords, and nobody else.
//! Owns: who has to wait how long between tries. Uses: time. Never: waits itself; names in a log.
//!
//! Three counts, each with its own patience: this name from this address, any name from this address, this name from
//! anywhere. The last one does not hold for addresses from which the name has logged in before, so that a stranger who tries
//! names cannot lock the team out. A try counts when it begins; a good one is taken back.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ahash::AHashMap;
use parking_lot::Mutex;

use crate::model::Time;

/// How a count leads to waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// So many tries cost nothing.
    free: u32,
    /// The longest wait.
    longest: Duration,
}

/// For one name from one address.
const PAIR: Patience = Patience {
    free: 4,
    longest: Duration::from_secs(300),
};
/// For any name from one address: an office behind one address is not slowed down by a colleague.
const ADDRESS: Patience = Patience {
    free: 20,
    longest: Duration::from_secs(60),
};
/// For one name from anywhere.
const NAME: Patience = Patience {
    free: 12,
    longest: Duration::from_secs(60),
};
/// A count is forgotten this long after the last try.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// An address from which somebody logged in is known for this long.
const KNOWN: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most counts that are kept.
const COUNTS: usize = 8192;
/// Failed logins that are written down in a minute.
const RECORDED: u32 = 60;

impl Patience {
    /// How long after the last of so many failures the next try may come.
    pub(super) fn pause(self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(1 << over.min(20)).min(self.longest),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Pair(Box<str>, Option<IpAddr>),
    Address(Option<IpAddr>),
    Name(Box<str>),
}

impl Who {
    const fn patience(&self) -> Patience {
        match self {
            Self::Pair(..) => PAIR,
            Self::Address(_) => ADDRESS,
            Self::Name(_) => NAME,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    failures: u32,
    last: Time,
    /// For a pair: when it last succeeded.
    good: Option<Time>,
}

impl Count {
    /// How long the next try has to wait.
    fn wait(self, patience: Patience, now: Time) -> Duration {
        let pause = patience.pause(self.failures);
        // A clock that was set back does not make anybody wait longer.
        pause.saturating_sub(now.since(self.last)).min(pause)
    }

    fn is_known(self, now: Time) -> bool {
        self.good.is_some_and(|good| now.since(good) < KNOWN)
    }

    fn is_worth_keeping(self, now: Time) -> bool {
        self.is_known(now) || now.since(self.last) < FORGOTTEN
    }
}

/// The counts.
#[derive(Default)]
pub(in crate::server) struct Throttle {
    counts: Mutex<AHashMap<Who, Count>>,
    /// The minute, failures written down in it, and left out since the last one written down.
    recorded: Mutex<(i64, u32, u32)>,
}

impl Throttle {
    /// Counts a try, unless it comes too early.
    ///
    /// # Errors
    /// How long to wait.
    pub(in crate::server) fn begin(
        &self,
        name: &str,
        address: Option<IpAddr>,
        now: Time,
    ) -> Result<(), Duration> {
        let [pair, by_address, by_name] = everybody(name, address);
        let mut counts = self.counts.lock();
        for who in [&pair, &by_address, &by_name] {
            if let Some(count) = counts.get_mut(who)
                && now.since(count.last) >= FORGOTTEN
            {
                count.failures = 0;
            }
        }
        let of = |who: &Who| counts.get(who).copied().unwrap_or_default();
        let is_known = of(&pair).is_known(now);
        let held = [&pair, &by_address]
            .into_iter()
            .chain((!is_known).then_some(&by_name));
        let wait = held.map(|who| of(who).wait(who.patience(), now)).max();
        match wait {
            Some(wait) if !wait.is_zero() => return Err(wait),
            _ => {}
        }
        make_room(&mut counts, now);
        let counted = [pair, by_address]
            .into_iter()
            .chain((!is_known).then_some(by_name));
        for who in counted {
            let count = counts.entry(who).or_default();
            count.failures = count.failures.saturating_add(1);
            count.last = now;
        }
        Ok(())
    }

    /// The try that began was a good one.
    pub(in crate::server) fn succeed(&self, name: &str, address: Option<IpAddr>, now: Time) {
        self.forgive(name, address);
        let [pair, ..] = everybody(name, address);
        let mut counts = self.counts.lock();
        let count = counts.entry(pair).or_default();
        (count.failures, count.good) = (0, Some(now));
    }

    /// The try that began was none.
    pub(in crate::server) fn forgive(&self, name: &str, address: Option<IpAddr>) {
        let mut counts = self.counts.lock();
        for who in everybody(name, address) {
            if let Some(count) = counts.get_mut(&who) {
                count.failures = count.failures.saturating_sub(1);
            }
        }
    }

    /// Whether a failure that happens now is written down, and how many were left out before it: a flood fills no disk.
    pub(in crate::server) fn records(&self, now: Time) -> Option<u32> {
        let minute = now.seconds().div_euclid(60);
        let mut recorded = self.recorded.lock();
        let (at, count, left_out) = &mut *recorded;
        if *at != minute {
            (*at, *count) = (minute, 0);
        }
        if *count >= RECORDED {
            *left_out = left_out.saturating_add(1);
            return None;
        }
        *count += 1;
        Some(std::mem::take(left_out))
    }
}

fn everybody(name: &str, address: Option<IpAddr>) -> [Who; 3] {
    let address = address.map(network);
    [
        Who::Pair(name.into(), address),
        Who::Address(address),
        Who::Name(name.into()),
    ]
}

/// Who has one address of an IPv6 network has all of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

/// Forgets what is over, and at last what is oldest.
fn make_room(counts: &mut AHashMap<Who, Count>, now: Time) {
    // One try adds three at most.
    if counts.len() + 3 <= COUNTS {
        return;
    }
    counts.retain(|_, count| count.is_worth_keeping(now));
    if counts.len() + 3 <= COUNTS {
        return;
    }
    let mut times: Vec<Time> = counts.values().map(|count| count.last).collect();
    let half = times.len() / 2;
    let (_, middle, _) = times.select_nth_unstable(half);
    let middle = *middle;
    counts.retain(|_, count| count.last > middle);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn address(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    fn clock() -> Clock {
        Clock::stopped_at(Time::from_seconds(1_780_000_000))
    }

    #[test]
    fn the_pause_grows_and_ends_somewhere() {
        for patience in [PAIR, ADDRESS, NAME] {
            let pauses: Vec<Duration> = (0..200).map(|n| patience.pause(n)).collect();
            assert!(pauses.is_sorted());
            assert_eq!(
                pauses.iter().filter(|pause| pause.is_zero()).count(),
                usize::try_from(patience.free).unwrap()
            );
            assert_eq!(pauses.last(), Some(&patience.longest));
            assert_eq!(patience.pause(u32::MAX), patience.longest);
        }
        let seconds = |n| PAIR.pause(n).as_secs();
        assert_eq!([3, 4, 5, 6, 7].map(seconds), [0, 1, 2, 4, 8]);
    }

    #[test]
    fn whoever_guesses_waits_longer_and_longer() {
        let (throttle, clock) = (Throttle::default(), clock());
        let begin = || throttle.begin("mei", address(1), clock.now());
        for _ in 0..PAIR.free {
            assert_eq!(begin(), Ok(()));
        }
        for seconds in [1, 2, 4, 8] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(begin(), Err(wait));
            clock.advance(wait - Duration::from_millis(1));
            assert!(begin().is_err());
            clock.advance(Duration::from_millis(1));
            assert_eq!(begin(), Ok(()));
        }
        assert_eq!(
            throttle.begin("jun", address(1), clock.now()),
            Ok(()),
            "a colleague behind the same address may"
        );
        clock.advance(FORGOTTEN);
        for _ in 0..PAIR.free {
            assert_eq!(begin(), Ok(()));
        }
        clock.step_back(Duration::from_secs(9 * 3600));
        assert_eq!(
            begin(),
            Err(Duration::from_secs(1)),
            "never longer than that"
        );
    }

    #[test]
    fn a_good_try_clears_the_count() {
        let (throttle, clock) = (Throttle::default(), clock());
        for _ in 0..50 {
            for _ in 0..PAIR.free - 1 {
                throttle.begin("mei", address(1), clock.now()).unwrap();
                throttle.forgive("mei", address(1));
            }
            throttle.begin("mei", address(1), clock.now()).unwrap();
            throttle.succeed("mei", address(1), clock.now());
        }
    }

    #[test]
    fn a_stranger_cannot_lock_the_team_out() {
        let (throttle, clock) = (Throttle::default(), clock());
        throttle.begin("mei", address(1), clock.now()).unwrap();
        throttle.succeed("mei", address(1), clock.now());
        for n in 0..NAME.free {
            let from = address(u8::try_from(n + 10).unwrap());
            assert_eq!(throttle.begin("mei", from, clock.now()), Ok(()));
        }
        assert!(throttle.begin("mei", address(99), clock.now()).is_err());
        assert_eq!(
            throttle.begin("mei", address(1), clock.now()),
            Ok(()),
            "from where she always comes"
        );
    }

    #[test]
    fn one_address_trying_many_names_is_slowed_down() {
        let (throttle, clock) = (Throttle::default(), clock());
        for n in 0..ADDRESS.free {
            let name = format!("name{n}");
            assert_eq!(throttle.begin(&name, address(1), clock.now()), Ok(()));
        }
        assert!(throttle.begin("another", address(1), clock.now()).is_err());
        assert_eq!(throttle.begin("another", address(2), clock.now()), Ok(()));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let (throttle, clock) = (Throttle::default(), clock());
        let from = |n: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        for n in 0..4 {
            assert_eq!(throttle.begin("mei", from(n), clock.now()), Ok(()));
        }
        assert!(throttle.begin("mei", from(9), clock.now()).is_err());
    }

    #[test]
    fn the_counts_and_the_records_are_bounded() {
        let (throttle, clock) = (Throttle::default(), clock());
        for n in 0..u32::try_from(COUNTS).unwrap() {
            let from = IpAddr::from((n + 1).to_be_bytes());
            clock.advance(Duration::from_millis(1));
            let _ = throttle.begin(&format!("name{n}"), Some(from), clock.now());
        }
        assert!(throttle.counts.lock().len() <= COUNTS);
        let written = (0..100)
            .filter(|_| throttle.records(clock.now()).is_some())
            .count();
        assert_eq!(u32::try_from(written), Ok(RECORDED));
        clock.advance(Duration::from_secs(60));
        assert_eq!(throttle.records(clock.now()), Some(100 - RECORDED));
        assert_eq!(throttle.records(clock.now()), Some(0));
    }
}
