//! A record into the span that grows: decoded, routed, decided about, its rows taken.

use std::time::Duration;

use alluvium_target::TargetError;

use super::{Flow, Shaping, Tools, millis};
use crate::awaited::{Needed, NotYet};
use crate::decode::{Decoder, Failure};
use crate::deliver::Ledger;
use crate::metrics::Metrics;
#[cfg(test)]
use crate::mutation::{self, Mutation};
use crate::record::{Partition, Record, Row};
use crate::worker::clock::Clock;
use crate::worker::refused::Refused;
use crate::worker::routing::{self, Places, Way};
use crate::worker::shape::Shape;
use crate::worker::span::{Making, OpenSpan};

/// Rows of one record between two looks at what the builders hold.
const ROWS_AT_ONCE: u64 = 4096;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    /// It is in the span.
    Kept,
    /// It is, and a batch was handed on to the target's inserter.
    HandedOn,
    /// It is not: it belongs to a day that began after the span was opened.
    OfAnotherDay,
    /// It is not: it cannot be read before its schema is known, or kept before its columns are decided.
    Waits,
}

impl From<bool> for Gathered {
    fn from(handed_on: bool) -> Self {
        if handed_on {
            Self::HandedOn
        } else {
            Self::Kept
        }
    }
}

/// What became of a row.
enum Fate {
    /// It is in the span, and whether a batch was handed on; or it is nowhere, as it should be.
    Taken(bool),
    /// Its record becomes a dead letter of this name, for this reason.
    Letter(&'static str, String),
    /// Its whole record goes this way.
    OfRecord(Gathered),
    /// It waits, and its record with it.
    Waits(Needed),
}

/// A record on its way into the span.
struct Gathering<'a> {
    record: &'a Record<'a>,
    partition: &'a Partition,
    /// Where the span begins.
    ledger: &'a Ledger,
    /// Whether the span may end before the record.
    may_end: bool,
    /// Bytes that builders may hold while one record is taken.
    most: u64,
    now: Duration,
    shape: &'a Shape,
    places: &'a mut Places,
    refused: &'a Refused,
    making: Making<'a>,
    metrics: &'a Metrics,
    clock: &'a dyn Clock,
    open: &'a mut OpenSpan,
}

impl Flow {
    /// Makes rows or a dead letter of the record, or keeps it aside. If the span `may_end`, a record of a new day is not taken.
    pub(super) fn gather(
        &mut self,
        record: &Record<'_>,
        tools: &mut Tools,
        now: Duration,
        may_end: bool,
    ) -> Result<Gathered, TargetError> {
        let may_end = may_end && !self.must_read_on();
        let Some(open) = &mut self.open else {
            return Ok(Gathered::Kept);
        };
        let Shaping {
            shape,
            decoder,
            places,
        } = match &mut self.recorded {
            Some(recorded) => recorded,
            None => &mut tools.shaping,
        };
        let mut gathering = Gathering {
            record,
            partition: &self.partition,
            ledger: &self.ledger,
            may_end,
            most: tools.budget.limit() / 8,
            now,
            shape,
            places,
            refused: &self.refused,
            making: Making {
                policy: &tools.policy,
                columns: &shape.columns,
                tables: shape.tables.as_deref(),
                metrics: &tools.metrics,
            },
            metrics: &tools.metrics,
            clock: &*tools.clock,
            open,
        };
        match gathering.take(decoder)? {
            Ok(gathered) => Ok(gathered),
            Err(needed) => {
                self.wait_for(needed, record.position, now);
                Ok(Gathered::Waits)
            }
        }
    }
}

impl<'a> Gathering<'a> {
    /// Takes the record as a whole, or not at all: then it says what is needed first.
    fn take(&mut self, decoder: &mut Decoder) -> Result<Result<Gathered, Needed>, TargetError> {
        let topic = self.record.origin.unwrap_or(self.partition.topic());
        if let Err(needed) = self.decide_all(decoder, topic) {
            return Ok(Err(needed));
        }
        let mut bytes = self.record.bytes();
        let mut handed_on = false;
        let (mut letter, mut unreadable) = (None, false);
        let (mut first, mut rows) = (true, 0u64);
        let mut decoded = decoder.decode(topic, self.record);
        loop {
            match decoded {
                Ok(row) => match self.row(&row, first, &mut bytes)? {
                    Fate::Taken(handed) => handed_on |= handed,
                    Fate::Letter(label, reason) => letter = Some((label, reason)),
                    Fate::OfRecord(gathered) => {
                        if gathered != Gathered::OfAnotherDay {
                            decoder.done();
                        }
                        return Ok(Ok(gathered));
                    }
                    Fate::Waits(needed) => return wait(needed, first),
                },
                Err(Failure::Bad(bad)) => {
                    if !unreadable {
                        self.open.note_unreadable(self.record);
                    }
                    unreadable = true;
                    letter = Some((bad.reason.name(), bad.to_string()));
                }
                Err(Failure::Needs(needed)) => return wait(needed, first),
            }
            first = false;
            rows += 1;
            if rows % ROWS_AT_ONCE == 0 {
                self.relieve()?;
            }
            match decoder.more(topic) {
                Some(more) => decoded = more,
                None => break,
            }
        }
        decoder.done();
        if let Some((label, reason)) = letter {
            self.metrics.dead_letters.with_label_values(&[label]).inc();
            handed_on |= self.open.take_letter(
                self.partition,
                self.record,
                &reason,
                self.now,
                &self.making,
            )?;
        }
        Ok(Ok(handed_on.into()))
    }

