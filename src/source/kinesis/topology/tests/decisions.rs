//! Each decision by itself.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::source::kinesis::lease::LeasePosition::{
    At, AtTimestamp, Latest, ShardEnd, TrimHorizon,
};
use crate::source::kinesis::stream::Child;

const SOME_TIME: Initial = Initial::AtTimestamp(UNIX_EPOCH);
const MAX: u128 = u128::MAX;

fn lease(number: u64, checkpoint: LeasePosition, parents: &[u64]) -> Lease {
    Lease {
        parents: ids(parents),
        ..Lease::new(id(number), checkpoint)
    }
}

fn with_range(number: u64, range: (u128, u128)) -> Lease {
    Lease {
        hash_range: Some(HashRange {
            start: range.0,
            end: range.1,
        }),
        ..Lease::new(id(number), TrimHorizon)
    }
}

fn read() -> LeasePosition {
    At {
        sequence: "7".parse().unwrap(),
        sub: 0,
    }
}

/// Shards 0 and 1 were merged to 6, 2 and 3 to 7, then 6 and 7 to 8, and 5 was split into 9 and 10.
fn twice_resharded() -> Vec<Shard> {
    vec![
        shard(0, &[], (0, 9), true),
        shard(1, &[], (10, 19), true),
        shard(2, &[], (20, 29), true),
        shard(3, &[], (30, 39), true),
        shard(4, &[], (40, 49), false),
        shard(5, &[], (50, MAX), true),
        shard(6, &[0, 1], (0, 19), true),
        shard(7, &[2, 3], (20, 39), true),
        shard(8, &[6, 7], (0, 39), false),
        shard(9, &[5], (50, 99), false),
        shard(10, &[5], (100, MAX), false),
    ]
}

fn found(shards: &[Shard], leased: &[u64], initial: Initial) -> Vec<(String, LeasePosition)> {
    let leases: Vec<_> = leased
        .iter()
        .map(|number| lease(*number, read(), &[]))
        .collect();
    let then: Vec<_> = [4, 5, 6, 7].map(|at| twice_resharded().remove(at)).into();
    let then = (initial == SOME_TIME).then_some(&then[..]);
    let found = missing(shards, &leases, initial, then).unwrap();
    found
        .into_iter()
        .map(|lease| (lease.key, lease.checkpoint))
        .collect()
}

#[test]
fn a_line_is_begun_with_its_oldest_shard_that_must_be_read() {
    let shards = twice_resharded();
    let begins = |leased: &[u64], initial| found(&shards, leased, initial);
    // 8 comes from 7, which is read; its other side, 6, is not.
    assert_eq!(begins(&[4, 5, 7], Initial::Latest), [(id(6), Latest)]);
    assert_eq!(
        begins(&[4, 5, 7], Initial::TrimHorizon),
        [(id(0), TrimHorizon), (id(1), TrimHorizon)]
    );
    // At that time there were 4, 5, 6 and 7. But a line that was begun is read on, whatever was before it.
    assert_eq!(begins(&[0, 4, 5, 7], SOME_TIME), [(id(1), AtTimestamp)]);
    assert_eq!(begins(&[4, 5, 7], SOME_TIME), [(id(6), AtTimestamp)]);
    // One parent of 6 is read, so the other must be.
    assert_eq!(begins(&[0, 4, 5, 7], Initial::Latest), [(id(1), Latest)]);
    assert_eq!(
        begins(&[0, 4, 5, 7], Initial::TrimHorizon),
        [(id(1), TrimHorizon)]
    );
    // Who reads 5 makes the leases of 9 and 10.
    assert_eq!(begins(&[4, 5, 8], Initial::Latest), []);
    assert_eq!(begins(&[4, 8, 9], Initial::Latest), [(id(10), Latest)]);
    assert_eq!(
        begins(&[4, 8], Initial::TrimHorizon),
        [(id(5), TrimHorizon)]
    );
    assert_eq!(begins(&[5, 8], SOME_TIME), [(id(4), AtTimestamp)]);
    // All are there.
    assert_eq!(begins(&[4, 8, 9, 10], Initial::TrimHorizon), []);
}

