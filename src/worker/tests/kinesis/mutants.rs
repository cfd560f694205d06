//! Whether the simulation would notice: what keeps exactly-once is broken on purpose, one rule at a time.

use super::{many, number};
use crate::mutation::Mutation;

/// What some seed must notice. Those of the worker itself are all in the other simulation; here are the ones that leases could hide.
/// These worlds have not noticed `NewsOfAnotherReader` (readers are seldom replaced in them) in 12 seeds, nor `FirstForgotten`, `BoundsForgotten` and `DurableBeforeWritten` in the
/// few that were tried: the last two are the other simulation's.
/// `ClocksAgree` is in [`stories`](super::stories), and `CounterIgnored` in the worlds of the leases' keepers: requests are later there.
const ALL: &[Mutation] = &[
    Mutation::LeaseUnguarded,
    Mutation::EndedUncommitted,
    Mutation::ParentsIgnored,
    Mutation::EndBeforeChildren,
    Mutation::SubSequenceForgotten,
    Mutation::ForeignAccepted,
    Mutation::BeginningForgotten,
    Mutation::PlanIgnored,
    Mutation::ErrorTakenForStored,
];

/// The most seeds for each; the first that notices ends it.
const SEEDS: u64 = 40;

/// `ALLUVIUM_MUTATION=n` tries the one with this number only.
#[test]
#[ignore = "takes minutes"]
fn every_mutation_is_noticed() {
    let seeds = number("ALLUVIUM_MUTATION_SEEDS").unwrap_or(SEEDS);
    let only = number("ALLUVIUM_MUTATION");
    let mut unnoticed = Vec::new();
    for (at, mutation) in (0..).zip(ALL) {
        if only.is_some_and(|only| only != at) {
            continue;
        }
        let (_, failed) = many(Some(*mutation), seeds, true);
        match failed.first_key_value() {
            Some((seed, how)) => println!("| {mutation:?} | {seed} | {how:.160} |"),
            None => unnoticed.push(mutation),
        }
    }
    assert!(unnoticed.is_empty(), "not noticed: {unnoticed:?}");
}
