//! The program and the real KCL over one lease table (DynamoDB Local) and one stream (ferrokinesis): one after the other, and both at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use alluvium::record::Position;
use alluvium::source::kinesis::lease::{Lease, LeasePosition};
use serde_json::Value;

use super::kinesis::{ALL, Bench, event};
use crate::support::kcl::{Application, Kcl, KclRecord, KclVersion};
use crate::support::kinesis::{aggregate, hash_key};
use crate::support::leases::{OURS, Stretch, Watch};
use crate::support::output::dead_letters;
use crate::support::program::Program;
use crate::support::service::given;
use crate::support::{eventually, seconds};

/// The two halves of the hash keys: what the shards of a stream of two have.
const HALF: u128 = 1 << 127;
const LOW: (u128, u128) = (0, HALF - 1);
const HIGH: (u128, u128) = (HALF, u128::MAX);

/// Where a record went.
#[derive(Clone, Debug)]
struct Place {
    shard: String,
    position: Position,
}

/// A stream and a lease table that the program and a KCL share.
struct Shared {
    bench: Bench,
    application: Application,
    watch: Watch,
    /// All that was sent; records are called by their index.
    sent: Vec<Place>,
    keys: u32,
    /// What workers of the KCL were handed that have ended.
    handed: Vec<KclRecord>,
}

/// Who has read what, when nobody reads any more.
#[derive(Debug, Default)]
struct Outcome {
    /// Rows.
    ours: BTreeSet<usize>,
    /// What the KCL was handed, and whether it has checkpointed it.
    theirs: BTreeMap<usize, bool>,
}

impl Shared {
    fn new(shards: i32, failover: Duration) -> Self {
        let mut bench = Bench::new(shards);
        let time = format!("{}ms", failover.as_millis());
        bench.config = bench
            .config
            .set("kinesis.failover-time", &time)
            .set("kinesis.workers", "1")
            .set("middleware.max-flush-duration", "300ms");
        let dynamodb = given("ALLUVIUM_TEST_DYNAMODB");
        let application = Application {
            kinesis: bench.kinesis.endpoint.clone(),
            dynamodb: dynamodb.clone(),
            stream: bench.stream.clone(),
            table: bench.stream.clone(),
            failover_ms: u64::try_from(failover.as_millis()).unwrap(),
            settings: vec![
                // For so long it sleeps when it has made the leases of an empty table.
                ("KCL_SHARD_SYNC_MILLIS", "1000".into()),
                // So that it is seen what a lease says that it is given, before its first checkpoint.
                ("KCL_BEGIN_MILLIS", "1000".into()),
            ],
        };
        Self {
            watch: Watch::start(&dynamodb, &bench.stream),
            bench,
            application,
            sent: Vec::new(),
            keys: 0,
            handed: Vec::new(),
        }
    }

    /// Sends records whose hash keys are in `range`; every third is an aggregate of so many.
    fn send(&mut self, range: (u128, u128), records: usize, users: usize) {
        let (mut put, mut counts) = (Vec::new(), Vec::new());
        let mut next = self.sent.len();
        while put.len() < records {
            self.keys += 1;
            let key = format!("key {}", self.keys);
            if !(range.0..=range.1).contains(&hash_key(&key)) {
                continue;
            }
            let count = match put.len().is_multiple_of(3) {
                true => users,
                false => 1,
            };
            let mut payloads: Vec<_> = (next..next + count).map(|n| event(n as u64)).collect();
            let payload = match count {
                1 => payloads.remove(0),
                _ => {
                    let users = payloads.into_iter().map(|payload| (key.clone(), payload));
                    aggregate(&key, &users.collect::<Vec<_>>())
                }
            };
            put.push((key, payload));
            counts.push(count);
            next += count;
        }
        let bench = &self.bench;
        let put = bench.kinesis.put_records(&bench.stream, &put);
        for ((shard, sequence), count) in bench.runtime.block_on(put).into_iter().zip(counts) {
            let place = |sub| Place {
                shard: shard.clone(),
                position: Position::in_shard(sequence, sub),
            };
            self.sent.extend((0..count as u64).map(place));
        }
    }