    /// Decides about all rows of a record that may have several, before any of them is taken: it is offered again as a whole.
    fn decide_all(&mut self, decoder: &mut Decoder, topic: &str) -> Result<(), Needed> {
        if self.making.tables.is_none() || !decoder.may_have_more(self.record) {
            return Ok(());
        }
        let mut first = true;
        let mut decoded = Some(decoder.decode(topic, self.record));
        while let Some(more) = decoded {
            match more {
                Ok(row) => match self.way(&row) {
                    // The whole record is.
                    Way::Late { .. } if first => return Ok(()),
                    Way::Late { .. } | Way::Target { .. } => {
                        self.open.decide(&row, &self.making)?;
                    }
                    Way::Dropped(_) => {}
                },
                Err(Failure::Needs(needed)) => return Err(needed),
                Err(Failure::Bad(_)) => {}
            }
            first = false;
            decoded = decoder.more(topic);
        }
        Ok(())
    }

    /// Hands on what the builders hold of a record with very many rows: nobody else can before it is taken.
    fn relieve(&mut self) -> Result<(), TargetError> {
        match self.open.memory() {
            (building, _) if building > self.most => self.open.shrink(),
            _ => Ok(()),
        }
    }

    fn opened_ms(&self) -> i64 {
        #[cfg(test)]
        if mutation::on(Mutation::LateByClock) {
            return millis(self.clock.wall());
        }
        self.open.opened_ms
    }

    fn way(&mut self, row: &Row<'_>) -> Way<'a> {
        let (topic, opened_ms) = (self.partition.topic(), self.opened_ms());
        let shape: &'a Shape = self.shape;
        shape.routing.way(row, topic, opened_ms, self.places)
    }

    /// Takes a row where it goes. `bytes` are those of the record that no row accounts for yet.
    fn row(&mut self, row: &Row<'_>, first: bool, bytes: &mut usize) -> Result<Fate, TargetError> {
        let way = self.way(row);
        match way {
            Way::Dropped(why) => {
                self.metrics.dropped.with_label_values(&[why]).inc();
                Ok(Fate::Taken(false))
            }
            // A record of several rows goes as its first one does.
            Way::Late { to, time } if first => {
                if self.may_end && has_begun_since(time, self.opened_ms(), self.clock) {
                    return Ok(Fate::OfRecord(Gathered::OfAnotherDay));
                }
                self.open.take_late(to, self.partition, self.record);
                Ok(Fate::OfRecord(Gathered::Kept))
            }
            Way::Late { .. } | Way::Target { .. } => self.take_row(row, way.time(), bytes),
        }
    }

    fn take_row(
        &mut self,
        row: &Row<'_>,
        time: Option<i64>,
        bytes: &mut usize,
    ) -> Result<Fate, TargetError> {
        let refused = self.refused;
        if !refused.is_empty()
            && let Some(reason) = refused.reason(self.ledger.end(), row.project(), row.collection())
        {
            let reason = format!("target_rejected: {reason}");
            return Ok(Fate::Letter("target_rejected", reason));
        }
        let decided = self.open.decide(row, &self.making);
        #[cfg(test)]
        let decided = match mutation::on(Mutation::TakenUndecided) {
            true => Ok(None),
            false => decided,
        };
        let table = match decided {
            Ok(table) => table,
            Err(needed) => return Ok(Fate::Waits(needed)),
        };
        let routing = &self.shape.routing;
        let event = time.and_then(|time| routing.event(row, time, self.places));
        let repeats = event.map_or(Ok(false), |event| self.open.repeats(event, self.record))?;
        if repeats {
            self.metrics.dropped.with_label_values(&["duplicate"]).inc();
            return Ok(Fate::Taken(false));
        }
        let bytes = std::mem::take(bytes);
        let handed_on =
            self.open
                .take_row(row, self.record, table, bytes, self.now, &self.making)?;
        Ok(Fate::Taken(handed_on))
    }
}

/// A record must be offered again. If rows of it were taken the span must be read again, too: all was at hand a moment ago, so that happens only
/// to objects that are too large to be held.
fn wait(needed: Needed, first: bool) -> Result<Result<Gathered, Needed>, TargetError> {
    if first {
        return Ok(Err(needed));
    }
    let why = match needed.state {
        NotYet::Asked => "it was asked for again".into(),
        NotYet::Failed(why) | NotYet::Refused(why) => why,
    };
    let what = needed.what;
    Err(TargetError::Unavailable(format!(
        "{what} was there and is not any more: {why}"
    )))
}

/// Whether the time lies on a later day than that on which the span was opened, and which has begun.
fn has_begun_since(time: i64, opened_ms: i64, clock: &dyn Clock) -> bool {
    let day = routing::day(time);
    routing::day(opened_ms) < day && day <= routing::day(millis(clock.wall()))
}
