//! Where a reader stands. Pure: it is told what came, and says what of it is new.

use std::time::{Duration, SystemTime};

use super::{From, RawRecord, Start};
use crate::record::Sequence;

/// Less than any stream retains (24 hours), by far.
const RETAINED: Duration = Duration::from_secs(12 * 3600);
/// How much this machine's clock may be ahead of the service's without a record being missed.
const SKEW: Duration = Duration::from_secs(10);
/// Answers without records at the tip, one behind the other, that prove that there are none: one too few would stop a partition for nothing.
const EMPTY_AT_TIP: u32 = 5;

/// Where a reader stands in its shard.
#[derive(Debug)]
pub(super) struct Place {
    from: From,
    /// The record that must come first.
    expected: Option<Sequence>,
    /// The last one that was handed over.
    last: Option<Sequence>,
    /// When something came last, if only that there was nothing.
    heard: Option<Duration>,
    /// When nothing was left to read.
    at_tip: Option<Duration>,
    empty_at_tip: u32,
    began: SystemTime,
}

/// What an answer says besides its records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Said {
    /// How old what comes next is.
    pub(super) behind_ms: Option<u64>,
    /// Whether the shard ends behind it.
    pub(super) ended: bool,
}

/// Why reading cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The record that was expected is not retained.
    Trimmed {
        expected: Sequence,
        oldest: Option<Sequence>,
    },
    /// Two records of an answer are not in order.
    Disordered(Sequence, Sequence),
}

impl Place {
    pub(super) fn new(start: Start, began: SystemTime) -> Self {
        let (from, expected) = match start {
            Start::Begin(from) => (from, None),
            Start::Resume(sequence) => (From::At(sequence), Some(sequence)),
        };
        Self {
            from,
            expected,
            last: None,
            heard: None,
            at_tip: None,
            empty_at_tip: 0,
            began,
        }
    }

    /// Where to ask the service to begin.
    pub(super) fn from(&self) -> From {
        self.from
    }

    /// The service has to be asked where to begin once more: at the last record, which shows whether anything is missing behind it.
    pub(super) fn renew(&mut self, now: Duration) {
        let Some(last) = self.last else { return };
        self.from = From::At(last);
        // If all was read a while ago, the last record may go without another being lost.
        let at_tip = self.at_tip;
        let safe = at_tip.is_some_and(|tip| now.saturating_sub(tip) < RETAINED);
        self.expected = (!safe).then_some(last);
        self.empty_at_tip = 0;
    }

    /// Reading goes on, perhaps after a long pause: what was to come next may be gone since, and an answer would not tell.
    pub(super) fn stood_still(&mut self, now: Duration) {
        if self
            .heard
            .is_some_and(|heard| now.saturating_sub(heard) >= RETAINED)
        {
            self.renew(now);
        }
    }

    /// The service has begun: what the latest record is has been settled, and what comes behind it is not to be missed when the service is
    /// asked once more.
    pub(super) fn begun(&mut self) {
        if self.from == From::Latest {
            self.from = From::AtTimestamp(self.began - SKEW);
        }
    }

    /// A subscription has said where another goes on.
    pub(super) fn continue_at(&mut self, continuation: Sequence) {
        self.from = From::At(continuation);
    }

    /// Leaves of `records` what was not handed over before.
    pub(super) fn accept(
        &mut self,
        mut records: Vec<RawRecord>,
        said: Said,
        now: Duration,
    ) -> Result<Vec<RawRecord>, Mishap> {
        for pair in records.windows(2) {
            if let [one, next] = pair
                && one.sequence >= next.sequence
            {
                return Err(Mishap::Disordered(one.sequence, next.sequence));
            }
        }
        self.heard = Some(now);
        let tip = said.behind_ms == Some(0);
        self.empty_at_tip = match tip && records.is_empty() {
            true => self.empty_at_tip.saturating_add(1),
            false => 0,
        };
        if let Some(expected) = self.expected {
            self.look_for(expected, &mut records, said)?;
        }
        if let Some(last) = self.last {
            records.retain(|record| record.sequence > last);
        }
        self.last = records.last().map(|record| record.sequence).or(self.last);
        if tip {
            self.at_tip = Some(now);
        }
        Ok(records)
    }