    /// Sends a few records again and again until it is `done`.
    fn keep_sending(&mut self, what: &str, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < limit, "waited {limit:?} for: {what}");
            self.send(ALL, 4, 3);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The number of a record that the KCL was handed: it must be as it was sent, and where.
    fn number(&self, record: &KclRecord) -> usize {
        let value: Value = serde_json::from_slice(&record.data).unwrap();
        let number = value["data"]["n"].as_u64().unwrap() as usize;
        let place = &self.sent[number];
        let position = Position::in_shard(record.sequence.parse().unwrap(), record.sub);
        assert_eq!((&record.shard, position), (&place.shard, place.position));
        number
    }

    /// Rows, each number once.
    fn ours(&self) -> BTreeSet<usize> {
        let mut ours = BTreeSet::new();
        for (number, count) in self.bench.numbers() {
            assert_eq!(count, 1, "{number} is in the target {count} times");
            ours.insert(number as usize);
        }
        ours
    }

    /// What was read by anybody, if this worker is the only one of the KCL's that runs.
    fn arrived(&self, kcl: Option<&Kcl>) -> BTreeSet<usize> {
        let running = kcl.map(Kcl::records).unwrap_or_default();
        let theirs = self.handed.iter().chain(&running);
        let theirs: BTreeSet<usize> = theirs.map(|record| self.number(record)).collect();
        &self.ours() | &theirs
    }

    fn wait_for_all(&self, limit: Duration, kcl: Option<&Kcl>) {
        eventually("all records to be read", limit, || {
            self.arrived(kcl).len() == self.sent.len()
        });
    }

    /// Waits until everybody has so many leases. A look is due every two failover times, and takes one lease of another's.
    fn wait_for_shares(&self, shares: &[(&str, usize)]) {
        let what = format!("shares of {shares:?}");
        eventually(&what, seconds(180), || self.has_shares(shares));
    }

    fn has_shares(&self, shares: &[(&str, usize)]) -> bool {
        let wanted = shares
            .iter()
            .map(|(owner, count)| ((*owner).to_owned(), *count));
        self.watch.shares() == wanted.collect()
    }

    fn lease(&self, shard: &str) -> Lease {
        let leases = self.watch.leases();
        let found = leases.into_iter().find(|lease| lease.key == shard);
        found.unwrap_or_else(|| panic!("no lease of {shard}"))
    }

    /// Takes in what a worker of the KCL was handed, which has ended.
    fn ended(&mut self, kcl: &Kcl) {
        self.handed.extend(kcl.records());
    }

    /// Judges by what holds whatever happens: nothing is lost, nothing is twice in the target, and nothing is twice with the KCL that it
    /// has checkpointed.
    fn outcome(&self) -> Outcome {
        let mut outcome = Outcome {
            ours: self.ours(),
            ..Outcome::default()
        };
        for record in &self.handed {
            let number = self.number(record);
            let checkpointed = outcome.theirs.entry(number).or_default();
            let twice = *checkpointed && record.checkpointed;
            assert!(!twice, "the KCL has checkpointed {number} twice");
            *checkpointed |= record.checkpointed;
        }
        let read = |n: &usize| outcome.ours.contains(n) || outcome.theirs.contains_key(n);
        let missing: Vec<usize> = (0..self.sent.len()).filter(|n| !read(n)).collect();
        assert!(missing.is_empty(), "nobody has read {missing:?}");
        let letters = dead_letters(&self.bench.config.output());
        assert!(letters.is_empty(), "{letters:?}");
        outcome
    }

    /// Every record was read once, by whomever.
    fn assert_once(&self) {
        let outcome = self.outcome();
        let read = outcome.ours.len() + self.handed.len();
        let doubled = outcome.doubled(|_, _| true);
        assert!(doubled.is_empty(), "read twice: {doubled:?}");
        assert_eq!(read, self.sent.len(), "the KCL was handed some twice");
    }