#[test]
fn parents_that_are_forgotten_are_no_ancestors() {
    let shards: Vec<_> = twice_resharded()
        .into_iter()
        .filter(|shard| shard.closed == (shard.id == id(7)))
        .collect();
    let begins = found(&shards, &[4], Initial::TrimHorizon);
    assert_eq!(
        begins,
        [
            (id(7), TrimHorizon),
            (id(9), TrimHorizon),
            (id(10), TrimHorizon)
        ]
    );
}

#[test]
fn a_list_from_within_a_reshard_is_not_believed() {
    let mut shards = twice_resharded();
    shards[6].closed = false;
    let found = |leases: &[Lease], then| missing(&shards, leases, Initial::Latest, then);
    assert_eq!(found(&[], None), Err(Inconsistent(vec![id(8)])));
    // Nor one from before it.
    let shards = &shards[..8];
    let mut before = shards.to_vec();
    before[7].closed = false;
    let found = |leases: &[Lease], then| missing(&before, leases, Initial::Latest, then);
    assert!(found(&[], None).is_ok());
    let child = lease(8, read(), &[6, 7]);
    assert_eq!(found(&[child], None), Err(Inconsistent(vec![id(8)])));
    let then = [shard(9, &[5], (50, 99), false)];
    assert_eq!(found(&[], Some(&then)), Err(Inconsistent(vec![id(9)])));
}

#[test]
fn a_long_line_is_followed_to_its_beginning() {
    let line = |number: u64| {
        let parents = number.checked_sub(1);
        shard(number, parents.as_slice(), (0, MAX), number < 99_999)
    };
    let shards: Vec<_> = (0..100_000).map(line).collect();
    assert_eq!(
        found(&shards, &[], Initial::TrimHorizon),
        [(id(0), TrimHorizon)]
    );
    assert_eq!(found(&shards, &[50_000], Initial::TrimHorizon), []);
    // Nobody's parents are its children, but that is no reason to go round for ever.
    let round = [
        shard(1, &[2], (0, 1), true),
        shard(2, &[1], (0, 1), true),
        shard(3, &[1, 2], (0, 1), false),
    ];
    assert!(!found(&round, &[], Initial::TrimHorizon).is_empty());
}

#[test]
fn an_empty_table_gets_all_that_is_listed_in_its_order() {
    let mut shards = twice_resharded();
    shards.reverse();
    let leases = first(&shards, SOME_TIME);
    let keys: Vec<_> = leases.iter().map(|lease| lease.key.clone()).collect();
    assert_eq!(keys, (0..=10).map(id).collect::<Vec<_>>());
    assert!(leases.iter().all(|lease| lease.checkpoint == AtTimestamp));
    assert_eq!(leases[8].parents, ids(&[6, 7]));
    assert_eq!(leases[8].hash_range, Some(HashRange { start: 0, end: 39 }));
}

#[test]
fn shards_cover_all_hash_keys_or_not() {
    let covers = |ranges: &[(u128, u128)]| {
        let shards = ranges
            .iter()
            .enumerate()
            .map(|(at, range)| shard(at as u64, &[], *range, false));
        complete(&shards.collect::<Vec<_>>())
    };
    assert!(covers(&[(0, MAX)]));
    assert!(covers(&[(8, MAX), (0, 7)]));
    for ranges in [
        &[][..],
        &[(1, MAX)],
        &[(0, MAX - 1)],
        &[(0, 7), (9, MAX)],
        &[(0, 8), (8, MAX)],
        &[(0, MAX), (0, MAX)],
        &[(0, MAX), (5, MAX)],
    ] {
        assert!(!covers(ranges), "{ranges:?}");
    }
}

#[test]
fn the_first_hole_is_found_under_what_overlaps() {
    let holes = |ranges: &[(u128, u128)]| {
        let leases = ranges
            .iter()
            .enumerate()
            .map(|(at, range)| with_range(at as u64, *range));
        let found = hole(&leases.collect::<Vec<_>>(), None).unwrap();
        found.map(|Hole { from, to }| (from, to))
    };
    assert_eq!(holes(&[]), Some((0, MAX)));
    assert_eq!(holes(&[(0, MAX)]), None);
    assert_eq!(holes(&[(0, MAX), (3, 9)]), None);
    assert_eq!(holes(&[(5, 9), (0, 20), (21, MAX)]), None);
    assert_eq!(holes(&[(0, 20), (5, 9), (22, MAX)]), Some((21, 21)));
    assert_eq!(holes(&[(1, MAX)]), Some((0, 0)));
    assert_eq!(holes(&[(0, 7), (3, 5)]), Some((8, MAX)));
}

