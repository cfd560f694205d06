//! What an object says of itself in its metadata.
//!
//! A span is planned, and then perhaps written by several: whoever finds an object under the name it was to
//! write tells by the description whether it is the same. It is also what an audit needs to find spans
//! that are incomplete. Values are ASCII, since stores keep them in headers.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use alluvium_target::{Partition, Span};

use crate::{ContentHash, Contents};

/// What an object holds, and what it is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The span its rows are of.
    pub span: Span,
    /// When the span was opened, in milliseconds since the epoch.
    pub opened_ms: i64,
    /// Rows in the object.
    pub rows: u64,
    /// Bytes of text in it.
    pub uncompressed_bytes: u64,
    /// What the rows are.
    pub content: ContentHash,
    /// How many objects the span has, this one included.
    pub span_objects: u64,
    /// Rows of the span over all its objects.
    pub span_rows: u64,
}

/// Why metadata does not describe an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// An entry is not there: the object was written by something else, or its metadata got lost.
    #[error("its metadata has no `{0}`")]
    Missing(&'static str),
    /// An entry is not what it should be.
    #[error("its metadata `{name}` is {value:?}")]
    Bad {
        /// The entry's name.
        name: &'static str,
        /// What it says.
        value: String,
    },
}

const TOPIC: &str = "topic";
const PARTITION: &str = "partition";
const FROM: &str = "from";
const TO: &str = "to";
const OPENED: &str = "opened";
const ROWS: &str = "rows";
const UNCOMPRESSED_BYTES: &str = "uncompressed-bytes";
const CONTENT_HASH: &str = "content-hash";
const SPAN_OBJECTS: &str = "span-objects";
const SPAN_ROWS: &str = "span-rows";

impl Description {
    /// As metadata: names and values.
    pub fn to_metadata(&self) -> Vec<(&'static str, String)> {
        let Span {
            partition,
            from,
            to,
        } = &self.span;
        vec![
            (TOPIC, to_ascii(partition.topic())),
            (PARTITION, partition.id().to_string()),
            (FROM, from.to_string()),
            (TO, to.to_string()),
            (OPENED, self.opened_ms.to_string()),
            (ROWS, self.rows.to_string()),
            (UNCOMPRESSED_BYTES, self.uncompressed_bytes.to_string()),
            (CONTENT_HASH, self.content.to_string()),
            (SPAN_OBJECTS, self.span_objects.to_string()),
            (SPAN_ROWS, self.span_rows.to_string()),
        ]
    }

    /// Reads metadata; entries it does not know are left alone.
    ///
    /// # Errors
    /// [`DescriptionError`] names the first entry that is missing or wrong.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, DescriptionError> {
        let topic = text(metadata, TOPIC)?;
        let topic = from_ascii(topic).ok_or_else(|| bad(TOPIC, topic))?;
        Ok(Self {
            span: Span {
                partition: Partition::of(topic, value(metadata, PARTITION)?),
                from: value(metadata, FROM)?,
                to: value(metadata, TO)?,
            },
            opened_ms: value(metadata, OPENED)?,
            rows: value(metadata, ROWS)?,
            uncompressed_bytes: value(metadata, UNCOMPRESSED_BYTES)?,
            content: value(metadata, CONTENT_HASH)?,
            span_objects: value(metadata, SPAN_OBJECTS)?,
            span_rows: value(metadata, SPAN_ROWS)?,
        })
    }

    /// Whether both are of the same rows of the same span.
    pub fn same_content(&self, other: &Self) -> bool {
        self.span == other.span && self.holds(&other.contents())
    }

    /// Whether an object with these contents is the one described, as far as contents tell.
    pub fn holds(&self, contents: &Contents) -> bool {
        self.contents() == *contents
    }

    fn contents(&self) -> Contents {
        Contents {
            rows: self.rows,
            uncompressed_bytes: self.uncompressed_bytes,
            content: self.content,
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.contents(), self.span)
    }
}

