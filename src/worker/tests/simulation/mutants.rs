//! Whether the simulation would notice: the protocol is broken on purpose, one rule at a time.

use std::sync::Mutex;

use super::{many, number};
use crate::mutation::Mutation;

/// What is known of a mutation.
pub(super) enum Known {
    /// Some seed must notice.
    Harmful,
    /// No seed can, for this reason.
    Harmless(&'static str),
}
use Known::{Harmful, Harmless};

pub(super) const ALL: &[(Mutation, Known)] = &[
    (Mutation::WrittenBeforePlanned, Harmful),
    (Mutation::DurableBeforeWritten, Harmful),
    (Mutation::CheckpointOutOfOrder, Harmful),
    (Mutation::BoundsForgotten, Harmful),
    (Mutation::PlanClearedEarly, Harmful),
    (Mutation::OpenedAnew, Harmful),
    (Mutation::PlanIgnored, Harmful),
    (Mutation::ErrorTakenForStored, Harmful),
    (
        Mutation::AnswerForAnother,
        Harmless(
            "an answer says truly what is stored for the partition, and no span that is sealed anew has the end and the time of \
             an old one. It would matter after a topic was created anew, which is not simulated",
        ),
    ),
    (Mutation::ReportForAnother, Harmful),
    (Mutation::SkippedWhileDeaf, Harmful),
    (Mutation::NoFence, Harmful),
    (Mutation::StoredOutOfOrder, Harmful),
    (Mutation::GivenBackDuringCommit, Harmful),
    (Mutation::StandingOfAnother, Harmful),
    (Mutation::NamedByClock, Harmful),
    (Mutation::LettersAfterwards, Harmful),
    (Mutation::LateAfterwards, Harmful),
    (Mutation::LateGivenUp, Harmful),
    (Mutation::LateByClock, Harmful),
    (Mutation::RememberedEarly, Harmful),
    (Mutation::RepeatsItself, Harmful),
    (Mutation::UnderWayForEver, Harmful),
    (Mutation::AgainCountsForOthers, Harmful),
    (Mutation::TakenUndecided, Harmful),
    (Mutation::DecidedByOneself, Harmful),
    (
        Mutation::ReplannedAfterError,
        Harmless(
            "nothing is written under a plan before its commit was answered with success, so a plan that may have been stored \
             can still be replaced by its owner; whoever else follows it has the partition, and refuses the replacement",
        ),
    ),
    (
        Mutation::Overwritten,
        Harmless(
            "whoever writes a span writes the same: a name that is taken holds what would be written",
        ),
    ),
];

/// Seeds for each mutation.
const SEEDS: u64 = 2000;

#[test]
fn every_harmful_mutation_is_noticed() {
    let seeds = number("ALLUVIUM_MUTATION_SEEDS").unwrap_or(SEEDS);
    let mut wrong = Vec::new();
    println!("| mutation | seeds | noticed | survived | first | how |");
    println!("|---|---|---|---|---|---|");
    for (mutation, known) in ALL {
        let noticed = Mutex::new(Vec::new());
        many(Some(*mutation), seeds, |seed, ran| {
            if let Some(violation) = &ran.violation {
                noticed.lock().unwrap().push((seed, violation.clone()));
            }
        });
        let mut noticed = noticed.into_inner().unwrap();
        noticed.sort();
        let count = noticed.len() as u64;
        let first = noticed
            .first()
            .map(|(seed, _)| seed.to_string())
            .unwrap_or_default();
        let how = noticed
            .first()
            .map(|(_, how)| how.as_str())
            .unwrap_or_default();
        let known_as = match known {
            Harmful => "",
            Harmless(_) => " (harmless)",
        };
        println!(
            "| {mutation:?}{known_as} | {seeds} | {count} | {} | {first} | {how} |",
            seeds - count
        );
        match known {
            Harmful if count == 0 => wrong.push(format!("{mutation:?} is not noticed")),
            Harmless(why) if count > 0 => wrong.push(format!(
                "{mutation:?} is not harmless, but should be: {why}"
            )),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