#[test]
fn finished_leases_cover_nothing_and_old_ones_what_their_shards_do() {
    let old = Lease {
        hash_range: None,
        ..with_range(1, (0, 0))
    };
    let done = Lease {
        checkpoint: ShardEnd,
        ..with_range(2, (8, MAX))
    };
    let leases = [old, done];
    assert_eq!(hole(&leases, None), Err(NeedsShards));
    let shards = [shard(1, &[], (0, 7), false)];
    assert_eq!(
        hole(&leases, Some(&shards)),
        Ok(Some(Hole { from: 8, to: MAX }))
    );
    assert_eq!(
        hole(&leases, Some(&[])),
        Ok(Some(Hole { from: 0, to: MAX }))
    );
}

#[test]
fn a_hole_is_certain_the_third_time_in_a_row() {
    let (one, other) = (Some(Hole { from: 1, to: 2 }), Some(Hole { from: 1, to: 3 }));
    let mut audit = Audit::default();
    let seen = [
        one, one, other, other, None, other, one, one, one, one, None, one,
    ];
    let certain: Vec<_> = seen.into_iter().map(|hole| audit.found(hole)).collect();
    let expected: Vec<_> = (0..seen.len()).map(|at| at == 8 || at == 9).collect();
    assert_eq!(certain, expected);
}

#[test]
fn a_shard_waits_for_each_parent_that_has_an_unfinished_lease() {
    let child = lease(3, TrimHorizon, &[1, 2]);
    let waits = |leases: &[Lease]| waits_for(&child, leases).map(str::to_owned);
    let (done, open) = (
        |number| lease(number, ShardEnd, &[]),
        |number| lease(number, read(), &[]),
    );
    assert_eq!(waits(&[]), None);
    assert_eq!(waits(&[done(1), done(2)]), None);
    assert_eq!(waits(&[done(1)]), None);
    assert_eq!(waits(&[done(1), open(2)]), Some(id(2)));
    assert_eq!(waits(&[open(4), lease(1, TrimHorizon, &[])]), Some(id(1)));
}

fn child(number: u64, parents: &[u64]) -> Child {
    Child {
        id: id(number),
        parents: parents.iter().copied().map(id).collect(),
        hash_range: HashRange { start: 0, end: MAX },
    }
}

fn finished(ending: Ending) -> (Vec<(String, LeasePosition)>, BTreeSet<String>) {
    match ending {
        Ending::Finish { create, children } => {
            let create = create
                .into_iter()
                .map(|lease| (lease.key, lease.checkpoint));
            (create.collect(), children)
        }
        Ending::Wait(why) => panic!("waits: {why}"),
    }
}

fn waits(ending: Ending) -> String {
    match ending {
        Ending::Wait(why) => why,
        done => panic!("{done:?}"),
    }
}

#[test]
fn a_split_ends_with_the_leases_of_both_children() {
    let (own, told) = (lease(1, read(), &[]), [child(2, &[1]), child(3, &[1])]);
    let mut shards = vec![
        shard(1, &[], (0, MAX), true),
        shard(2, &[1], (0, 9), false),
        shard(3, &[1], (10, MAX), false),
    ];
    let (create, children) = finished(at_end(&id(1), &told, std::slice::from_ref(&own), &shards));
    assert_eq!(create, [(id(2), TrimHorizon), (id(3), TrimHorizon)]);
    assert_eq!(children, ids(&[2, 3]));
    // Somebody was here before, and did not come to the end.
    let (create, children) = finished(at_end(
        &id(1),
        &told,
        &[own.clone(), lease(2, read(), &[1])],
        &shards,
    ));
    assert_eq!(
        (create, children),
        (vec![(id(3), TrimHorizon)], ids(&[2, 3]))
    );
    // 2 was read and its lease deleted, or nobody wants it: there is one further down.
    shards.extend([shard(4, &[2], (0, 4), true), shard(5, &[4], (0, 4), false)]);
    let (create, children) = finished(at_end(
        &id(1),
        &told,
        &[own, lease(5, read(), &[4])],
        &shards,
    ));
    assert_eq!(
        (create, children),
        (vec![(id(3), TrimHorizon)], ids(&[2, 3]))
    );
}

