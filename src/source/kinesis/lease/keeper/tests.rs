//! Units of the keeper, and worlds of many keepers ([`world`]).

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::source::kinesis::lease::rules::Chance;
use crate::source::kinesis::lease::{
    Answer, Began, Coordinator, Fault, LeaseError, LeasePosition, MemoryLeases, Pending, Write,
};

const FAILOVER: Duration = Duration::from_secs(10);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn keeper(name: &str) -> Keeper {
    Keeper::new(Settings::new(format!("alluvium:{name}"), FAILOVER), 1)
}

/// Answers all requests at once, until there are none.
fn settle(keeper: &mut Keeper, table: &MemoryLeases, now: Duration) {
    loop {
        let requests = keeper.tick(now);
        if requests.is_empty() {
            return;
        }
        for Request { id, ask } in requests {
            keeper.answered(id, table.apply(&ask), now);
        }
    }
}

fn events(keeper: &mut Keeper) -> Vec<Event> {
    std::iter::from_fn(|| keeper.next_event()).collect()
}

fn gained(events: &[Event]) -> Vec<(&str, Term)> {
    let gained = events.iter().filter_map(|event| match event {
        Event::Gained { lease, term } => Some((lease.key.as_str(), *term)),
        _ => None,
    });
    gained.collect()
}

fn at(number: u64) -> LeasePosition {
    LeasePosition::At {
        sequence: number.to_string().parse().unwrap(),
        sub: 0,
    }
}

fn plan(number: u64) -> Write {
    Write {
        checkpoint: None,
        pending: Some(Pending {
            position: at(number),
            state: format!("alluvium/1 {number}").into_bytes(),
        }),
    }
}

fn commit(number: u64) -> Write {
    Write {
        checkpoint: Some(at(number)),
        pending: None,
    }
}

fn table(keys: &[&str]) -> MemoryLeases {
    let table = MemoryLeases::default();
    for key in keys {
        table.put(Lease::new(*key, LeasePosition::TrimHorizon));
    }
    table
}

/// A keeper that has gained the one lease there is.
fn holding(table: &MemoryLeases) -> (Keeper, Term) {
    let mut keeper = keeper("a");
    settle(&mut keeper, table, Duration::ZERO);
    let events = events(&mut keeper);
    let term = gained(&events)[0].1;
    (keeper, term)
}

#[test]
fn a_worker_takes_what_is_free_and_then_has_looked() {
    let table = table(&["s1", "s2"]);
    let mut keeper = keeper("a");
    settle(&mut keeper, &table, Duration::ZERO);
    let events = events(&mut keeper);
    assert_eq!(gained(&events).len(), 2);
    assert_eq!(events.last(), Some(&Event::Looked));
    assert!(table.rows().iter().all(|row| row.counter == 1));
}

#[test]
fn a_plan_and_a_checkpoint_are_stored_and_the_plan_goes() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    keeper.command(Command::Store(vec![("s".into(), term, plan(5))]), ms(1));
    settle(&mut keeper, &table, ms(1));
    let row = &table.rows()[0];
    assert_eq!(row.checkpoint, LeasePosition::TrimHorizon);
    assert_eq!(row.pending.as_ref().unwrap().position, at(5));
    keeper.command(Command::Store(vec![("s".into(), term, commit(5))]), ms(2));
    settle(&mut keeper, &table, ms(2));
    let row = &table.rows()[0];
    assert_eq!((row.checkpoint, &row.pending), (at(5), &None));
    let stored = Event::Stored(vec![("s".into(), Ok(()))]);
    assert_eq!(events(&mut keeper), [stored.clone(), stored]);
}

/// What is noted beside the checkpoint of a lease that was just gained.
fn note() -> Pending {
    Pending {
        position: LeasePosition::Latest,
        state: b"alluvium/from time 5\n".to_vec(),
    }
}

