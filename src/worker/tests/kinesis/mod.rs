//! Workers on a Kinesis stream and a lease table in memory, in stopped time, with everything going wrong that can.
//!
//! One seed is one world: a stream that is resharded while it is written to, plainly and in aggregates, and before; a few processes that are started, stopped, and
//! killed or stand still for longer than a lease lives, at any time and at each step of the protocol, before the request and behind it
//! ([`gate`]), and that are busy while their requests and readers go on ([`beside`]); leases that another program takes, once or again and again; services that
//! fail, throttle, lose answers, answer or do late, or are away for up to a minute; iterators that expire; records that are deleted as soon as they may; clocks that
//! do not agree; a target that fails, is slow, and refuses rows ([`target`]). Some worlds are read from the beginning, others from `LATEST` or `AT_TIMESTAMP`. What is
//! real: the worker, the source, its readers, the leases' keeper and holder, topology, de-aggregation. At the end
//! everything heals, and every record must be in the target exactly once, and none from before the time at which reading is to begin; what must hold at any time is in
//! [`check`] and [`written`]. [`stories`] are told one by one.
//!
//! ```text
//! ALLUVIUM_SEED=17 cargo test --lib kinesis::one_seed -- --nocapture --ignored     the story of a seed
//! ALLUVIUM_SEEDS=10000 cargo test --lib kinesis::seeds -- --nocapture              many seeds
//! ```

mod beside;
mod check;
mod gate;
mod mutants;
mod process;
mod stories;
mod target;
mod world;
mod written;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use self::world::{Tally, World};
use crate::mutation::{Mutation, switch};

/// Seeds when nobody says how many.
const SEEDS: u64 = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs worlds on two threads, until one fails if only that is asked. Returns what has happened, and what was broken in which seed.
fn many(mutation: Option<Mutation>, seeds: u64, first: bool) -> (Tally, BTreeMap<u64, String>) {
    let (next, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let (tally, failed) = (Mutex::new(Tally::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                switch(mutation);
                while !done.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let (counts, end) = World::new(seed, false).run();
                    let mut tally = tally.lock().unwrap();
                    for (what, count) in counts {
                        *tally.entry(what).or_default() += count;
                    }
                    if let Err(violation) = end {
                        failed.lock().unwrap().insert(seed, violation);
                        done.fetch_or(first, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (tally.into_inner().unwrap(), failed.into_inner().unwrap())
}

#[test]
fn seeds() {
    let seeds = number("ALLUVIUM_SEEDS").unwrap_or(SEEDS);
    let (tally, failed) = many(None, seeds, false);
    for (what, count) in &tally {
        println!("{count:>8} {what}");
    }
    for (seed, violation) in &failed {
        println!("seed {seed}: {violation}");
    }
    assert!(
        failed.is_empty(),
        "{} of {seeds} seeds fail; to see one: ALLUVIUM_SEED=n cargo test --lib kinesis::one_seed -- --nocapture --ignored",
        failed.len()
    );
}

/// For people: says what happens in `ALLUVIUM_SEED`.
#[test]
#[ignore = "needs ALLUVIUM_SEED"]
fn one_seed() {
    let seed = number("ALLUVIUM_SEED").expect("ALLUVIUM_SEED is a number");
    let (tally, end) = World::new(seed, true).run();
    println!("{tally:#?}");
    end.unwrap();
}