    fn look_for(
        &mut self,
        expected: Sequence,
        records: &mut Vec<RawRecord>,
        said: Said,
    ) -> Result<(), Mishap> {
        records.retain(|record| record.sequence >= expected);
        let trimmed = |oldest| Err(Mishap::Trimmed { expected, oldest });
        match records.first() {
            Some(first) if first.sequence == expected => {
                self.expected = None;
                Ok(())
            }
            Some(first) => trimmed(Some(first.sequence)),
            None if said.ended || self.empty_at_tip >= EMPTY_AT_TIP => trimmed(None),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NOW: Duration = Duration::from_secs(100);
    const BEHIND: Said = Said {
        behind_ms: Some(5000),
        ended: false,
    };
    const TIP: Said = Said {
        behind_ms: Some(0),
        ended: false,
    };

    fn at(number: u32) -> Sequence {
        number.to_string().parse().unwrap()
    }

    fn records(numbers: &[u32]) -> Vec<RawRecord> {
        let records = numbers.iter().map(|number| RawRecord {
            sequence: at(*number),
            arrival_ms: None,
            partition_key: String::new(),
            data: Bytes::new(),
        });
        records.collect()
    }

    fn place(start: Start) -> Place {
        Place::new(start, SystemTime::UNIX_EPOCH + HOUR)
    }

    fn trimmed(oldest: Option<u32>) -> Mishap {
        Mishap::Trimmed {
            expected: at(5),
            oldest: oldest.map(at),
        }
    }

    #[test]
    fn a_resume_begins_with_the_record_it_names() {
        let mut place = place(Start::Resume(at(5)));
        assert_eq!(place.from(), From::At(at(5)));
        assert_eq!(place.accept(vec![], BEHIND, NOW), Ok(vec![]));
        // A server may begin earlier.
        let got = place.accept(records(&[4, 5, 6]), BEHIND, NOW);
        assert_eq!(got, Ok(records(&[5, 6])));
        let got = place.accept(records(&[6, 7]), BEHIND, NOW);
        assert_eq!(got, Ok(records(&[7])));
    }

    #[test]
    fn a_record_that_is_gone_is_told() {
        let resume = || place(Start::Resume(at(5)));
        let got = resume().accept(records(&[7, 8]), BEHIND, NOW);
        assert_eq!(got, Err(trimmed(Some(7))));
        let ended = Said {
            ended: true,
            ..BEHIND
        };
        assert_eq!(resume().accept(vec![], ended, NOW), Err(trimmed(None)));
        let mut idle = resume();
        for _ in 1..EMPTY_AT_TIP {
            assert_eq!(idle.accept(vec![], TIP, NOW), Ok(vec![]));
        }
        assert_eq!(idle.accept(vec![], TIP, NOW), Err(trimmed(None)));
    }

    #[test]
    fn a_new_iterator_begins_at_the_last_record_and_repeats_none() {
        let mut place = place(Start::Begin(From::TrimHorizon));
        place.accept(records(&[4, 5]), BEHIND, NOW).unwrap();
        place.renew(NOW + HOUR);
        assert_eq!(place.from(), From::At(at(5)));
        let got = place.accept(records(&[5, 6]), BEHIND, NOW + HOUR);
        assert_eq!(got, Ok(records(&[6])));
    }

    #[test]
    fn a_last_record_that_is_gone_is_told_only_if_another_can_be() {
        let mut place = place(Start::Begin(From::TrimHorizon));
        place.accept(records(&[4, 5]), BEHIND, NOW).unwrap();
        place.accept(vec![], TIP, NOW).unwrap();
        place.renew(NOW + HOUR);
        let got = place.accept(records(&[8]), BEHIND, NOW + HOUR);
        assert_eq!(got, Ok(records(&[8])));
        place.renew(NOW + HOUR * 30);
        let got = place.accept(records(&[9]), BEHIND, NOW + HOUR * 30);
        let lost = Mishap::Trimmed {
            expected: at(8),
            oldest: Some(at(9)),
        };
        assert_eq!(got, Err(lost));
    }

    /// A continuation is a place of no record, and says nothing of what was there.
    #[test]
    fn whoever_stood_still_for_long_proves_where_he_stands() {
        let mut place = place(Start::Begin(From::TrimHorizon));
        place.accept(records(&[4, 5]), BEHIND, NOW).unwrap();
        place.continue_at(at(6));
        place.stood_still(NOW + HOUR);
        assert_eq!(place.from(), From::At(at(6)));
        place.stood_still(NOW + HOUR * 30);
        assert_eq!(place.from(), From::At(at(5)));
        let got = place.accept(records(&[9]), BEHIND, NOW + HOUR * 30);
        assert_eq!(got, Err(trimmed(Some(9))));
    }

    #[test]
    fn the_latest_of_the_beginning_is_kept() {
        let mut place = place(Start::Begin(From::Latest));
        assert_eq!(place.from(), From::Latest);
        place.begun();
        place.renew(NOW);
        let began = SystemTime::UNIX_EPOCH + HOUR;
        assert_eq!(place.from(), From::AtTimestamp(began - SKEW));
    }

    #[test]
    fn a_continuation_repeats_nothing() {
        let mut place = place(Start::Begin(From::TrimHorizon));
        place.accept(records(&[4, 5]), BEHIND, NOW).unwrap();
        for continuation in [5, 6, 7] {
            place.continue_at(at(continuation));
            assert_eq!(place.from(), From::At(at(continuation)));
        }
        let got = place.accept(records(&[5, 7]), BEHIND, NOW);
        assert_eq!(got, Ok(records(&[7])));
    }

    #[test]
    fn records_out_of_order_stop_everything() {
        let mut place = place(Start::Begin(From::TrimHorizon));
        let got = place.accept(records(&[5, 4]), BEHIND, NOW);
        assert_eq!(got, Err(Mishap::Disordered(at(5), at(4))));
    }
}