#[test]
fn a_note_is_tried_until_it_is_stored() {
    for fault in [Fault::Down, Fault::LostAnswer] {
        let table = table(&["s"]);
        let (mut keeper, term) = holding(&table);
        let mut first = true;
        table.trouble(move |ask| {
            let hit = matches!(ask, Ask::Checkpoint(..)) && std::mem::take(&mut first);
            hit.then_some(fault)
        });
        let (key, note) = ("s".to_owned(), note());
        keeper.command(Command::Note { key, term, note }, ms(1));
        settle(&mut keeper, &table, ms(1));
        assert!(events(&mut keeper).is_empty(), "{fault:?}");
        let later = ms(1) + keeper.settings().pause();
        settle(&mut keeper, &table, later);
        let noted = Event::Noted {
            key: "s".into(),
            term,
        };
        assert_eq!(events(&mut keeper), [noted], "{fault:?}");
        let row = &table.rows()[0];
        assert_eq!(row.checkpoint, LeasePosition::TrimHorizon);
        assert_eq!(row.state().unwrap().began, Some(Began::Time(5)));
    }
}

#[test]
fn nobody_notes_anything_in_a_lease_that_was_taken_from_him() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    let seen = Box::new(table.rows()[0].clone());
    let owner = "alluvium:b".to_owned();
    table.apply(&Ask::Take { seen, owner }).unwrap();
    let (key, note) = ("s".to_owned(), note());
    keeper.command(Command::Note { key, term, note }, ms(1));
    settle(&mut keeper, &table, ms(1));
    let lost = Event::Lost {
        key: "s".into(),
        term,
    };
    assert_eq!(events(&mut keeper), [lost]);
    assert_eq!(table.rows()[0].pending, None);
}

#[test]
fn a_write_whose_answer_was_lost_is_read_before_the_next_one() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    table.trouble(|ask| matches!(ask, Ask::Checkpoint(..)).then_some(Fault::LostAnswer));
    keeper.command(Command::Store(vec![("s".into(), term, plan(5))]), ms(1));
    settle(&mut keeper, &table, ms(1));
    let answer = events(&mut keeper);
    assert!(matches!(&answer[..], [Event::Stored(results)] if results[0].1.is_err()));
    table.trouble(|_| None);
    keeper.command(
        Command::Store(vec![("s".into(), term, commit(5))]),
        ms(1000),
    );
    settle(&mut keeper, &table, ms(1000));
    assert_eq!(
        events(&mut keeper),
        [Event::Stored(vec![("s".into(), Ok(()))])]
    );
    assert_eq!(table.rows()[0].counter, 3, "took, planned, committed");
}

#[test]
fn a_refused_write_of_a_row_that_is_ours_is_tried_again() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    // What a client does that repeats a request by itself: the first was stored, the answer is to the second.
    let mut requests = Vec::new();
    keeper.command(Command::Store(vec![("s".into(), term, plan(5))]), ms(1));
    requests.extend(keeper.tick(ms(1)));
    let Request { id, ask } = requests.remove(0);
    table.apply(&ask).unwrap();
    let again = table.apply(&ask);
    assert_eq!(again.as_ref().unwrap_err(), &LeaseError::Refused);
    keeper.answered(id, again, ms(2));
    settle(&mut keeper, &table, ms(2));
    assert_eq!(
        events(&mut keeper),
        [Event::Stored(vec![("s".into(), Ok(()))])]
    );
    assert_eq!(table.rows()[0].counter, 2, "not stored twice");
}

#[test]
fn what_somebody_else_took_is_lost() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    let seen = Box::new(table.rows().remove(0));
    let owner = "kcl".into();
    table.apply(&Ask::Take { seen, owner }).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    table.trouble(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        None
    });
    keeper.command(Command::Store(vec![("s".into(), term, plan(5))]), ms(1));
    settle(&mut keeper, &table, ms(1));
    let asked = asked.load(Ordering::Relaxed);
    assert_eq!(asked, 2, "refused, and read once to see why");
    let key = "s".to_owned();
    let refused = Event::Stored(vec![(key.clone(), Err(LeaseError::Refused))]);
    assert_eq!(events(&mut keeper), [refused, Event::Lost { key, term }]);
    assert_eq!(table.rows()[0].pending, None);
}

