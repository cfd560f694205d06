//! The protocol in small worlds: real workers against a simulated stream, group, clock and target, with every fault that can be
//! thought of, and the promises checked at every step.
//!
//! One seed is one world: a few partitions, processes and tables, faults of some kinds, and an order of events. The same seed comes
//! out the same everywhere. What is real: `Worker`, `Flow`, `Ledger`, `Plan`, `Writer`, `flush`, `decode`, `table`. What is
//! simulated: the [`group`] with the checkpoint store, its [`client`], the [`store`] that is the target, the [`historical`] topic,
//! the machines' disks with what is remembered of [`events`], the catalog's [`tables`], time.
//!
//! ```text
//! ALLUVIUM_SEED=17 cargo test --lib simulation::one_seed -- --nocapture --ignored     the story of a seed
//! ALLUVIUM_SEED=121 ALLUVIUM_MUTATION=10 …                        the same in a broken protocol (number in `mutants::ALL`)
//! ALLUVIUM_SEEDS=100000 cargo test --lib simulation::seeds -- --nocapture             many seeds
//! ```

mod check;
mod client;
mod commits;
mod drive;
mod events;
mod group;
mod historical;
mod history;
mod log;
mod mutants;
mod process;
pub(super) mod random;
mod rows;
mod settings;
mod source;
mod store;
mod tables;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::drive::{Ran, run};
use crate::metrics::Metrics;
use crate::mutation::{Mutation, switch};

/// Seeds when nobody says how many: about half a minute on two cores.
const SEEDS: u64 = 10_000;
/// Lines of a failing seed's history that are shown.
const LAST: usize = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on two threads, and hands each one's end to `each`.
fn many(mutation: Option<Mutation>, seeds: u64, each: impl Fn(u64, &Ran) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                switch(mutation);
                let metrics = Metrics::new().unwrap();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    each(seed, &run(seed, &metrics, false));
                }
            });
        }
    });
}

/// The story of a seed, its last lines only unless `whole`.
fn tell(seed: u64, whole: bool) -> Ran {
    let ran = run(seed, &Metrics::new().unwrap(), true);
    let skipped = if whole {
        0
    } else {
        ran.lines.len().saturating_sub(LAST)
    };
    for line in &ran.lines[skipped..] {
        println!("{line}");
    }
    println!(
        "seed {seed}: {} events, {:?} simulated, hash {:016x}",
        ran.events, ran.took, ran.hash
    );
    ran
}

#[test]
fn seeds() {
    let seeds = number("ALLUVIUM_SEEDS").unwrap_or(SEEDS);
    let started = Instant::now();
    let (failed, events, over, simulated) = (
        std::sync::Mutex::new(Vec::new()),
        AtomicU64::new(0),
        AtomicU64::new(0),
        AtomicU64::new(0),
    );
    many(None, seeds, |seed, ran| {
        events.fetch_add(ran.events, Ordering::Relaxed);
        over.fetch_max(ran.over_memory, Ordering::Relaxed);
        simulated.fetch_add(ran.took.as_secs(), Ordering::Relaxed);
        if let Some(violation) = &ran.violation {
            failed.lock().unwrap().push((seed, violation.clone()));
        }
    });
    let took = started.elapsed().as_secs_f64();
    println!(
        "{seeds} seeds in {took:.1} s ({:.0} a second), {} events, {} hours simulated, at most {} bytes over the memory limit",
        seeds as f64 / took,
        events.into_inner(),
        simulated.into_inner() / 3600,
        over.into_inner(),
    );
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let Some((seed, violation)) = failed.first() else {
        return;
    };
    tell(*seed, false);
    for (seed, violation) in failed.iter().take(20) {
        println!("seed {seed}: {violation}");
    }
    panic!(
        "{} of {seeds} seeds fail; the first is {seed}: {violation}. To see all of it: \
         ALLUVIUM_SEED={seed} cargo test --lib simulation::one_seed -- --nocapture --ignored",
        failed.len()
    );
}

/// For people: says what happens in `ALLUVIUM_SEED`.
#[test]
#[ignore = "needs ALLUVIUM_SEED"]
fn one_seed() {
    let seed = number("ALLUVIUM_SEED").expect("ALLUVIUM_SEED is a number");
    switch(number("ALLUVIUM_MUTATION").map(|at| mutants::ALL[at as usize].0));
    let ran = tell(seed, true);
    assert_eq!(ran.violation, None);
}

#[test]
fn a_seed_comes_out_the_same_every_time() {
    let metrics = Metrics::new().unwrap();
    for seed in 0..30 {
        let (first, second) = (run(seed, &metrics, false), run(seed, &metrics, true));
        assert_eq!(
            (first.hash, first.events),
            (second.hash, second.events),
            "seed {seed}"
        );
    }
}
