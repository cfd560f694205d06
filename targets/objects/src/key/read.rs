//! Keys read back: which partition and positions an object is of.
//!
//! The inverse of [`KeyTemplate::key`] for the keys a template makes, and nothing for most others. Names
//! stay as they are in the key: those that were too long for it cannot be had back.

use std::fmt::Display;
use std::str::FromStr;

use alluvium_target::{PartitionId, Position, dead_letters};

use crate::Compression;

use super::{Field, KeyTemplate, Part, name, segments};

/// What ids of shards begin with.
const SHARD: &str = "shardId-";

/// What partitions and positions look like in keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// As those of Kafka: numbers.
    Offsets,
    /// As those of Kinesis: ids of shards, and sequence numbers with a dot and a number.
    Sequences,
}

/// What a key says of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParts {
    /// The topic as it stands in the key: compare it with [`KeyTemplate::topic_text`].
    pub topic: String,
    /// Which partition of the topic.
    pub partition: PartitionId,
    /// The first position of the span.
    pub from: Position,
    /// The position right behind the span.
    pub to: Position,
}

impl KeyTemplate {
    /// Reads a key that this template made. Nothing if it cannot have made it.
    pub fn read(&self, key: &str, numbers: Numbers) -> Option<KeyParts> {
        read(&self.parts, key, numbers)
    }

    /// The text all keys begin with: what stands before the first placeholder, perhaps nothing.
    pub fn prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// A topic as it stands in keys.
    pub fn topic_text(topic: &str) -> String {
        let mut text = String::new();
        name::encode(topic, dead_letters::NAME, &mut text);
        text
    }
}

/// Reads the key of an object of dead letters, compressed or not. Nothing if it is none.
pub fn read_dead_letters_key(key: &str, numbers: Numbers) -> Option<KeyParts> {
    let text = |text: &str| Part::Text(text.to_owned());
    let parts = [
        Part::Text(format!("{}/", dead_letters::NAME)),
        Part::Field(Field::Topic),
        text("-"),
        Part::Field(Field::Partition),
        text("-"),
        Part::Field(Field::From),
        text("-"),
        Part::Field(Field::To),
        text(".ndjson"),
    ];
    read(&parts, Compression::strip_ending(key), numbers)
}

fn read(parts: &[Part], key: &str, numbers: Numbers) -> Option<KeyParts> {
    let segments = segments(parts);
    let mut values = Values {
        numbers,
        met: Vec::new(),
    };
    let mut texts = key.split('/');
    for segment in &segments {
        values.read_segment(segment, texts.next()?)?;
    }
    if texts.next().is_some() {
        return None;
    }
    Some(KeyParts {
        topic: values.of(Field::Topic)?.to_owned(),
        partition: as_written(values.of(Field::Partition)?)?,
        from: as_written(values.of(Field::From)?)?,
        to: as_written(values.of(Field::To)?)?,
    })
}

/// A value whose only text this is: numbers are written without sign and in the shortest way.
fn as_written<T: FromStr + Display>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

fn digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// The text of each field met.
struct Values<'a> {
    numbers: Numbers,
    met: Vec<(Field, &'a str)>,
}

impl<'a> Values<'a> {
    /// Takes a part between slashes to pieces: numbers before the name from the left, those behind it from
    /// the right, and what is left is the name. A template that this cannot take apart is refused by
    /// [`KeyTemplate::parse`].
    fn read_segment(&mut self, segment: &[Part], text: &'a str) -> Option<()> {
        let is_name = |part: &Part| matches!(part, Part::Field(field) if field.is_name());
        let is_text = |part: &&Part| matches!(part, Part::Text(_));
        // Without a name, text at the end is taken off first: it may begin with a digit.
        let last = segment.len().checked_sub(1)?;
        let ends_in_text = last > 0 && segment.get(last).as_ref().is_some_and(is_text);
        let middle = segment.iter().position(is_name);
        let from_right = match middle {
            Some(at) => at + 1,
            None if ends_in_text => last,
            None => segment.len(),
        };
        let (left, right) = segment.split_at_checked(from_right)?;
        let mut rest = text;
        for part in right.iter().rev() {
            rest = match part {
                Part::Text(text) => rest.strip_suffix(text.as_str())?,
                Part::Field(field) => {
                    let before = self.before_number(*field, rest)?;
                    let (before, number) = rest.split_at_checked(before.len())?;
                    self.put(*field, number)?;
                    before
                }
            };
        }
        for part in left {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text.as_str())?,
                Part::Field(field) if field.is_name() => {
                    self.name(*field, rest)?;
                    ""
                }
                Part::Field(field) => {
                    let after = self.behind_number(*field, rest)?;
                    let (number, _) = rest.split_at_checked(rest.len() - after.len())?;
                    self.put(*field, number)?;
                    after
                }
            };
        }
        rest.is_empty().then_some(())
    }

    /// What stands before the partition or position at the end of the text.
    fn before_number<'t>(&self, field: Field, text: &'t str) -> Option<&'t str> {
        let before = text.trim_end_matches(digit);
        match (self.numbers, field) {
            (Numbers::Offsets, _) => Some(before),
            (Numbers::Sequences, Field::Partition) => before.strip_suffix(SHARD),
            (Numbers::Sequences, _) => Some(before.strip_suffix('.')?.trim_end_matches(digit)),
        }
    }

    /// What stands behind the partition or position at the beginning of the text.
    fn behind_number<'t>(&self, field: Field, text: &'t str) -> Option<&'t str> {
        let behind = |text: &'t str| text.trim_start_matches(digit);
        match (self.numbers, field) {
            (Numbers::Offsets, _) => Some(behind(text)),
            (Numbers::Sequences, Field::Partition) => Some(behind(text.strip_prefix(SHARD)?)),
            (Numbers::Sequences, _) => Some(behind(behind(text).strip_prefix('.')?)),
        }
    }

    fn name(&mut self, field: Field, text: &'a str) -> Option<()> {
        name::may_be_encoded(text, dead_letters::NAME).then_some(())?;
        self.put(field, text)
    }

    /// A field that stands in the template twice has one value.
    fn put(&mut self, field: Field, text: &'a str) -> Option<()> {
        match self.of(field) {
            Some(before) => (before == text).then_some(()),
            None => {
                self.met.push((field, text));
                Some(())
            }
        }
    }

    fn of(&self, field: Field) -> Option<&'a str> {
        let found = self.met.iter().find(|(met, _)| *met == field);
        found.map(|(_, text)| *text)
    }
}
