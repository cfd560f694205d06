//! What is in the stream, and what rows it must become.
//!
//! The oracle here shares no code with `decode`, `table` or `flush`. It is possible because records are made of few things:
//! a text, a number that is whole at first, then broken, then sometimes text, and columns that come later.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use super::random::Random;
use super::settings::{NEW_DAY, Settings};

/// One partition's records.
pub(super) struct Log {
    pub(super) partition: usize,
    pub(super) records: Vec<Entry>,
    /// Positions behind the last record that no record will have.
    gap: i64,
    /// Tables the target refuses.
    refused: Option<usize>,
    /// Whether records of other days are not for the target.
    late: bool,
}

pub(super) struct Entry {
    pub(super) offset: i64,
    /// When it can be read.
    pub(super) at: Duration,
    /// Nothing is a tombstone.
    pub(super) payload: Option<String>,
    what: What,
    event: Event,
}

/// When a record's event was, in milliseconds, and whom it was about.
#[derive(Clone, Copy, Default)]
struct Event {
    time: Option<u64>,
    user: Option<u64>,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A record as the test means it.
enum What {
    Row {
        table: usize,
        number: Number,
        more: Option<u64>,
    },
    /// No row can be made of it, for this reason.
    Bad(&'static str),
}

#[derive(Clone, Copy)]
enum Number {
    Missing,
    Whole(u64),
    Half(u64),
    Text(u64),
}

/// The name of a table in outputs; the last one is that of dead letters.
pub(super) fn table_name(table: usize) -> &'static str {
    ["t0", "t1", "t2", "t3"][table]
}

/// The table as a target calls it.
pub(super) const LETTERS: &str = "_dead_letters";

impl Log {
    pub(super) fn new(
        partition: usize,
        settings: &Settings,
        until: Duration,
        random: &mut Random,
        more: &mut Random,
    ) -> Self {
        let tables = settings.tables;
        let count = random.range(15, 100);
        let gaps = random.pick(&[0, 300, 2000]);
        let bad = random.pick(&[0, 500, 2500]);
        let backlog = random.chance(2500);
        let changes = random.chance(7000);
        let mut offset = random.pick(&[0, 0, 7]);
        let until = u64::try_from(until.as_millis()).unwrap();
        let mut times: Vec<_> = (0..count)
            .map(|_| if backlog { 0 } else { random.range(0, until) })
            .collect();
        times.sort_unstable();
        let gap = random.pick(&[0, 1, 6]);
        let records = times.into_iter().enumerate().map(|(index, at)| {
            let late = changes && index as u64 * 3 > count;
            if random.chance(gaps) {
                offset += i64::try_from(random.range(1, 9)).unwrap();
            }
            let (what, payload, event) = if random.chance(bad) {
                let (what, payload) = broken(random);
                (what, payload, Event::default())
            } else {
                let event = Event::new(settings, more);
                let (what, payload) = row(offset, tables, late, event, random);
                (what, payload, event)
            };
            offset += 1;
            Entry {
                offset: offset - 1,
                at: Duration::from_millis(at),
                payload,
                what,
                event,
            }
        });
        Self {
            partition,
            records: records.collect(),
            gap,
            refused: settings.refused,
            late: settings.late,
        }
    }

    /// Where the partition ends.
    pub(super) fn high(&self) -> i64 {
        self.end() + self.gap
    }

    /// Behind the last record.
    pub(super) fn end(&self) -> i64 {
        self.records.last().map_or(0, |entry| entry.offset + 1)
    }

    /// The first record at or behind `offset`, as an index.
    pub(super) fn index_of(&self, offset: i64) -> usize {
        self.records.partition_point(|entry| entry.offset < offset)
    }

    /// The records `[from, to)`, as indexes.
    pub(super) fn within(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        self.index_of(from)..self.index_of(to)
    }

    /// Where the record at `index` belongs.
    pub(super) fn table_of(&self, index: usize) -> &'static str {
        match self.records[index].what {
            What::Row { table, .. } if self.refused != Some(table) => table_name(table),
            _ => LETTERS,
        }
    }

    /// Whether the record at `index` is late in a span that was opened at `opened_ms`: neither of its day nor of the one before.
    pub(super) fn is_late(&self, index: usize, opened_ms: i64) -> bool {
        let today = u64::try_from(opened_ms).unwrap() / DAY_MS;
        let day = self.records[index].event.time.map(|time| time / DAY_MS);
        self.late && day.is_some_and(|day| day + 1 < today || day > today)
    }

    /// What tells the event of the record at `index` from others, if it can be repeated.
    pub(super) fn event(&self, index: usize) -> Option<(usize, u64, u64)> {
        let Entry { what, event, .. } = &self.records[index];
        match what {
            What::Row { table, .. } => Some((*table, event.time?, event.user?)),
            What::Bad(_) => None,
        }
    }

