//! What a lease says of where a shard was read to, and what is written there.
//!
//! KCL keeps the last record that is done; a [`Position`] is the place before a record. So the record (sequence, sub) is done at the position
//! (sequence, sub + 1). A lease that was never checkpointed says only from when on it is read; its first span begins at the position `0.0`, before
//! every record. Where reading began is then kept beside it ([`Began`]):
//! * with a plan, which record came first: whoever follows the plan must find that record again, or the stream does not retain the span any more. That is kept with
//!   every plan, if it is known: the last record that is done may be older than what the stream retains, where it was silent for long;
//! * before that, if the lease says `LATEST`, which is another place each time: the time at which reading began. It is stored before the first record is
//!   handed over, so that whoever comes next misses nothing. (The KCL begins at the tip again.)

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::lease::{Began, Lease, LeasePosition, Pending, State, Write};
use super::stream::From;
use super::stream::shard::Start;
use super::topology::Initial;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Position, Sequence};
use crate::source::Checkpoint;

/// Before every record of a shard.
const BEGINNING: Position = Position::in_shard(Sequence::ZERO, 0);
/// How much the clock that a time was taken from may be ahead of the service's.
const SKEW: Duration = Duration::from_secs(10);

/// Where a shard was read to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// What the lease says.
    checkpoint: LeasePosition,
    /// The same as a position.
    pub(super) position: Position,
    /// Where reading began, if that is known and the checkpoint does not say it.
    pub(super) began: Option<Began>,
    /// The plan, or nothing.
    pub(super) note: String,
}

/// Reads a lease.
pub(super) fn begun(lease: &Lease) -> Begun {
    let position = match lease.checkpoint {
        LeasePosition::At { sequence, sub } => Position::in_shard(sequence, sub).next(),
        _ => BEGINNING,
    };
    let State { began, plan } = lease.state().unwrap_or_default();
    #[cfg(test)]
    let began = began.filter(|began| match began {
        Began::Time(_) => !mutation::on(Mutation::BeginningForgotten),
        Began::Record(_) => !mutation::on(Mutation::FirstForgotten),
    });
    Begun {
        checkpoint: lease.checkpoint,
        position,
        began: began.filter(|began| is_of_use(*began, position, plan)),
        note: plan.to_owned(),
    }
}

impl Begun {
    /// Whether another who began would begin elsewhere.
    pub(super) fn is_adrift(&self) -> bool {
        let elsewhere = matches!(
            self.checkpoint,
            LeasePosition::Latest | LeasePosition::AtTimestamp
        );
        elsewhere && self.began.is_none()
    }

    /// Since when reading is to begin if it begins now: a time of the settings, which may be others for the next owner, or this moment.
    pub(super) fn since(&self, initial: Initial, now: SystemTime) -> Began {
        match (self.checkpoint, initial) {
            // What clocks may differ by is taken off again.
            (LeasePosition::AtTimestamp, Initial::AtTimestamp(time)) => began_at(time + SKEW),
            (LeasePosition::AtTimestamp, _) => began_at(UNIX_EPOCH + SKEW),
            _ => began_at(now),
        }
    }

    /// How a reader is to begin.
    pub(super) fn start(&self, initial: Initial) -> Start {
        self.go_on(self.position, self.began, false, initial)
    }

    /// How a reader is to go on at `next`, when reading `began` there. If the stream was found to be `trimmed`, with whatever is left.
    pub(super) fn go_on(
        &self,
        next: Position,
        began: Option<Began>,
        trimmed: bool,
        initial: Initial,
    ) -> Start {
        if trimmed {
            return Start::Begin(From::TrimHorizon);
        }
        match (next.sequence(), began) {
            (Some((sequence, sub)), Some(Began::Record(first))) if sub > 0 && first > sequence => {
                Start::Resume(first)
            }
            (Some((sequence, sub)), _) if sub > 0 => Start::Resume(sequence),
            (Some((sequence, _)), _) if sequence > Sequence::ZERO => {
                Start::Begin(From::At(sequence))
            }
            (_, Some(Began::Record(first))) => Start::Resume(first),
            (_, Some(Began::Time(ms))) => Start::Begin(From::AtTimestamp(since(ms))),
            _ => Start::Begin(match (self.checkpoint, initial) {
                (LeasePosition::Latest, _) => From::Latest,
                (LeasePosition::AtTimestamp, Initial::AtTimestamp(time)) => From::AtTimestamp(time),
                _ => From::TrimHorizon,
            }),
        }
    }
}

