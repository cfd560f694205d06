//! The names of objects: a template, and what it becomes for a table and a span.
//!
//! A key is made from the table and the span only, so that a span written twice leaves one copy. This
//! module owns that no two tables or spans share a key by accident, and that no name from a record
//! leaves its path segment. It refuses templates that could not promise it.

use std::fmt::{self, Write};

use alluvium_target::{Span, Table, dead_letters};

use crate::{Compression, LineLayout};

mod name;
mod read;

pub use read::{KeyParts, Numbers, read_dead_letters_key};

/// S3's limit for a key, in bytes of UTF-8.
const MAX_KEY: usize = 1024;
/// The limit of common file systems for one name, in bytes.
const MAX_SEGMENT: usize = 255;

/// What is wrong with a key template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing between the braces, or no such placeholder.
    #[error(
        "`{{{0}}}` is no placeholder; there are {{project}}, {{collection}}, {{topic}}, {{partition}}, \
         {{from}} and {{to}}, and `{{{{` stands for a brace"
    )]
    UnknownPlaceholder(String),
    /// A brace without its partner.
    #[error("a `{0}` stands alone; write `{0}{0}` for the character itself")]
    LoneBrace(char),
    /// A placeholder that keeps objects apart is missing.
    #[error(
        "`{{{0}}}` is missing: {{topic}}, {{partition}}, {{from}} and {{to}} are all needed, or objects of \
         two spans would overwrite each other"
    )]
    Missing(&'static str),
    /// The rows do not name their table, so the key has to.
    #[error(
        "`{{{0}}}` is missing: the layout `flat` does not write a row's project and collection, so the key \
         must hold both"
    )]
    MissingForFlat(&'static str),
    /// Two names of which nobody could say where the first ends.
    #[error(
        "a part between slashes holds {{{0}}} and {{{1}}}: at most one of {{project}}, {{collection}} and \
         {{topic}} may stand there, or different names could make the same key"
    )]
    TwoNames(&'static str, &'static str),
    /// Placeholders that run into each other.
    #[error(
        "between {{{0}}} and {{{1}}} there must be text that neither begins nor ends with a digit, such as \
         `-`, or different values could make the same key"
    )]
    Adjacent(&'static str, &'static str),
    /// A segment that is empty or begins with a dot.
    #[error(
        "parts between slashes must not be empty or begin with a dot (`{0}`); the template neither begins \
         nor ends with a slash"
    )]
    BadSegment(String),
    /// A character that means something else in some places.
    #[error("the character {0:?} must not be in a key")]
    BadCharacter(char),
    /// The place kept for dead letters.
    #[error("keys must not begin with `{name}`, where dead letters are", name = dead_letters::NAME)]
    Reserved,
    /// With long names, the key or a part of it would not be accepted.
    #[error("{what} can reach {len} bytes; at most {max} are allowed")]
    TooLong {
        /// The key, or a part between slashes.
        what: &'static str,
        /// How long it can get, in bytes.
        len: usize,
        /// The limit, in bytes.
        max: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Project,
    Collection,
    Topic,
    Partition,
    From,
    To,
}

impl Field {
    const ALL: [Self; 6] = [
        Self::Project,
        Self::Collection,
        Self::Topic,
        Self::Partition,
        Self::From,
        Self::To,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Collection => "collection",
            Self::Topic => "topic",
            Self::Partition => "partition",
            Self::From => "from",
            Self::To => "to",
        }
    }

    fn is_name(self) -> bool {
        matches!(self, Self::Project | Self::Collection | Self::Topic)
    }

    /// The longest its value gets, in bytes.
    fn max_len(self) -> usize {
        match self {
            Self::Project | Self::Collection | Self::Topic => name::MAX_LEN,
            Self::Partition => 11,
            Self::From | Self::To => 20,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
}

/// How objects are named: text with placeholders, such as
/// `{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz`.
///
/// `{{` and `}}` stand for braces. Keys made of it are at most 1024 bytes, their parts between slashes at
/// most 255, without empty parts, parts that begin with a dot, or control characters. Different tables
/// have different keys if the template holds `{project}` and `{collection}`; different spans always have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTemplate {
    parts: Vec<Part>,
}

impl KeyTemplate {
    /// The template used if none is configured.
    pub fn default_text(compression: Compression) -> &'static str {
        match compression {
            Compression::Gzip => "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz",
            Compression::Zstd => {
                "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.zst"
            }
            Compression::None => "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson",
        }
    }

    /// Reads a template.
    ///
    /// # Errors
    /// [`KeyError`] if it could not keep tables and spans apart, or would make keys a store refuses.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let parts = split(text)?;
        if let Some(missing) = [Field::Topic, Field::Partition, Field::From, Field::To]
            .into_iter()
            .find(|field| !parts.contains(&Part::Field(*field)))
        {
            return Err(KeyError::Missing(missing.name()));
        }
        let segments = segments(&parts);
        segments
            .iter()
            .try_for_each(|segment| check_segment(segment))?;
        let separators = segments.len() - 1;
        let len = separators
            + segments
                .iter()
                .map(|segment| max_len(segment))
                .sum::<usize>();
        if len > MAX_KEY {
            return Err(KeyError::TooLong {
                what: "the key",
                len,
                max: MAX_KEY,
            });
        }
        check_reserved(&parts)?;
        Ok(Self { parts })
    }

    /// Whether rows written with `layout` can be told apart under these keys.
    ///
    /// # Errors
    /// [`KeyError::MissingForFlat`].
    pub fn suits(&self, layout: LineLayout) -> Result<(), KeyError> {
        let needed = [Field::Project, Field::Collection].into_iter();
        let missing = needed
            .filter(|field| !self.holds(*field))
            .map(Field::name)
            .next();
        match (layout, missing) {
            (LineLayout::Flat, Some(missing)) => Err(KeyError::MissingForFlat(missing)),
            _ => Ok(()),
        }
    }

    /// The key of the object that holds the rows of `table` in `span`.
    pub fn key(&self, table: &Table, span: &Span) -> String {
        let mut key = String::with_capacity(128);
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Field(field) => push_value(*field, table, span, &mut key),
            }
        }
        key
    }

    /// Stands for every table whose rows share an object with those of `table`.
    pub(crate) fn representative(&self, table: &Table) -> Table {
        if table.is_dead_letters() {
            return table.clone();
        }
        let keep = |field, name| if self.holds(field) { name } else { "" };
        let project = if self.holds(Field::Project) {
            table.project()
        } else {
            "*"
        };
        Table::new(project, keep(Field::Collection, table.collection()))
    }

    fn holds(&self, field: Field) -> bool {
        self.parts.contains(&Part::Field(field))
    }
}

