//! A lease table watched from outside while others write it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use alluvium::deliver::Plan;
use alluvium::record::{Position, Sequence};
use alluvium::source::kinesis::lease::{
    DynamoLeases, Lease, LeasePosition, LeaseStore, OWNER_PREFIX,
};

use super::kinesis::access;
use super::{eventually, seconds};

/// Between two looks: much less than a KCL takes from when it has a lease to its first checkpoint (`KCL_BEGIN_MILLIS`).
const PAUSE: Duration = Duration::from_millis(50);
/// What all workers of the program are called in [`Watch::shares`].
pub const OURS: &str = "alluvium";

/// From the first position to before the second.
pub type Stretch = (Position, Position);

#[derive(Default)]
struct Seen {
    /// How many looks have begun.
    looks: u64,
    /// What the last one found that has ended, and which it was.
    leases: Vec<Lease>,
    found_by: u64,
    inherited: BTreeMap<String, BTreeSet<Stretch>>,
    moves: Vec<String>,
}

/// Watches until it is dropped.
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
}

impl Watch {
    pub fn start(dynamodb: &str, table: &str) -> Self {
        let watch = Self {
            seen: Arc::default(),
            over: Arc::default(),
        };
        let (seen, over) = (watch.seen.clone(), watch.over.clone());
        let (access, table) = (access(dynamodb), table.to_owned());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let connect = DynamoLeases::connect(&access, Duration::from_secs(3), &table);
            let store = runtime.block_on(connect).unwrap();
            let began = Instant::now();
            while !over.load(Ordering::Relaxed) {
                seen.lock().unwrap().looks += 1;
                let found = runtime.block_on(store.scan());
                let mut seen = seen.lock().unwrap();
                match found {
                    Ok(listing) => seen.look(listing.leases, began.elapsed()),
                    // There is no table yet.
                    Err(_) if seen.leases.is_empty() => seen.look(Vec::new(), began.elapsed()),
                    Err(_) => {}
                }
                drop(seen);
                std::thread::sleep(PAUSE);
            }
        });
        watch
    }

    /// The table as it is now: what a look found that began after the question.
    pub fn leases(&self) -> Vec<Lease> {
        let asked = self.seen.lock().unwrap().looks;
        eventually("a look at the leases", seconds(120), || {
            self.seen.lock().unwrap().found_by > asked
        });
        self.seen.lock().unwrap().leases.clone()
    }

    /// How many leases of shards that are not read to their end everybody has; nobody is "".
    pub fn shares(&self) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for lease in self.leases().iter().filter(|lease| !lease.is_finished()) {
            *shares.entry(owner(lease)).or_default() += 1;
        }
        shares
    }

    /// What open plans said in leases that a KCL had, a list a shard: what it may have read a second time.
    pub fn inherited(&self) -> BTreeMap<String, BTreeSet<Stretch>> {
        self.seen.lock().unwrap().inherited.clone()
    }

    /// Which lease went to whom, when.
    pub fn moves(&self) -> Vec<String> {
        self.seen.lock().unwrap().moves.clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if std::thread::panicking() {
            eprintln!("leases:\n{}", self.moves().join("\n"));
        }
    }
}

impl Seen {
    fn look(&mut self, leases: Vec<Lease>, at: Duration) {
        let before = |key: &str| self.leases.iter().find(|lease| lease.key == *key);
        for lease in &leases {
            let (owner, plan) = (owner(lease), plan(lease));
            if before(&lease.key).is_none_or(|before| before.owner != lease.owner) {
                let (key, checkpoint) = (&lease.key, lease.checkpoint);
                let line = format!("{at:.1?} {key} to {owner:?} at {checkpoint}, plan {plan:?}");
                self.moves.push(line);
            }
            if let Some(plan) = plan.filter(|_| !["", OURS].contains(&owner.as_str())) {
                let plans = self.inherited.entry(lease.key.clone());
                plans.or_default().insert(plan);
            }
        }
        self.leases = leases;
        self.found_by = self.looks;
    }
}

/// Whose a lease is, with one name for all workers of the program.
fn owner(lease: &Lease) -> String {
    match lease.owner.as_deref().unwrap_or_default() {
        owner if owner.starts_with(OWNER_PREFIX) => OURS.into(),
        owner => owner.into(),
    }
}

/// What the open plan of a lease covers.
fn plan(lease: &Lease) -> Option<Stretch> {
    let from = match lease.checkpoint {
        LeasePosition::At { sequence, sub } => Position::in_shard(sequence, sub).next(),
        _ => Position::in_shard(Sequence::ZERO, 0),
    };
    // One that cannot be read allows nothing.
    let plan = Plan::read(lease.state()?.plan, from).ok()??;
    Some((from, plan.spans.last()?.to))
}