    /// The rows of a table in the span `[from, to)` that was opened at `opened_ms`: all that are not late, and in `kept` if that is said.
    /// `text`: whether the number's column is of text, if that is not for the rows to decide.
    pub(super) fn rows(
        &self,
        table: &str,
        (from, to): (i64, i64),
        opened_ms: i64,
        kept: Option<&BTreeSet<i64>>,
        text: Option<bool>,
    ) -> Vec<String> {
        let is_kept =
            |index: usize| kept.is_none_or(|kept| kept.contains(&self.records[index].offset));
        let mine = self.within(from, to);
        let mine: Vec<_> = mine
            .filter(|&index| self.table_of(index) == table)
            .filter(|&index| is_kept(index) && !self.is_late(index, opened_ms))
            .collect();
        if table == LETTERS {
            let letter = |index: &usize| self.letter(*index);
            return mine.iter().map(letter).collect();
        }
        // The first number of the span decides what the column is.
        let first = mine
            .iter()
            .find_map(|index| match self.records[*index].what {
                What::Row {
                    number: Number::Missing,
                    ..
                }
                | What::Bad(_) => None,
                What::Row { number, .. } => Some(matches!(number, Number::Text(_))),
            });
        let text = text.or(first).unwrap_or(false);
        mine.iter()
            .map(|index| self.row(*index, text, opened_ms))
            .collect()
    }

    fn row(&self, index: usize, text: bool, opened_ms: i64) -> String {
        let Entry {
            offset,
            what,
            event,
            ..
        } = &self.records[index];
        let What::Row {
            table,
            number,
            more,
        } = what
        else {
            return String::new();
        };
        let mut row = String::new();
        if let (Number::Text(value), false) = (number, text) {
            let _ = write!(row, "_misfit.n=\"x{value}\" ");
        }
        let _ = write!(row, "_shard_time={opened_ms} ");
        if let Some(time) = event.time {
            let _ = write!(row, "_time={time} ");
        }
        if let Some(user) = event.user {
            let _ = write!(row, "_user=u{user} ");
        }
        let _ = write!(row, "c={} id={offset} ", table_name(*table));
        if let Some(more) = more {
            let _ = write!(row, "m{more}=true ");
        }
        let _ = match number {
            Number::Missing => Ok(()),
            Number::Whole(value) => write!(row, "n={value} "),
            Number::Half(value) => write!(row, "n={value}.5 "),
            Number::Text(value) if text => write!(row, "n=x{value} "),
            Number::Text(_) => Ok(()),
        };
        row
    }

    fn letter(&self, index: usize) -> String {
        let Entry {
            offset,
            payload,
            what,
            ..
        } = &self.records[index];
        let reason = match what {
            What::Bad(reason) => reason,
            What::Row { .. } => "target_rejected",
        };
        letter(self.partition, *offset, payload.as_deref(), reason)
    }
}

impl Event {
    /// Days, seconds and users are few, so that events are repeated.
    fn new(settings: &Settings, more: &mut Random) -> Self {
        let mut event = Self::default();
        if !settings.late && !settings.repeats {
            return event;
        }
        let days: &[u64] = match settings.late {
            true => &[3, 2, 2, 1, 1, 1, 1, 0, 0],
            false => &[1],
        };
        // The last of the days is the one behind that which begins.
        let day = match settings.late && more.chance(500) {
            true => NEW_DAY + 1,
            false => NEW_DAY - more.pick(days),
        };
        let time = day * DAY_MS + more.range(0, 2) * 1000;
        event.time = (!more.chance(500)).then_some(time);
        event.user = (settings.repeats && !more.chance(500)).then(|| more.range(0, 5));
        event
    }
}

/// The place of the record that a row or a dead letter was made of.
pub(super) fn offset_of(row: &str) -> Option<i64> {
    let of_row = row.split(' ').find_map(|part| part.strip_prefix("id="));
    let text = match row.starts_with('_') {
        true => of_row,
        false => row.split(' ').nth(1),
    };
    text?.parse().ok()
}

/// A dead letter as text.
pub(super) fn letter(partition: usize, offset: i64, payload: Option<&str>, reason: &str) -> String {
    format!("{partition} {offset} {payload:?} {reason}")
}

fn broken(random: &mut Random) -> (What, Option<String>) {
    match random.range(0, 2) {
        0 => (What::Bad("not_json"), Some(r#"{"c":"t0","id":}"#.into())),
        1 => (What::Bad("no_table"), Some(r#"{"id":1}"#.into())),
        _ => (What::Bad("not_json"), None),
    }
}

fn row(
    offset: i64,
    tables: usize,
    late: bool,
    event: Event,
    random: &mut Random,
) -> (What, Option<String>) {
    let table = random.index(tables);
    let value = random.range(0, 999);
    let number = match random.range(0, 9) {
        0 => Number::Missing,
        1..=3 if late => Number::Half(value),
        4 if late => Number::Text(value),
        _ => Number::Whole(value),
    };
    let more = (late && random.chance(3000)).then(|| random.range(0, 3));
    let mut text = format!(r#"{{"c":"{}","id":{offset}"#, table_name(table));
    let _ = match number {
        Number::Missing => Ok(()),
        Number::Whole(value) => write!(text, r#","n":{value}"#),
        Number::Half(value) => write!(text, r#","n":{value}.5"#),
        Number::Text(value) => write!(text, r#","n":"x{value}""#),
    };
    if let Some(more) = more {
        let _ = write!(text, r#","m{more}":true"#);
    }
    if let Some(time) = event.time {
        let _ = write!(text, r#","_time":{time}"#);
    }
    if let Some(user) = event.user {
        let _ = write!(text, r#","_user":"u{user}""#);
    }
    text.push('}');
    (
        What::Row {
            table,
            number,
            more,
        },
        Some(text),
    )
}
