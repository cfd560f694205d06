//! When a reader may ask again. Pure: time comes in as an argument.
//!
//! The service allows five reads a second and 2 MiB a second of each shard, for all its readers together. A rest is counted from an
//! answer, which is behind the moment the service counted the call, so that calls never come closer than they were meant to.

use std::time::Duration;

/// Between two calls.
const SPACING: Duration = Duration::from_millis(200);
/// What the service hands out in a second.
const BYTES_PER_SECOND: u64 = 2 << 20;
/// Where nothing is left to read: others read the shard, too.
const TIP_REST: Duration = Duration::from_secs(1);
/// As good as nothing.
const NEAR_TIP_MS: u64 = 1000;
/// The first rest behind a failure; it doubles.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Between two subscriptions of one consumer to one shard.
const SUBSCRIPTIONS: Duration = Duration::from_secs(5);

/// When the calls of one shard may be made.
#[derive(Debug)]
pub(super) struct Pace {
    not_before: Duration,
    /// One behind the other.
    failures: u32,
    jitter: Jitter,
}

impl Pace {
    /// Calls may be made at once. Readers with different seeds do not fail in step.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            not_before: Duration::ZERO,
            failures: 0,
            jitter: Jitter(seed),
        }
    }

    /// How long to wait before the next call.
    pub(super) fn rest(&self, now: Duration) -> Duration {
        self.not_before.saturating_sub(now)
    }

    /// Failures one behind the other, this moment.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// A call is made. Should whoever makes it be gone before the answer, it counts all the same.
    pub(super) fn asks(&mut self, now: Duration) {
        self.not_before = self.not_before.max(now + SPACING);
    }

    /// A read was answered with so many bytes; `full` if with as many records as were asked for.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        bytes: usize,
        full: bool,
        behind_ms: Option<u64>,
    ) {
        self.failures = 0;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let owed = Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND);
        // Servers in tests do not always know how far behind their tip something is.
        let at_tip = !full && behind_ms.map_or(bytes == 0, |behind| behind <= NEAR_TIP_MS);
        let tip = if at_tip { TIP_REST } else { SPACING };
        self.not_before = now + owed.max(tip);
    }

    /// The iterator was too old. That it is so again at once is a failure.
    pub(super) fn expired(&mut self, now: Duration) {
        if self.failures == 0 {
            self.failures = 1;
            self.asks(now);
        } else {
            self.failed(now);
        }
    }

    /// A call has failed, or was refused because there were too many.
    pub(super) fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        let doublings = (self.failures - 1).min(10);
        let longest = (FIRST_REST * (1 << doublings)).min(LONGEST_REST);
        let rest = longest / 2 + self.jitter.below(longest / 2);
        // A subscription that has failed at once was one all the same.
        self.not_before = self.not_before.max(now + rest);
    }

    /// A subscription was taken.
    pub(super) fn subscribed(&mut self, now: Duration) {
        self.not_before = now + SUBSCRIPTIONS;
    }

    /// An event came: the subscription is a good one.
    pub(super) fn heard(&mut self) {
        self.failures = 0;
    }

    /// Somebody else is subscribed, or we were a moment ago.
    pub(super) fn in_use(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + SUBSCRIPTIONS + self.jitter.below(TIP_REST);
    }
}

/// A small generator (SplitMix64): enough to keep readers out of step.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    fn below(&mut self, end: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let end = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(mixed.checked_rem(end).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const MIB: usize = 1 << 20;

    fn rest_after(bytes: usize, behind_ms: Option<u64>) -> Duration {
        let mut pace = Pace::new(1);
        pace.answered(NOW, bytes, false, behind_ms);
        pace.rest(NOW)
    }

    #[test]
    fn no_longer_rest_than_the_limits_while_there_is_something_to_read() {
        assert_eq!(rest_after(0, Some(60_000)), SPACING);
        assert_eq!(rest_after(MIB, Some(60_000)), Duration::from_millis(500));
        assert_eq!(rest_after(10 * MIB, Some(60_000)), Duration::from_secs(5));
    }

    #[test]
    fn a_second_at_the_tip() {
        for behind in [Some(0), Some(900), None] {
            assert_eq!(rest_after(0, behind), TIP_REST, "{behind:?}");
        }
        assert_eq!(rest_after(100, Some(0)), TIP_REST);
        assert_eq!(rest_after(10 * MIB, Some(0)), Duration::from_secs(5));
    }

    #[test]
    fn failures_rest_longer_and_longer_until_one_works() {
        let mut pace = Pace::new(7);
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            pace.failed(NOW);
            longest = longest.max(pace.rest(NOW));
            assert!(pace.rest(NOW) >= FIRST_REST / 2 && pace.rest(NOW) <= LONGEST_REST);
        }
        assert!(longest > LONGEST_REST / 2);
        pace.answered(NOW, 0, false, Some(60_000));
        assert_eq!(pace.rest(NOW), SPACING);
    }

    #[test]
    fn an_expired_iterator_is_replaced_at_once_but_not_in_a_loop() {
        let mut pace = Pace::new(7);
        pace.expired(NOW);
        assert_eq!(pace.rest(NOW), SPACING);
        pace.expired(NOW);
        assert!(pace.rest(NOW) >= FIRST_REST);
    }

    #[test]
    fn a_subscription_that_fails_at_once_is_not_followed_by_another_at_once() {
        let mut pace = Pace::new(7);
        pace.subscribed(NOW);
        pace.failed(NOW);
        assert_eq!(pace.rest(NOW), SUBSCRIPTIONS);
    }

    #[test]
    fn a_call_counts_without_its_answer() {
        let mut pace = Pace::new(7);
        pace.asks(NOW);
        assert_eq!(pace.rest(NOW), SPACING);
    }

    #[test]
    fn a_shard_in_use_is_left_alone_for_five_seconds() {
        let mut pace = Pace::new(7);
        pace.in_use(NOW);
        assert!(pace.rest(NOW) >= SUBSCRIPTIONS);
    }

    proptest! {
        /// The service counts a call somewhere between its start and its answer.
        #[test]
        fn the_limits_hold_wherever_the_service_counts(
            calls in proptest::collection::vec((0_usize..10 * MIB, 0_u64..400, 0_u64..=100), 1..60),
        ) {
            let (mut pace, mut now) = (Pace::new(3), NOW);
            let mut counted: Vec<(Duration, usize)> = Vec::new();
            for (bytes, took, share) in calls {
                now += pace.rest(now);
                counted.push((now + Duration::from_millis(took * share / 100), bytes));
                now += Duration::from_millis(took);
                pace.answered(now, bytes, false, Some(60_000));
            }
            for (index, (at, _)) in counted.iter().enumerate() {
                let second = counted[index..].iter().take_while(|(other, _)| *other < *at + Duration::from_secs(1));
                prop_assert!(second.count() <= 5);
            }
            for pair in counted.windows(2) {
                let owed = Duration::from_secs_f64(pair[0].1 as f64 / (2 * MIB) as f64);
                prop_assert!(pair[1].0 + Duration::from_micros(2) >= pair[0].0 + owed);
            }
        }
    }
}
