//! What is in the stream, and what rows it must become.
//!
//! The oracle here shares no code with `decode`, `table` or `flush`. It is possible because records are made of few things:
//! a text, a number that is whole at first, then broken, then sometimes text, and columns that come later.

use std::fmt::Write;
use std::time::Duration;

use super::random::Random;

/// One partition's records.
pub(super) struct Log {
    pub(super) partition: usize,
    pub(super) records: Vec<Entry>,
    /// Positions behind the last record that no record will have.
    gap: i64,
    /// Tables the target refuses.
    refused: Option<usize>,
}

pub(super) struct Entry {
    pub(super) offset: i64,
    /// When it can be read.
    pub(super) at: Duration,
    /// Nothing is a tombstone.
    pub(super) payload: Option<String>,
    what: What,
}

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
        tables: usize,
        refused: Option<usize>,
        until: Duration,
        random: &mut Random,
    ) -> Self {
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
            let (what, payload) = if random.chance(bad) {
                broken(random)
            } else {
                row(offset, tables, late, random)
            };
            offset += 1;
            Entry {
                offset: offset - 1,
                at: Duration::from_millis(at),
                payload,
                what,
            }
        });
        Self {
            partition,
            records: records.collect(),
            gap,
            refused,
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

    /// The rows of a table in the span `[from, to)` that was opened at `opened_ms`.
    pub(super) fn rows(&self, table: &str, from: i64, to: i64, opened_ms: i64) -> Vec<String> {
        let mine = self.within(from, to);
        let mine: Vec<_> = mine
            .filter(|index| self.table_of(*index) == table)
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
        let text = first.unwrap_or(false);
        mine.iter()
            .map(|index| self.row(*index, text, opened_ms))
            .collect()
    }

    fn row(&self, index: usize, text: bool, opened_ms: i64) -> String {
        let Entry { offset, what, .. } = &self.records[index];
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
        let _ = write!(
            row,
            "_shard_time={opened_ms} c={} id={offset} ",
            table_name(*table)
        );
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

fn row(offset: i64, tables: usize, late: bool, random: &mut Random) -> (What, Option<String>) {
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