    /// What is read twice is what the KCL had not checkpointed, or what an open plan covered that it was given.
    fn assert_doubles_as_documented(&self) -> Outcome {
        let outcome = self.outcome();
        let plans = self.watch.inherited();
        let wrong = outcome.doubled(|n, checkpointed| checkpointed && !self.is_in(&plans, n));
        assert!(wrong.is_empty(), "read twice: {wrong:?}; plans: {plans:?}");
        outcome
    }

    fn is_in(&self, plans: &BTreeMap<String, BTreeSet<Stretch>>, number: usize) -> bool {
        let Place { shard, position } = &self.sent[number];
        let mut plans = plans.get(shard).into_iter().flatten();
        plans.any(|(from, to)| (from..to).contains(&position))
    }

    /// Nobody of ours has a lease of a shard that there is more to read of, and no plan is open.
    fn assert_handed_back(&self) {
        let leases = self.bench.ask(&["leases"]);
        let mut shards = leases.lines().filter(|line| line.starts_with("shardId"));
        let free = |line: &str| line.contains("  ended") || !line.contains(OURS);
        assert!(
            shards.all(|line| free(line) && !line.contains("  open  ")),
            "{leases}"
        );
    }

    /// Waits until plans are finished, or a KCL that was given them has checkpointed what they covered.
    fn wait_for_no_plan(&self) {
        eventually("no open plan", seconds(180), || {
            let leases = self.watch.leases();
            leases.iter().all(|lease| lease.pending.is_none())
        });
    }
}

impl Outcome {
    /// Records that both have read, as far as they and whether the KCL has checkpointed them are `wanted`.
    fn doubled(&self, wanted: impl Fn(usize, bool) -> bool) -> BTreeSet<usize> {
        let both = self.theirs.iter().filter(|(n, _)| self.ours.contains(n));
        let found = both.filter(|(n, checkpointed)| wanted(**n, **checkpointed));
        found.map(|(n, _)| *n).collect()
    }
}

#[test]
fn a_stream_goes_from_a_kcl_to_us_and_back() {
    let mut shared = Shared::new(2, seconds(2));
    shared.send(LOW, 300, 5);
    shared.send(HIGH, 12, 5);
    shared.bench.split("shardId-000000000001", HIGH);
    shared.send(HIGH, 60, 5);

    // Shard 1 is read to its end by the KCL, and of shard 0 a part, which ends within an aggregate.
    let slow = shared.application.set("KCL_MAX_RECORDS", 4);
    let slow = slow.set("KCL_STOPS_WITHIN", 0);
    let mut kcl = Kcl::start(KclVersion::Two, &slow, "kcl-1");
    eventually("the end of a shard", seconds(180), || {
        kcl.log().contains("ends shardId-000000000001")
    });
    kcl.stop();
    shared.ended(&kcl);
    let cut = "stops within an aggregate of shardId-000000000000";
    assert!(kcl.log().contains(cut), "{}", kcl.log());
    drop(kcl);

    // We read the rest of shard 0 to its end, and the children of both.
    shared.bench.split("shardId-000000000000", LOW);
    shared.send(ALL, 90, 5);
    let mut program = Program::start(&shared.bench.config);
    shared.wait_for_all(seconds(180), None);
    eventually("the end of the parent", seconds(180), || {
        shared.lease("shardId-000000000000").is_finished()
    });
    program.stop();
    shared.assert_handed_back();

    // The KCL reads on in shards that we have begun, one of which was split and two merged.
    shared.send(ALL, 60, 5);
    shared.bench.split("shardId-000000000002", halves(HIGH)[0]);
    let merged = ["shardId-000000000004", "shardId-000000000005"];
    shared.bench.merge(merged[0], merged[1]);
    shared.send(ALL, 60, 5);
    let mut kcl = Kcl::start(KclVersion::Two, &shared.application, "kcl-2");
    shared.wait_for_all(seconds(180), Some(&kcl));
    kcl.stop();
    shared.ended(&kcl);

    shared.send(ALL, 30, 5);
    Program::until_end(&shared.bench.config, seconds(180));
    shared.assert_once();
}

/// What a range is split into.
fn halves((from, to): (u128, u128)) -> [(u128, u128); 2] {
    let middle = from + (to - from) / 2;
    [(from, middle), (middle + 1, to)]
}

