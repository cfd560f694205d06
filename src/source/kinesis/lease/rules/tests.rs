use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::source::kinesis::lease::LeasePosition;

const FAILOVER: Duration = Duration::from_secs(10);
/// Until a fleet is balanced at most, however many leases there are.
const ROUNDS: usize = 12;

/// A table and its workers, whose every request is answered at once.
struct Fleet {
    table: BTreeMap<String, Lease>,
    workers: Vec<(Settings, Board)>,
    chance: Chance,
    now: Duration,
}

impl Fleet {
    fn new(leases: usize, workers: usize, seed: u64) -> Self {
        let lease = |n| Lease::new(format!("shard-{n:04}"), LeasePosition::TrimHorizon);
        let table = (0..leases)
            .map(lease)
            .map(|lease| (lease.key.clone(), lease));
        let mut fleet = Self {
            table: table.collect(),
            workers: Vec::new(),
            chance: Chance(seed),
            now: Duration::from_secs(1000),
        };
        fleet.join(workers);
        fleet
    }

    fn join(&mut self, workers: usize) {
        for _ in 0..workers {
            let name = format!("worker-{}", self.chance.below(usize::MAX));
            let settings = Settings::new(name, FAILOVER);
            self.workers.push((settings, Board::default()));
        }
    }

    fn owned_by(&self, worker: &str) -> BTreeSet<String> {
        let owned = self
            .table
            .values()
            .filter(|lease| lease.owner.as_deref() == Some(worker));
        owned.map(|lease| lease.key.clone()).collect()
    }

    /// Everybody renews, looks and takes, one after the other.
    fn round(&mut self) {
        let count = self.workers.len();
        for turn in 0..count {
            self.now += (FAILOVER * 2) / u32::try_from(count).unwrap();
            for (settings, _) in &self.workers {
                for key in self.owned_by(&settings.worker) {
                    self.table.get_mut(&key).unwrap().counter += 1;
                }
            }
            let (settings, mut board) = self.workers[turn].clone();
            board.look(self.table.values().cloned().collect(), self.now);
            let choice = Chooser {
                settings: &settings,
                held: &self.owned_by(&settings.worker),
                shunned: &BTreeSet::new(),
                now: self.now,
                chance: &mut |below| self.chance.below(below),
            }
            .choose(&board);
            for lease in choice.take {
                let row = self.table.get_mut(&lease.key).unwrap();
                row.owner = Some(settings.worker.clone());
                row.counter += 1;
            }
            self.workers[turn].1 = board;
        }
    }

    fn counts(&self) -> Vec<usize> {
        let count = |(settings, _): &(Settings, Board)| self.owned_by(&settings.worker).len();
        self.workers.iter().map(count).collect()
    }

    /// Everything is owned by the living, and nobody has more than his share, or less by more than one.
    fn is_balanced(&self) -> bool {
        let unfinished = self
            .table
            .values()
            .filter(|lease| !lease.is_finished())
            .count();
        let target = unfinished.div_ceil(self.workers.len());
        let counts = self.counts();
        counts.iter().sum::<usize>() == unfinished
            && counts
                .iter()
                .all(|count| *count <= target && count + 1 >= target)
    }