#[test]
fn a_merge_ends_when_the_other_side_has_a_lease_or_had_one() {
    let (own, other, told) = (
        lease(1, read(), &[]),
        lease(2, TrimHorizon, &[]),
        [child(3, &[1, 2])],
    );
    let list = |other: bool| {
        let of = [
            shard(1, &[], (0, 9), true),
            shard(3, &[1, 2], (0, MAX), false),
        ];
        let other = other.then(|| shard(2, &[], (10, MAX), true));
        of.into_iter().chain(other).collect::<Vec<_>>()
    };
    let why = waits(at_end(
        &id(1),
        &told,
        std::slice::from_ref(&own),
        &list(true),
    ));
    assert!(
        why.contains(&format!("{}, with which it was merged to {}", id(2), id(3))),
        "{why}"
    );
    let made = (vec![(id(3), TrimHorizon)], ids(&[3]));
    assert_eq!(
        finished(at_end(&id(1), &told, &[own.clone(), other], &list(true))),
        made
    );
    // The other is gone from the stream: nobody will read it.
    assert_eq!(
        finished(at_end(
            &id(1),
            &told,
            std::slice::from_ref(&own),
            &list(false)
        )),
        made
    );
    let begun = lease(3, read(), &[1, 2]);
    assert_eq!(
        finished(at_end(&id(1), &told, &[own.clone(), begun], &list(true))),
        (vec![], ids(&[3]))
    );
    // Nor does anybody read it who reads further down.
    let mut shards = list(true);
    shards.push(shard(4, &[3], (0, MAX), false));
    let passed = [own, lease(4, read(), &[3])];
    assert_eq!(
        finished(at_end(&id(1), &told, &passed, &shards)),
        (vec![], ids(&[3]))
    );
}

#[test]
fn children_that_nobody_tells_are_looked_up() {
    let own = lease(5, read(), &[]);
    let shards = twice_resharded();
    let (create, children) = finished(at_end(&id(5), &[], std::slice::from_ref(&own), &shards));
    assert_eq!(create.len(), 2);
    assert_eq!(children, ids(&[9, 10]));
    // It is forgotten itself.
    let shards: Vec<_> = shards
        .into_iter()
        .filter(|shard| shard.id != id(5))
        .collect();
    assert_eq!(
        finished(at_end(&id(5), &[], &[own], &shards)).1,
        ids(&[9, 10])
    );
    assert_eq!(
        finished(at_end(&id(77), &[], &[], &shards)),
        (vec![], ids(&[]))
    );
    waits(at_end(&id(4), &[], &[], &shards));
}

#[test]
fn children_that_cannot_be_are_not_believed() {
    for told in [
        vec![child(3, &[1])],
        vec![child(3, &[2])],
        vec![child(3, &[])],
        vec![child(3, &[1, 2, 4])],
        vec![child(3, &[1]), child(4, &[2])],
    ] {
        let leases = [
            lease(1, read(), &[]),
            lease(2, read(), &[]),
            lease(4, read(), &[]),
        ];
        let listed = [1, 2, 4].map(|number| shard(number, &[], (0, 9), true));
        waits(at_end(&id(1), &told, &leases, &listed));
    }
}

fn done(number: u64, parents: &[u64], children: &[u64]) -> Lease {
    Lease {
        children: ids(children),
        ..lease(number, ShardEnd, parents)
    }
}

fn deleted(leases: &[Lease], listed: Option<&[Shard]>) -> Vec<String> {
    deletable(leases, listed)
        .into_iter()
        .map(|lease| lease.key.clone())
        .collect()
}

