//! Whether the simulation would notice: what keeps exactly-once is broken on purpose, one rule at a time.

use super::{many, number, stories};
use crate::mutation::{Mutation, switch};

/// What some seed must notice. Those of the worker itself are all in the other simulation; here are the ones that leases could hide.
/// `CounterIgnored` is in the worlds of the leases' keepers: requests are later there.
const IN_WORLDS: &[Mutation] = &[
    Mutation::LeaseUnguarded,
    Mutation::EndedUncommitted,
    Mutation::ParentsIgnored,
    Mutation::EndBeforeChildren,
    Mutation::SubSequenceForgotten,
    Mutation::ForeignAccepted,
    Mutation::BeginningForgotten,
    Mutation::PlanIgnored,
    Mutation::ErrorTakenForStored,
    Mutation::DurableBeforeWritten,
    Mutation::BoundsForgotten,
    Mutation::FirstForgotten,
    Mutation::NewsOfAnotherReader,
];

type Stories = &'static [fn()];

/// What a story must notice: it ends badly.
const IN_STORIES: &[(Mutation, Stories)] = &[
    (
        Mutation::DurableBeforeWritten,
        &[stories::a_plan_that_was_not_written_is_written_by_the_next_owner],
    ),
    (
        Mutation::BoundsForgotten,
        &[stories::a_span_that_is_refused_ends_where_it_was_planned],
    ),
    (
        Mutation::FirstForgotten,
        &[
            stories::a_first_plan_at_latest_is_finished_by_the_next_owner,
            stories::a_plan_behind_a_long_silence_is_finished,
        ],
    ),
    (
        Mutation::NewsOfAnotherReader,
        &[stories::what_a_reader_had_fetched_counts_for_nothing_when_it_is_replaced],
    ),
    (
        Mutation::BeginningForgotten,
        &[
            stories::records_that_come_between_two_owners_are_not_lost_at_latest,
            stories::a_time_is_remembered_before_the_first_checkpoint,
        ],
    ),
    (
        Mutation::ClocksAgree,
        &[stories::a_clock_that_is_ahead_loses_nothing],
    ),
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
    for (at, mutation) in (0..).zip(IN_WORLDS) {
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

#[test]
fn every_story_that_should_ends_badly() {
    for (mutation, stories) in IN_STORIES {
        for (nth, story) in stories.iter().enumerate() {
            let told = std::thread::spawn(move || {
                switch(Some(*mutation));
                story();
            });
            assert!(
                told.join().is_err(),
                "{mutation:?} in story {nth} of its own"
            );
        }
    }
}