#[test]
fn a_lease_that_cannot_be_renewed_is_given_up_before_it_expires() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    table.trouble(|_| Some(Fault::Down));
    let mut now = Duration::ZERO;
    while now < FAILOVER {
        settle(&mut keeper, &table, now);
        now += ms(100);
    }
    let lost = Event::Lost {
        key: "s".into(),
        term,
    };
    assert_eq!(events(&mut keeper), [lost]);
    table.trouble(|_| None);
    settle(&mut keeper, &table, ms(12_000));
    assert_eq!(
        gained(&events(&mut keeper)).len(),
        1,
        "it is still ours by the table"
    );
}

#[test]
fn closing_gives_back_what_is_held_once_it_is_stored() {
    let table = table(&["s1", "s2"]);
    let mut keeper = keeper("a");
    settle(&mut keeper, &table, Duration::ZERO);
    let events = events(&mut keeper);
    let (key, term) = gained(&events)[0];
    keeper.command(Command::Store(vec![(key.into(), term, plan(5))]), ms(1));
    keeper.command(Command::Close, ms(1));
    assert!(!keeper.is_over());
    settle(&mut keeper, &table, ms(1));
    assert!(keeper.is_over());
    let rows = table.rows();
    assert!(rows.iter().all(|row| row.owner.is_none()), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.pending.is_some()).count(), 1);
}

#[test]
fn what_was_given_back_on_purpose_is_left_to_others_for_a_while() {
    let table = table(&["s"]);
    let (mut keeper, term) = holding(&table);
    keeper.command(Command::Release(vec![("s".into(), term)]), ms(1));
    settle(&mut keeper, &table, ms(1));
    assert_eq!(table.rows()[0].owner, None);
    settle(&mut keeper, &table, FAILOVER);
    assert_eq!(table.rows()[0].owner, None);
    settle(&mut keeper, &table, FAILOVER * 10);
    assert!(table.rows()[0].owner.is_some());
}

#[test]
fn children_wait_for_their_parents() {
    let table = table(&["p"]);
    let child = |key: &str| Lease {
        parents: ["p".into(), "gone".into()].into(),
        ..Lease::new(key, LeasePosition::TrimHorizon)
    };
    table.put(child("c1"));
    let mut keeper = keeper("a");
    settle(&mut keeper, &table, Duration::ZERO);
    let first = events(&mut keeper);
    let [("p", term)] = gained(&first)[..] else {
        panic!("{first:?}");
    };
    assert!(
        table.rows().iter().all(|row| row.owner.is_some()),
        "it counts"
    );
    keeper.command(
        Command::Finish {
            key: "p".into(),
            term,
            create: vec![child("c1"), child("c2")],
            children: ["c1".into(), "c2".into()].into(),
        },
        ms(1),
    );
    settle(&mut keeper, &table, ms(1));
    let events = events(&mut keeper);
    assert!(matches!(&events[0], Event::Finished { key, .. } if key == "p"));
    let gained: Vec<_> = gained(&events).into_iter().map(|(key, _)| key).collect();
    assert_eq!(gained, ["c1", "c2"]);
    let parent = table.rows().into_iter().find(|row| row.key == "p").unwrap();
    assert_eq!(
        (parent.checkpoint, parent.children.len()),
        (LeasePosition::ShardEnd, 2)
    );
}

#[test]
fn nothing_is_taken_beside_a_fleet_of_3_x_that_is_alive() {
    let table = table(&["free"]);
    let coordinate = |print| {
        let assigns = true;
        table.coordinate(Some(Coordinator { assigns, print }));
    };
    let mut keeper = keeper("a");
    let mut now = Duration::ZERO;
    for print in 0..5 {
        coordinate(print);
        settle(&mut keeper, &table, now);
        now += FAILOVER;
    }
    assert!(matches!(&events(&mut keeper)[..], [Event::Blocked(_)]));
    for _ in 0..8 {
        assert_eq!(table.rows()[0].owner, None);
        settle(&mut keeper, &table, now);
        now += FAILOVER;
    }
    assert_eq!(gained(&events(&mut keeper)).len(), 1);
}