#[test]
fn a_kcl_beside_us_is_killed() {
    let mut shared = Shared::new(4, seconds(3));
    let rarely = shared.application.set("KCL_CHECKPOINT_MILLIS", 5000);
    let mut kcl = Kcl::start(KclVersion::Two, &rarely, "kcl-1");
    shared.keep_sending("the KCL to have all", seconds(180), |shared| {
        shared.has_shares(&[("kcl-1", 4)]) && !kcl.records().is_empty()
    });
    let mut program = Program::start(&shared.bench.config);
    let balanced = [(OURS, 2), ("kcl-1", 2)];
    shared.keep_sending("balance", seconds(180), |shared| {
        shared.has_shares(&balanced)
    });
    // Whoever was too slow for a moment may have lost a lease, and takes it again.
    shared.keep_sending("two leases of each to be shown", seconds(120), |shared| {
        let shown = shared.bench.ask(&["leases"]);
        let both = ["alluvium:", "kcl-1"].into_iter();
        both.map(|owner| shown.matches(owner).count()).eq([2, 2])
    });
    let before = shared.sent.len();
    shared.keep_sending("both to read on", seconds(120), |shared| {
        let new = |n: usize| n >= before;
        // By the leases themselves: what is checkpointed now cannot be told by what the KCL says later.
        let waits = |kcl: &Kcl| {
            let leases = shared.watch.leases();
            let records = kcl.records().into_iter();
            let waiting = records.filter(|record| {
                let place = &shared.sent[shared.number(record)];
                let mut lease = leases.iter().filter(|lease| lease.key == place.shard);
                new(shared.number(record)) && lease.any(|lease| is_behind(lease, place.position))
            });
            let shards: BTreeSet<String> = waiting.map(|record| record.shard).collect();
            shards.len() == 2
        };
        shared.ours().into_iter().any(new) && waits(&kcl) && kcl.kill_when(waits)
    });
    shared.ended(&kcl);
    shared.keep_sending("us to have all", seconds(180), |shared| {
        shared.has_shares(&[(OURS, 4)])
    });
    shared.wait_for_all(seconds(180), None);
    program.stop();
    let outcome = shared.assert_doubles_as_documented();
    assert!(
        outcome.doubled(|n, _| n >= before).len() >= 2,
        "what was not checkpointed was read again: {outcome:?}"
    );
}

/// Whether a position is behind what a lease says was checkpointed.
fn is_behind(lease: &Lease, position: Position) -> bool {
    match lease.checkpoint {
        LeasePosition::At { sequence, sub } => position > Position::in_shard(sequence, sub),
        _ => true,
    }
}