/// Whether it must be known where reading began: as long as no checkpoint says it; and with a plan, which record was its first, since the one before it may
/// be gone by the time somebody follows the plan.
fn is_of_use(began: Began, position: Position, plan: &str) -> bool {
    match (position.sequence(), began) {
        _ if position == BEGINNING => true,
        (Some((sequence, _)), Began::Record(first)) => !plan.is_empty() && first > sequence,
        _ => false,
    }
}

/// What to write in a lease for a checkpoint. Where reading `began` stays there until the checkpoint says it, with a plan and without.
pub(super) fn write(checkpoint: &Checkpoint, began: Option<Began>) -> Write {
    let position = lease_position(checkpoint.position);
    let state = State {
        began: began.filter(|began| is_of_use(*began, checkpoint.position, &checkpoint.note)),
        plan: &checkpoint.note,
    };
    let reach = checkpoint.reach.and_then(lease_position).or(position);
    Write {
        checkpoint: position,
        pending: (state != State::default()).then(|| pending(reach, &state)),
    }
}

/// A lease that says this, with no owner yet.
pub fn lease_at(key: &str, checkpoint: &Checkpoint) -> Lease {
    let Write {
        checkpoint,
        pending,
    } = write(checkpoint, None);
    let begin = checkpoint.unwrap_or(LeasePosition::TrimHorizon);
    Lease {
        pending,
        ..Lease::new(key, begin)
    }
}

/// What stands beside `LATEST` from the moment on at which reading begins.
pub(super) fn note(began: Began) -> Pending {
    let state = State {
        began: Some(began),
        plan: "",
    };
    pending(Some(LeasePosition::Latest), &state)
}

fn pending(reach: Option<LeasePosition>, state: &State<'_>) -> Pending {
    Pending {
        position: reach.unwrap_or(LeasePosition::TrimHorizon),
        state: state.write(),
    }
}

