//! Keys read back: which partition and positions an object is of.
//!
//! The inverse of [`KeyTemplate::key`] for the keys a template makes, and nothing for most others. Names
//! stay as they are in the key: those that were too long for it cannot be had back.

use alluvium_target::{Position, dead_letters};

use crate::Compression;

use super::{Field, KeyTemplate, Part, name, segments};

/// What a key says of its object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyParts {
    /// The topic as it stands in the key: compare it with [`KeyTemplate::topic_text`].
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The first position of the span.
    pub from: Position,
    /// The position right behind the span.
    pub to: Position,
}

impl KeyTemplate {
    /// Reads a key that this template made. Nothing if it cannot have made it.
    pub fn read(&self, key: &str) -> Option<KeyParts> {
        read(&self.parts, key)
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
pub fn read_dead_letters_key(key: &str) -> Option<KeyParts> {
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
    read(&parts, Compression::strip_ending(key))
}

fn read(parts: &[Part], key: &str) -> Option<KeyParts> {
    let segments = segments(parts);
    let mut values = Values::default();
    let mut texts = key.split('/');
    for segment in &segments {
        values.read_segment(segment, texts.next()?)?;
    }
    if texts.next().is_some() {
        return None;
    }
    Some(KeyParts {
        topic: values.of(Field::Topic)?.to_owned(),
        partition: values.of(Field::Partition)?.parse().ok()?,
        from: Position::at(values.of(Field::From)?.parse().ok()?),
        to: Position::at(values.of(Field::To)?.parse().ok()?),
    })
}

/// The text of each field met.
#[derive(Default)]
struct Values<'a>(Vec<(Field, &'a str)>);

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
                    let start = rest.trim_end_matches(|c: char| c.is_ascii_digit()).len();
                    let (before, digits) = rest.split_at_checked(start)?;
                    self.number(*field, digits)?;
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
                    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                    let (digits, _) = rest.split_at_checked(rest.len() - after.len())?;
                    self.number(*field, digits)?;
                    after
                }
            };
        }
        rest.is_empty().then_some(())
    }

    /// Numbers are written without sign and in the shortest way.
    fn number(&mut self, field: Field, digits: &'a str) -> Option<()> {
        let shortest = digits == "0" || (!digits.is_empty() && !digits.starts_with('0'));
        shortest.then_some(())?;
        self.put(field, digits)
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
                self.0.push((field, text));
                Some(())
            }
        }
    }

    fn of(&self, field: Field) -> Option<&'a str> {
        let found = self.0.iter().find(|(met, _)| *met == field);
        found.map(|(_, text)| *text)
    }
}
