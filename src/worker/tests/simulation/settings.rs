//! What kind of world a seed has: how much there is of everything, and how likely each fault is.

use std::time::Duration;

use super::random::Random;
use crate::flush::Policy;

/// Likelihoods are of ten thousand.
pub(super) struct Settings {
    pub(super) partitions: usize,
    pub(super) processes: usize,
    pub(super) tables: usize,
    /// A table whose rows the target refuses: while they are handed over, or when the span is committed.
    pub(super) refused: Option<usize>,
    pub(super) refused_late: bool,
    pub(super) faults_until: Duration,
    /// No faults any more: everything must come to its end.
    pub(super) quiet: bool,
    pub(super) slow_target: bool,
    pub(super) failing_puts: u64,
    pub(super) lost_put_answers: u64,
    pub(super) late_puts: u64,
    pub(super) failing_hands: u64,
    pub(super) failing_commits: u64,
    pub(super) lost_commit_answers: u64,
    pub(super) slow_commits: u64,
    pub(super) slow_lookups: u64,
    pub(super) restless: u64,
    pub(super) begun_again: u64,
    pub(super) ambushes: u64,
    /// Per turn.
    pub(super) kills: u64,
    pub(super) freezes: u64,
    pub(super) stalls: u64,
    pub(super) stops: u64,
    /// Whether processes are told where partitions end: behind the last record, in a gap.
    pub(super) until_end: bool,
    pub(super) memory: u64,
    /// Between these, in milliseconds, are the ages at which spans are sealed.
    pub(super) ages: (u64, u64),
    /// Whether records of other days go to the historical topic.
    pub(super) late: bool,
    /// Whether rows that repeat an event are dropped.
    pub(super) repeats: bool,
    /// Whether a machine whose process is killed forgets what its store was told last.
    pub(super) power_fails: bool,
    pub(super) failing_store: u64,
    pub(super) failing_history: u64,
    pub(super) lost_history_answers: u64,
    /// Whether a catalog decides about columns.
    pub(super) catalog: bool,
    pub(super) failing_catalog: u64,
    /// What is added to every clock, so that midnight comes while faults happen.
    pub(super) date: Duration,
}

/// The day, counted from the epoch, that begins in worlds that look at days.
pub(super) const NEW_DAY: u64 = 100;

impl Settings {
    /// `more` decides about late records and repeats, so that worlds without them stay what they were.
    pub(super) fn new(random: &mut Random, more: &mut Random) -> Self {
        let mut plain = Self::plain(random);
        let (late, repeats) = (more.chance(3500), more.chance(3500));
        plain.catalog = more.chance(3500);
        plain.failing_catalog = more.pick(&[0, 200, 3000]);
        if !late && !repeats {
            return plain;
        }
        let midnight = more.range(0, u64::try_from(plain.faults_until.as_millis()).unwrap());
        let before = Duration::from_millis(super::process::LATEST_START_MS + midnight);
        Self {
            late,
            repeats,
            power_fails: more.chance(3000),
            failing_store: more.pick(&[0, 0, 300, 1500]),
            failing_history: more.pick(&[0, 0, 1000, 4000]),
            lost_history_answers: more.pick(&[0, 0, 800, 2500]),
            date: Duration::from_secs(NEW_DAY * 24 * 60 * 60) - before,
            ..plain
        }
    }

    fn plain(random: &mut Random) -> Self {
        // Most kinds of fault are absent from most worlds, so that each is seen alone and with any other.
        let mut rate = |some: u64| random.pick(&[0, 0, some / 3, some]);
        let (failing_puts, lost_put_answers, late_puts) = (rate(3000), rate(2500), rate(1500));
        let (failing_hands, failing_commits) = (rate(600), rate(2000));
        let (lost_commit_answers, slow_commits, slow_lookups) =
            (rate(2500), rate(3000), rate(6000));
        let (restless, begun_again, ambushes) = (rate(5000), rate(60), rate(700));
        let (kills, freezes, stalls, stops) = (rate(60), rate(60), rate(60), rate(60));
        let tables = random.index(3) + 2;
        Self {
            partitions: random.index(3) + 1,
            processes: random.pick(&[1, 2, 2, 3]),
            tables,
            refused: random.chance(2500).then(|| random.index(tables)),
            refused_late: random.chance(6000),
            faults_until: random.ms(20_000, 70_000),
            quiet: false,
            slow_target: random.chance(3000),
            failing_puts,
            lost_put_answers,
            late_puts,
            failing_hands,
            failing_commits,
            lost_commit_answers,
            slow_commits,
            slow_lookups,
            restless,
            begun_again,
            ambushes,
            kills,
            freezes,
            stalls,
            stops,
            until_end: random.chance(4000),
            memory: random.pick(&[1 << 30, 1 << 30, 3 << 10, 12 << 10]),
            ages: random.pick(&[(500, 3000), (2000, 10_000)]),
            late: false,
            repeats: false,
            power_fails: false,
            failing_store: 0,
            failing_history: 0,
            lost_history_answers: 0,
            catalog: false,
            failing_catalog: 0,
            date: Duration::ZERO,
        }
    }

    /// Each process has its own: where one cuts, another does not.
    pub(super) fn policy(&self, random: &mut Random) -> Policy {
        Policy {
            max_span_age: random.ms(self.ages.0, self.ages.1),
            max_batch_age: random.ms(200, 5000),
            max_output: random.pick(&[150, 400, 1500, 1 << 40]),
            batch_rows: usize::try_from(random.pick(&[1, 2, 7, 30])).unwrap(),
            batch_bytes: 1 << 20,
            max_in_flight: random.index(3) + 1,
        }
    }
}