/// Milliseconds since the epoch, rounded down.
pub(crate) fn epoch_ms(time: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => {
            let before = before.duration();
            let part = i64::from(!before.subsec_nanos().is_multiple_of(1_000_000));
            -whole(before).saturating_add(part)
        }
    }
}

fn text<'a>(
    metadata: &'a BTreeMap<String, String>,
    name: &'static str,
) -> Result<&'a str, DescriptionError> {
    let value = metadata.get(name).ok_or(DescriptionError::Missing(name))?;
    Ok(value)
}

fn value<T: FromStr>(
    metadata: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<T, DescriptionError> {
    let text = text(metadata, name)?;
    text.parse().map_err(|_| bad(name, text))
}

fn bad(name: &'static str, value: &str) -> DescriptionError {
    let value = value.to_owned();
    DescriptionError::Bad { name, value }
}

/// A topic as headers take it. Kafka's names are so already; of others, what is not is written as `%XX`.
fn to_ascii(topic: &str) -> String {
    let mut ascii = String::with_capacity(topic.len());
    for byte in topic.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            ascii.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(ascii, "%{byte:02X}");
        }
    }
    ascii
}

fn from_ascii(ascii: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(ascii.len());
    let mut rest = ascii.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?].map(|digit| char::from(digit).to_digit(16));
            let [high, low] = [digits[0]?, digits[1]?];
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use alluvium_target::Position;
    use proptest::prelude::*;

    use super::*;

    fn description(topic: &str, numbers: [u64; 4]) -> Description {
        let [rows, uncompressed_bytes, span_objects, span_rows] = numbers;
        Description {
            span: Span {
                partition: Partition::new(topic, 3),
                from: Position::at(10),
                to: Position::at(25),
            },
            opened_ms: 1_700_000_000_123,
            rows,
            uncompressed_bytes,
            content: ContentHash::of([&b"{}"[..]]),
            span_objects,
            span_rows,
        }
    }

    fn metadata(description: &Description) -> BTreeMap<String, String> {
        let entries = description.to_metadata().into_iter();
        entries
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    #[test]
    fn says_which_entry_is_missing_or_wrong() {
        let good = metadata(&description("events", [1, 2, 3, 4]));
        for name in good.keys() {
            let mut lacking = good.clone();
            lacking.remove(name);
            let error = Description::from_metadata(&lacking).unwrap_err();
            assert_eq!(error.to_string(), format!("its metadata has no `{name}`"));
            let mut wrong = good.clone();
            wrong.insert(name.clone(), "%zz".into());
            let error = Description::from_metadata(&wrong).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let mut more = good;
        more.insert("added-by".into(), "somebody".into());
        assert!(Description::from_metadata(&more).is_ok());
    }

    #[test]
    fn content_is_the_rows_of_a_span() {
        let one = description("events", [1, 2, 3, 4]);
        assert!(one.same_content(&description("events", [1, 2, 9, 9])));
        assert!(!one.same_content(&description("clicks", [1, 2, 3, 4])));
        assert!(!one.same_content(&description("events", [2, 2, 3, 4])));
        assert!(!one.same_content(&description("events", [1, 3, 3, 4])));
        let mut other = one.clone();
        other.content.add(b"");
        assert!(!one.same_content(&other));
    }

    #[test]
    fn times_are_whole_milliseconds() {
        let epoch = SystemTime::UNIX_EPOCH;
        let at = |ns| epoch + Duration::from_nanos(ns);
        assert_eq!((epoch_ms(epoch), epoch_ms(at(1_999_999))), (0, 1));
        assert_eq!(epoch_ms(epoch - Duration::from_nanos(1)), -1);
        assert_eq!(epoch_ms(epoch - Duration::from_millis(5)), -5);
    }

    proptest! {
        #[test]
        fn metadata_is_ascii_and_reads_back(topic in any::<String>(), numbers in any::<[u64; 4]>()) {
            let description = description(&topic, numbers);
            let metadata = metadata(&description);
            for value in metadata.values() {
                prop_assert!(value.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            prop_assert_eq!(Description::from_metadata(&metadata), Ok(description));
        }
    }
}