#[test]
fn a_finished_lease_stays_until_its_children_are_begun_and_its_parents_are_gone() {
    let split = done(1, &[], &[2, 3]);
    let children = |one, other| vec![split.clone(), lease(2, one, &[1]), lease(3, other, &[1])];
    assert_eq!(deleted(&children(read(), read()), None), [id(1)]);
    assert_eq!(deleted(&children(read(), ShardEnd), None), [id(1)]);
    assert_eq!(deleted(&children(read(), TrimHorizon), None), [""; 0]);
    assert_eq!(deleted(&children(AtTimestamp, read()), None), [""; 0]);
    assert_eq!(deleted(&[split, lease(2, read(), &[1])], None), [""; 0]);
    // Not before the one it came from.
    let line = [
        done(1, &[], &[2]),
        done(2, &[1], &[4]),
        lease(4, read(), &[2]),
    ];
    assert_eq!(deleted(&line, None), [id(1)]);
    assert_eq!(deleted(&line[1..], None), [id(2)]);
    // Nor if nobody knows what became of it, or it is not finished.
    assert_eq!(
        deleted(&[done(1, &[], &[]), lease(2, read(), &[1])], None),
        [""; 0]
    );
    let unfinished = Lease {
        checkpoint: read(),
        ..done(1, &[], &[2])
    };
    assert_eq!(
        deleted(&[unfinished, lease(2, read(), &[1])], Some(&[])),
        [""; 0]
    );
}

#[test]
fn a_finished_lease_goes_when_its_shard_is_forgotten_and_its_children_have_leases() {
    let listed = [shard(2, &[1], (0, MAX), false)];
    assert_eq!(deleted(&[done(1, &[], &[])], Some(&listed)), [""; 0]);
    assert_eq!(
        deleted(
            &[done(1, &[], &[]), lease(2, TrimHorizon, &[1])],
            Some(&listed)
        ),
        [id(1)]
    );
    assert_eq!(
        deleted(
            &[lease(1, read(), &[]), lease(2, TrimHorizon, &[1])],
            Some(&listed)
        ),
        [""; 0]
    );
    assert_eq!(deleted(&[done(7, &[], &[8])], Some(&listed)), [id(7)]);
    // A stream has shards: a list without any is none.
    assert_eq!(deleted(&[done(7, &[], &[8])], Some(&[])), [""; 0]);
}

#[test]
fn finished_leases_are_told_their_children_and_those_get_leases() {
    let shards = twice_resharded();
    let completed = |leases: &[Lease]| {
        let found = untold(leases, &shards).into_iter().map(|unfinished| {
            let create = unfinished.create.iter().map(|lease| lease.key.clone());
            (
                unfinished.lease.key.clone(),
                create.collect::<Vec<_>>(),
                unfinished.children,
            )
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(
        completed(&[done(5, &[], &[])]),
        [(id(5), vec![id(9), id(10)], ids(&[9, 10]))]
    );
    assert_eq!(completed(&[done(5, &[], &[9, 10])]), []);
    // The other side of the merge has no lease yet: that of 6 would not wait for it.
    assert_eq!(completed(&[done(0, &[], &[])]), []);
    assert_eq!(
        completed(&[done(0, &[], &[]), lease(1, read(), &[])]),
        [(id(0), vec![id(6)], ids(&[6]))]
    );
    // 6 was read and its lease deleted: there is one further down.
    let further = [
        done(0, &[], &[]),
        done(1, &[], &[6]),
        lease(8, read(), &[6, 7]),
    ];
    assert_eq!(completed(&further), [(id(0), vec![], ids(&[6]))]);
}

#[test]
fn what_was_done_is_told_in_words() {
    let done = Done {
        created: vec![id(1), id(2)],
        deleted: vec![id(0)],
        hole: Some((Hole { from: 3, to: 4 }, 2)),
        ..Done::default()
    };
    let told = format!(
        "made: {}, {}; deleted: {}; no lease for the hash keys from 3 to 4, found 2 times in a row",
        id(1),
        id(2),
        id(0)
    );
    assert_eq!(done.to_string(), told);
    assert_eq!(Done::default().to_string(), "nothing to do");
    assert!(Done::default().is_nothing() && !done.is_nothing());
    assert_eq!(
        Initial::AtTimestamp(UNIX_EPOCH + Duration::from_secs(1)).filter(),
        Filter::AtTimestamp(UNIX_EPOCH + Duration::from_secs(1))
    );
}