#[test]
fn we_are_killed_beside_a_kcl() {
    let mut shared = Shared::new(4, seconds(3));
    let alone = [("kcl-1", 4)];
    let balanced = [(OURS, 2), ("kcl-1", 2)];
    let mut program = Program::start(&shared.bench.config);
    shared.send(ALL, 60, 5);
    shared.wait_for_all(seconds(180), None);
    shared.wait_for_no_plan();
    let mut kcl = Kcl::start(KclVersion::Two, &shared.application, "kcl-1");
    shared.wait_for_shares(&balanced);
    let before = shared.sent.len();
    shared.keep_sending("both to read on", seconds(120), |shared| {
        let records = kcl.records();
        let theirs = records.iter().any(|record| shared.number(record) >= before);
        theirs && shared.ours().into_iter().any(|n| n >= before + 200)
    });
    program.kill();
    shared.keep_sending("the KCL to have all", seconds(180), |shared| {
        shared.has_shares(&alone)
    });
    shared.wait_for_all(seconds(180), Some(&kcl));
    shared.wait_for_no_plan();

    // With an open plan whose objects are there.
    let before = shared.sent.len();
    let another = shared.bench.config.another();
    let mut program = Program::start_in(&another, &[], &[("ALLUVIUM_FAILPOINT", "written:1")]);
    shared.wait_for_shares(&balanced);
    shared.send(ALL, 60, 5);
    assert_eq!(program.wait(seconds(180)), -1, "{}", program.log());
    shared.wait_for_shares(&alone);
    shared.wait_for_all(seconds(180), Some(&kcl));
    // If we were given the lease back before, we would finish the plan.
    shared.wait_for_no_plan();
    let planned = shared.ours().into_iter();
    let plans = shared.watch.inherited();
    let planned: BTreeSet<usize> = planned
        .filter(|n| *n >= before && shared.is_in(&plans, *n))
        .collect();
    assert!(!planned.is_empty(), "a plan was open: {plans:?}");

    // With a checkpoint within an aggregate.
    let after = shared.sent.len();
    let large = shared
        .bench
        .config
        .another()
        .set("middleware.max-flush-duration", "10m")
        .set("stream.max-flush-duration", "10m")
        .set("target.compression", "none")
        .set("target.aws.s3-max-data-size", "1kB");
    let mut program = Program::start_in(&large, &[], &[("ALLUVIUM_FAILPOINT", "committed:1")]);
    shared.wait_for_shares(&balanced);
    for shard in [halves(LOW), halves(HIGH)].concat() {
        // 2048 rows become a batch, which is looked at after a thousand records more at the latest: within this aggregate, whatever else
        // of the stream was there to be fetched with it.
        shared.send(shard, 1, 4000);
    }
    assert_eq!(program.wait(seconds(180)), -1, "{}", program.log());
    assert!(
        within_aggregate(&shared, after),
        "{:?}",
        shared.watch.leases()
    );
    shared.wait_for_shares(&alone);
    shared.wait_for_all(seconds(180), Some(&kcl));
    shared.wait_for_no_plan();

    kcl.stop();
    shared.ended(&kcl);
    let outcome = shared.assert_doubles_as_documented();
    let twice = outcome.doubled(|n, checkpointed| checkpointed && (before..after).contains(&n));
    assert_eq!(twice, planned, "an open plan's records are read twice");
}

/// Whether a checkpoint is behind a record from `first` on, and before another one of the same aggregate.
fn within_aggregate(shared: &Shared, first: usize) -> bool {
    let leases = shared.watch.leases();
    leases.iter().any(|lease| {
        let LeasePosition::At { sequence, sub } = lease.checkpoint else {
            return false;
        };
        let next = Position::in_shard(sequence, sub + 1);
        let mut rest = shared.sent[first..].iter();
        sub > 0 && rest.any(|place| place.shard == lease.key && place.position == next)
    })
}

#[test]
fn a_fleet_of_3_x_is_left_alone_until_it_has_stopped() {
    let mut shared = Shared::new(2, seconds(3));
    shared.send(ALL, 60, 5);
    let mut kcl = Kcl::start(KclVersion::Three, &shared.application, "kcl-1");
    // On an empty table we would be first.
    eventually("leases of the KCL", seconds(180), || {
        shared.has_shares(&[("kcl-1", 2)])
    });
    let mut program = Program::start(&shared.bench.config);
    eventually("a word about the fleet", seconds(180), || {
        let log = program.log();
        log.contains("a fleet of KCL 3.x that is alive") && log.contains("nothing is taken")
    });
    shared.send(ALL, 60, 5);
    eventually("the KCL to read all", seconds(180), || {
        let numbers = kcl
            .records()
            .into_iter()
            .map(|record| shared.number(&record));
        numbers.collect::<BTreeSet<_>>().len() == shared.sent.len()
    });
    kcl.stop();
    shared.ended(&kcl);
    assert!(
        shared.ours().is_empty() && !shared.watch.moves().concat().contains(OURS),
        "nothing is taken from a fleet that is alive"
    );
    drop(kcl);

    shared.send(ALL, 60, 5);
    shared.wait_for_all(seconds(240), None);
    program.stop();
    shared.assert_handed_back();

    shared.send(ALL, 60, 5);
    let mut kcl = Kcl::start(KclVersion::Three, &shared.application, "kcl-2");
    shared.wait_for_all(seconds(240), Some(&kcl));
    kcl.stop();
    shared.ended(&kcl);
    shared.assert_once();
}