#[test]
fn a_keeper_sleeps_when_there_is_nothing_to_do() {
    let table = table(&["p"]);
    table.put(Lease {
        parents: ["p".into()].into(),
        ..Lease::new("c", LeasePosition::TrimHorizon)
    });
    let mut keeper = keeper("a");
    settle(&mut keeper, &table, Duration::ZERO);
    let renewal = keeper.settings().renew_every();
    assert_eq!(keeper.wake_at(Duration::ZERO), renewal);
    // Ticks of a day: what is due, and no more.
    let (mut now, mut ticks) = (Duration::ZERO, 0);
    while now < Duration::from_secs(86_400) {
        now = keeper.wake_at(now).max(now + ms(1));
        settle(&mut keeper, &table, now);
        ticks += 1;
    }
    assert!(ticks < 40_000, "{ticks}");
}

/// Drives a keeper for so long; gives how often it has looked at the table.
fn looks(keeper: &mut Keeper, table: &MemoryLeases, times: std::ops::Range<Duration>) -> usize {
    let mut now = times.start;
    let mut looks = 0;
    while now < times.end {
        let requests = keeper.tick(now);
        let wake = match requests.is_empty() {
            true => keeper.wake_at(now),
            // An answer may be followed by more.
            false => now,
        };
        for Request { id, ask } in requests {
            looks += usize::from(matches!(ask, Ask::Scan));
            keeper.answered(id, table.apply(&ask), now);
        }
        now = wake.max(now + ms(5));
    }
    looks
}

#[test]
fn a_table_that_is_away_is_asked_less_and_less_often_and_found_soon_when_it_is_back() {
    let is_scan = |ask: &Ask| matches!(ask, Ask::Scan);
    let is_take = |ask: &Ask| matches!(ask, Ask::Take { .. });
    let all = |_: &Ask| true;
    for fails in [is_scan as fn(&Ask) -> bool, is_take, all] {
        let table = table(&["s"]);
        let mut keeper = keeper("a");
        table.trouble(move |ask| fails(ask).then_some(Fault::Down));
        let away = looks(&mut keeper, &table, ms(0)..ms(120_000));
        assert!((5..20).contains(&away), "{away} looks in two minutes");
        assert!(gained(&events(&mut keeper)).is_empty());
        table.trouble(|_| None);
        looks(&mut keeper, &table, ms(120_000)..ms(130_100));
        assert_eq!(gained(&events(&mut keeper)).len(), 1);
        // What failed then is forgotten.
        table.trouble(|ask| matches!(ask, Ask::Scan).then_some(Fault::Down));
        let again = looks(&mut keeper, &table, ms(160_000)..ms(162_000));
        assert!(again >= 2, "{again} looks in two seconds");
    }
}

#[test]
fn what_a_worker_does_not_take_in_does_not_pile_up() {
    let table = table(&["s"]);
    let (mut keeper, _) = holding(&table);
    let mut now = Duration::ZERO;
    for _ in 0..50 {
        let mut stolen = table.rows().remove(0);
        stolen.owner = None;
        stolen.counter += 10;
        table.put(stolen);
        for _ in 0..40 {
            now += ms(1000);
            settle(&mut keeper, &table, now);
        }
    }
    assert!(events(&mut keeper).len() <= 3);
}

/// Nothing that a store may answer makes a keeper panic or believe for ever.
#[test]
fn answers_in_any_order_do_no_harm() {
    for seed in 0..300 {
        let table = table(&["s1", "s2", "s3"]);
        let mut keeper = keeper("a");
        let mut chance = Chance(seed);
        let mut open: Vec<Request> = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..200 {
            now += ms(chance.below(2000) as u64);
            open.extend(keeper.tick(now));
            while !open.is_empty() && chance.below(3) > 0 {
                let Request { id, ask } = open.swap_remove(chance.below(open.len()));
                let outcome = match chance.below(5) {
                    0 => Err(LeaseError::Refused),
                    1 => Err(LeaseError::Unavailable("x".into())),
                    2 => Ok(Answer::Lease(None)),
                    _ => table.apply(&ask),
                };
                keeper.answered(id, outcome, now);
            }
            assert!(keeper.beliefs().all(|(_, until)| until + ms(2000) > now));
        }
    }
}