impl fmt::Display for KeyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Field(field) => write!(f, "{{{}}}", field.name())?,
            }
        }
        Ok(())
    }
}

/// The key of the object that holds the dead letters of `span`.
pub(crate) fn dead_letters_key(span: &Span, compression: Compression) -> String {
    let mut key = format!("{}/", dead_letters::NAME);
    name::encode(span.partition.topic(), dead_letters::NAME, &mut key);
    let suffix = compression.ending();
    let (id, from, to) = (span.partition.id(), span.from, span.to);
    // Writing to a string cannot fail.
    let _ = write!(key, "-{id}-{from}-{to}.ndjson{suffix}");
    key
}

fn push_value(field: Field, table: &Table, span: &Span, key: &mut String) {
    let written = match field {
        Field::Project => return name::encode(table.project(), dead_letters::NAME, key),
        Field::Collection => return name::encode(table.collection(), dead_letters::NAME, key),
        Field::Topic => return name::encode(span.partition.topic(), dead_letters::NAME, key),
        Field::Partition => write!(key, "{}", span.partition.id()),
        Field::From => write!(key, "{}", span.from),
        Field::To => write!(key, "{}", span.to),
    };
    // Writing to a string cannot fail.
    let _ = written;
}

fn split(text: &str) -> Result<Vec<Part>, KeyError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '{' | '}' if rest.as_str().starts_with(c) => {
                rest.next();
                literal.push(c);
            }
            '{' => {
                let (inside, after) = rest
                    .as_str()
                    .split_once('}')
                    .ok_or(KeyError::LoneBrace('{'))?;
                let field = Field::ALL.into_iter().find(|field| field.name() == inside);
                let field = field.ok_or_else(|| KeyError::UnknownPlaceholder(inside.to_owned()))?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Field(field));
                rest = after.chars();
            }
            '}' => return Err(KeyError::LoneBrace('}')),
            c if c.is_control() || c == '\\' => return Err(KeyError::BadCharacter(c)),
            c => literal.push(c),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

/// The parts of each path segment.
fn segments(parts: &[Part]) -> Vec<Vec<Part>> {
    let mut done = Vec::new();
    let mut segment = Vec::new();
    for part in parts {
        match part {
            Part::Field(_) => segment.push(part.clone()),
            Part::Text(text) => {
                for (at, piece) in text.split('/').enumerate() {
                    if at > 0 {
                        done.push(std::mem::take(&mut segment));
                    }
                    if !piece.is_empty() {
                        segment.push(Part::Text(piece.to_owned()));
                    }
                }
            }
        }
    }
    done.push(segment);
    done
}

fn max_len(segment: &[Part]) -> usize {
    let len = |part: &Part| match part {
        Part::Text(text) => text.len(),
        Part::Field(field) => field.max_len(),
    };
    segment.iter().map(len).sum()
}

/// Refuses a segment out of which its values could not be read again.
///
/// One name at most and text that ends every number: then the numbers before the name can be read from
/// the left, those behind it from the right, and what is left is the name.
fn check_segment(segment: &[Part]) -> Result<(), KeyError> {
    match segment.first() {
        None => return Err(KeyError::BadSegment(String::new())),
        Some(Part::Text(text)) if text.starts_with('.') => {
            return Err(KeyError::BadSegment(text.clone()));
        }
        Some(_) => {}
    }
    let mut named: Option<Field> = None;
    let mut before: Option<Field> = None;
    let mut between = "";
    for part in segment {
        match part {
            Part::Text(text) => between = text,
            Part::Field(field) => {
                if let (true, Some(other)) = (field.is_name(), named) {
                    return Err(KeyError::TwoNames(other.name(), field.name()));
                }
                if let Some(before) = before.filter(|_| !separates(between)) {
                    return Err(KeyError::Adjacent(before.name(), field.name()));
                }
                named = if field.is_name() { Some(*field) } else { named };
                before = Some(*field);
                between = "";
            }
        }
    }
    let len = max_len(segment);
    if len > MAX_SEGMENT {
        return Err(KeyError::TooLong {
            what: "a part between slashes",
            len,
            max: MAX_SEGMENT,
        });
    }
    Ok(())
}

fn separates(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    !text.is_empty() && !text.starts_with(digit) && !text.ends_with(digit)
}

/// Keeps the place of dead letters free. Names never begin like it; fixed text must not either.
fn check_reserved(parts: &[Part]) -> Result<(), KeyError> {
    let Some(Part::Text(lead)) = parts.first() else {
        return Ok(());
    };
    let reserved = format!("{}/", dead_letters::NAME);
    if lead.starts_with(&reserved) || reserved.starts_with(lead.as_str()) {
        return Err(KeyError::Reserved);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