/// Reading begins now.
fn began_at(time: SystemTime) -> Began {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Began::Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A time at which the service's clock has not been later.
fn since(ms: i64) -> SystemTime {
    let time = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    #[cfg(test)]
    if mutation::on(Mutation::ClocksAgree) {
        return UNIX_EPOCH + time;
    }
    UNIX_EPOCH + time.saturating_sub(SKEW)
}

/// The last record before a position, which is the last of its span; `None` at the beginning.
fn lease_position(position: Position) -> Option<LeasePosition> {
    let (sequence, sub) = position.sequence()?;
    let sub = sub.checked_sub(1)?;
    #[cfg(test)]
    let sub = match mutation::on(Mutation::SubSequenceForgotten) {
        true => 0,
        false => sub,
    };
    Some(LeasePosition::At { sequence, sub })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(number: u64) -> Sequence {
        number.to_string().parse().unwrap()
    }

    fn record(number: u64) -> Began {
        Began::Record(sequence(number))
    }

    fn at(number: u64, sub: u64) -> Position {
        Position::in_shard(sequence(number), sub)
    }

    fn checkpoint(position: Position, note: &str) -> Checkpoint {
        Checkpoint {
            position,
            reach: Some(at(90, 3)),
            note: note.into(),
        }
    }

    fn lease(checkpoint: LeasePosition, write: &Write) -> Lease {
        Lease {
            pending: write.pending.clone(),
            ..Lease::new(
                "shardId-000000000000",
                write.checkpoint.unwrap_or(checkpoint),
            )
        }
    }

    #[test]
    fn a_checkpoint_is_the_last_record_that_is_done() {
        let done = write(&checkpoint(at(7, 1), ""), None);
        let last = LeasePosition::At {
            sequence: sequence(7),
            sub: 0,
        };
        assert_eq!((done.checkpoint, &done.pending), (Some(last), &None));
        let begun = begun(&lease(LeasePosition::TrimHorizon, &done));
        assert_eq!((begun.position, begun.note.as_str()), (at(7, 1), ""));
        assert_eq!(
            begun.start(Initial::TrimHorizon),
            Start::Resume(sequence(7))
        );
    }

    #[test]
    fn a_plan_stands_beside_it_and_comes_back() {
        let planned = write(&checkpoint(at(7, 2), "alluvium/1 x"), Some(record(1)));
        let reach = LeasePosition::At {
            sequence: sequence(90),
            sub: 2,
        };
        assert_eq!(planned.pending.as_ref().unwrap().position, reach);
        let begun = begun(&lease(LeasePosition::Latest, &planned));
        assert_eq!((begun.began, begun.note.as_str()), (None, "alluvium/1 x"));
    }

    #[test]
    fn a_first_plan_says_which_record_it_began_with() {
        let planned = write(&checkpoint(BEGINNING, "alluvium/1 x"), Some(record(5)));
        assert_eq!(planned.checkpoint, None);
        let begun = begun(&lease(LeasePosition::Latest, &planned));
        assert_eq!(
            (begun.position, begun.note.as_str()),
            (BEGINNING, "alluvium/1 x")
        );
        assert_eq!(begun.start(Initial::Latest), Start::Resume(sequence(5)));
    }

    /// The shard was silent for so long that the last record that is done is not retained any more.
    #[test]
    fn a_plan_says_which_record_it_begins_with() {
        let planned = write(&checkpoint(at(7, 1), "alluvium/1 x"), Some(record(9)));
        let begun = begun(&lease(LeasePosition::TrimHorizon, &planned));
        assert_eq!(begun.position, at(7, 1));
        assert_eq!(
            begun.start(Initial::TrimHorizon),
            Start::Resume(sequence(9))
        );
        for (note, first) in [("", 9), ("alluvium/1 x", 7), ("alluvium/1 x", 3)] {
            let written = write(&checkpoint(at(7, 1), note), Some(record(first)));
            let begun = super::begun(&lease(LeasePosition::TrimHorizon, &written));
            let resumed = begun.start(Initial::TrimHorizon);
            assert_eq!(resumed, Start::Resume(sequence(7)), "{note:?} {first}");
        }
    }

    #[test]
    fn a_time_of_the_settings_outlives_them() {
        let fresh = Lease::new("shardId-000000000000", LeasePosition::AtTimestamp);
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let begins = begun(&fresh);
        assert!(begins.is_adrift());
        let noted = Lease {
            pending: Some(note(begins.since(Initial::AtTimestamp(time), UNIX_EPOCH))),
            ..fresh
        };
        for initial in [Initial::Latest, Initial::AtTimestamp(UNIX_EPOCH)] {
            let start = begun(&noted).start(initial);
            assert_eq!(start, Start::Begin(From::AtTimestamp(time)));
        }
    }

    /// Whoever comes next begins there, not at the tip of his own time.
    #[test]
    fn latest_is_when_reading_began() {
        let fresh = Lease::new("shardId-000000000000", LeasePosition::Latest);
        let begins = begun(&fresh);
        assert!(begins.is_adrift());
        assert_eq!(begins.start(Initial::Latest), Start::Begin(From::Latest));
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let noted = Lease {
            pending: Some(note(began_at(now))),
            ..fresh
        };
        let again = begun(&noted);
        assert!(!again.is_adrift());
        assert_eq!((again.position, again.note.as_str()), (BEGINNING, ""));
        let from = Start::Begin(From::AtTimestamp(now - SKEW));
        assert_eq!(again.start(Initial::Latest), from);
        assert_eq!(again.start(Initial::TrimHorizon), from);
    }

    /// A plan that is discarded by a person leaves what it began with.
    #[test]
    fn where_reading_began_stays_without_a_plan() {
        for began in [record(5), began_at(UNIX_EPOCH + SKEW * 9)] {
            let without = write(&checkpoint(BEGINNING, ""), Some(began));
            assert_eq!(without.checkpoint, None);
            let begun = begun(&lease(LeasePosition::Latest, &without));
            assert_eq!((begun.began, begun.note.as_str()), (Some(began), ""));
            let done = write(&checkpoint(at(7, 1), ""), Some(began));
            assert_eq!(done.pending, None);
        }
        assert_eq!(write(&checkpoint(BEGINNING, ""), None).pending, None);
    }

    #[test]
    fn a_time_before_all_is_a_time() {
        for ms in [i64::MIN, -1, 0, 1, i64::MAX] {
            let lease = Lease {
                pending: Some(note(Began::Time(ms))),
                ..Lease::new("shardId-000000000000", LeasePosition::Latest)
            };
            let start = begun(&lease).start(Initial::Latest);
            assert!(matches!(start, Start::Begin(From::AtTimestamp(_))), "{ms}");
        }
    }

    #[test]
    fn states_of_other_programs_are_none() {
        let lease = Lease {
            pending: Some(Pending {
                position: LeasePosition::TrimHorizon,
                state: b"5 of 7".to_vec(),
            }),
            ..Lease::new("shardId-000000000000", LeasePosition::Latest)
        };
        let begun = begun(&lease);
        assert_eq!((begun.began, begun.note.as_str()), (None, ""));
        assert_eq!(begun.start(Initial::Latest), Start::Begin(From::Latest));
    }
}