    fn share(&self) -> usize {
        self.table.len().div_ceil(self.workers.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_new_fleet_is_balanced_in_a_few_rounds(leases in 0usize..120, workers in 1usize..12, seed: u64) {
        let mut fleet = Fleet::new(leases, workers, seed);
        // Who comes first takes all there is for one; the others take half of what they lack each round.
        (0..ROUNDS.min(6 + fleet.share())).for_each(|_| fleet.round());
        prop_assert!(fleet.is_balanced(), "{:?}", fleet.counts());
    }

    #[test]
    fn who_comes_and_who_goes_shifts_leases(
        leases in 1usize..60, before in 1usize..6, come in 0usize..6, go in 0usize..5, seed: u64,
    ) {
        let mut fleet = Fleet::new(leases, before, seed);
        (0..ROUNDS.min(6 + fleet.share())).for_each(|_| fleet.round());
        fleet.join(come);
        fleet.workers.drain(..go.min(fleet.workers.len() - 1));
        (0..ROUNDS.min(8 + fleet.share())).for_each(|_| fleet.round());
        prop_assert!(fleet.is_balanced(), "{:?}", fleet.counts());
        let table = fleet.table.clone();
        fleet.round();
        let moved = table.values().filter(|lease| lease.owner != fleet.table[&lease.key].owner);
        prop_assert_eq!(moved.count(), 0, "what is balanced stays");
    }
}

fn row(key: &str, owner: Option<&str>) -> Lease {
    Lease {
        owner: owner.map(str::to_owned),
        ..Lease::new(key, LeasePosition::TrimHorizon)
    }
}

fn choose(settings: &Settings, board: &Board, held: &[&str], now: Duration) -> Choice {
    Chooser {
        settings,
        held: &held.iter().map(|key| (*key).to_owned()).collect(),
        shunned: &BTreeSet::new(),
        now,
        chance: &mut |_| 0,
    }
    .choose(board)
}

fn keys(choice: &Choice) -> Vec<&str> {
    choice.take.iter().map(|lease| lease.key.as_str()).collect()
}

#[test]
fn finished_leases_are_nobodys_work() {
    let settings = Settings::new("me", FAILOVER);
    let mut board = Board::default();
    let done = Lease::new("done", LeasePosition::ShardEnd);
    board.look(vec![done, row("open", None)], Duration::ZERO);
    assert_eq!(
        keys(&choose(&settings, &board, &[], Duration::ZERO)),
        ["open"]
    );
    assert_eq!(
        keys(&choose(&settings, &board, &[], FAILOVER * 9)),
        ["open"]
    );
}

#[test]
fn ours_that_is_not_held_is_taken_again() {
    let settings = Settings::new("me", FAILOVER);
    let mut board = Board::default();
    board.look(
        vec![row("a", Some("me")), row("b", Some("me"))],
        Duration::ZERO,
    );
    assert_eq!(
        keys(&choose(&settings, &board, &["b"], Duration::ZERO)),
        ["a"]
    );
}

#[test]
fn what_is_free_for_long_is_taken_beyond_a_share() {
    let settings = Settings::new("me", FAILOVER);
    let mut board = Board::default();
    let mut rows = vec![
        row("a", None),
        row("b", None),
        row("c", None),
        row("d", Some("other")),
    ];
    board.look(rows.clone(), Duration::ZERO);
    let first = choose(&settings, &board, &[], Duration::ZERO);
    assert_eq!(
        (first.take.len(), first.left, first.hungry),
        (2, true, false)
    );
    rows[3].counter += 1;
    let later = FAILOVER * 3 + Duration::from_millis(1);
    board.look(rows, later);
    assert_eq!(choose(&settings, &board, &[], later).take.len(), 3);
}

#[test]
fn no_more_is_taken_than_may_be() {
    let settings = Settings {
        most_leases: 2,
        ..Settings::new("me", FAILOVER)
    };
    let mut board = Board::default();
    let rows = ["a", "b", "c", "d"].map(|key| row(key, None));
    board.look(rows.to_vec(), Duration::ZERO);
    assert_eq!(choose(&settings, &board, &[], Duration::ZERO).take.len(), 2);
    assert_eq!(choose(&settings, &board, &[], FAILOVER * 4).take.len(), 2);
}

#[test]
fn half_of_what_is_missing_is_stolen() {
    let settings = Settings::new("me", FAILOVER);
    let mut board = Board::default();
    let rows = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| row(key, Some("other")));
    board.look(rows.to_vec(), Duration::ZERO);
    let choice = choose(&settings, &board, &[], Duration::ZERO);
    assert_eq!((choice.take.len(), choice.hungry), (2, true));
    let modest = Settings {
        most_stolen: 1,
        ..settings.clone()
    };
    let choice = choose(&modest, &board, &[], Duration::ZERO);
    assert_eq!((choice.take.len(), choice.hungry), (1, true));
    board.look(vec![row("a", Some("other"))], Duration::ZERO);
    let choice = choose(&settings, &board, &[], Duration::ZERO);
    assert!(choice.take.is_empty(), "one lease is one worker's");
}
