//! Reads which objects a store has, and what each says of itself.

use std::collections::BTreeMap;

use alluvium_objects::{
    Description, KeyParts, KeyTemplate, Listed, Numbers, examine, read_dead_letters_key,
};
use alluvium_target::{Span, TargetError, dead_letters};
use futures_util::stream::{self, StreamExt};

use super::report::Violation;
use super::tiles::Ends;
use crate::record::{Partition, PartitionId, Position};
use crate::registry::Place;

/// Questions to the store at a time.
const DESCRIBED_AT_ONCE: usize = 32;
/// Objects read at a time.
const READ_AT_ONCE: usize = 8;

/// The objects of one span, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanObjects {
    /// How many were found.
    pub found: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// How many there must be, as they say; at least, if `loose`.
    pub expected: u64,
    /// How many rows they must have together, as they say.
    pub expected_rows: u64,
    /// When the span was opened, in milliseconds since the epoch, if one of them says it.
    pub opened_ms: Option<i64>,
    /// Their keys, if they were asked for.
    pub keys: Vec<String>,
    /// Whether several processes may have decided which rows are repeats, each otherwise: see [`Look::repeats`].
    pub loose: bool,
}

/// What a store has of some partitions.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By partition and by the span's two ends.
    pub spans: BTreeMap<Partition, BTreeMap<Ends, SpanObjects>>,
    /// Objects of other partitions, or under names that the template does not make.
    pub others: u64,
    /// What is wrong with single objects.
    pub violations: Vec<Violation>,
}

/// How closely to look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Read every object, and compare what is in it with what it says.
    pub deep: bool,
    /// Keep the keys of all objects.
    pub keys: bool,
    /// Repeats are dropped. Whoever finishes a planned span may take other rows for repeats than whoever began it, and leaves the
    /// objects that are there: what one of them says of the others need not be so.
    pub repeats: bool,
    /// Of these partitions, look only at spans that end behind the position.
    pub behind: BTreeMap<Partition, Position>,
}

impl Inventory {
    /// Takes stock of the objects of these partitions.
    ///
    /// # Errors
    /// [`TargetError::Unavailable`] if the store does not answer.
    pub async fn take(
        place: &Place,
        partitions: &[Partition],
        look: &Look,
    ) -> Result<Self, TargetError> {
        let names = Names::new(&place.key, partitions);
        let mut inventory = Self::default();
        let dead_letters = format!("{}/", dead_letters::NAME);
        for prefix in [place.key.prefix(), dead_letters.as_str()] {
            let mut after: Option<String> = None;
            loop {
                let page = place.store.list(prefix, after.as_deref()).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                // A template that begins with a name lists dead letters as well.
                let again = |key: &str| prefix != dead_letters && key.starts_with(&dead_letters);
                let page = page.into_iter().filter(|listed| !again(&listed.key));
                inventory.add(place, &names, page, look).await?;
            }
        }
        Ok(inventory)
    }

    async fn add(
        &mut self,
        place: &Place,
        names: &Names<'_>,
        page: impl Iterator<Item = Listed>,
        look: &Look,
    ) -> Result<(), TargetError> {
        let mut named = Vec::new();
        for listed in page {
            match names.span_of(&listed.key) {
                Some(span) if look.leaves_out(&span) => {}
                Some(span) => named.push((listed, span)),
                None => self.others += 1,
            }
        }
        let described = named.into_iter().map(|(listed, span)| async move {
            let found = place.store.describe(&listed.key).await;
            (listed, span, found)
        });
        let mut described = stream::iter(described).buffer_unordered(DESCRIBED_AT_ONCE);
        let mut sound = Vec::new();
        while let Some((listed, span, found)) = described.next().await {
            // Gone since it was listed: somebody is at work.
            let Some(found) = found? else { continue };
            match Description::from_metadata(&found.metadata) {
                Ok(description) => {
                    self.count(&listed, &span, &description, look);
                    sound.push((listed.key, description));
                }
                Err(error) => {
                    self.count_undescribed(&listed, &span, look.keys);
                    self.violations.push(Violation::Undescribed {
                        key: listed.key,
                        why: error.to_string(),
                    });
                }
            }
        }
        if look.deep {
            self.read(place, sound).await?;
        }
        Ok(())
    }

    fn entry(&mut self, span: &Span) -> &mut SpanObjects {
        let spans = self.spans.entry(span.partition.clone()).or_default();
        spans.entry((span.from, span.to)).or_default()
    }

    fn count_undescribed(&mut self, listed: &Listed, span: &Span, keys: bool) {
        let entry = self.entry(span);
        entry.found += 1;
        entry.bytes += listed.len;
        if keys {
            entry.keys.push(listed.key.clone());
        }
    }

    fn count(&mut self, listed: &Listed, span: &Span, description: &Description, look: &Look) {
        self.count_undescribed(listed, span, look.keys);
        if description.span != *span {
            self.violations.push(Violation::Misnamed {
                key: listed.key.clone(),
                says: description.span.to_string(),
            });
        }
        let entry = self.entry(span);
        entry.rows += description.rows;
        let first = entry.opened_ms.is_none();
        let (objects, rows) = (description.span_objects, description.span_rows);
        let opened_ms = Some(description.opened_ms);
        let disagrees = !first
            && (entry.opened_ms != opened_ms
                || (!look.repeats && (entry.expected, entry.expected_rows) != (objects, rows)));
        entry.loose = look.repeats;
        entry.expected = match look.repeats && !first {
            true => entry.expected.min(objects),
            false => objects,
        };
        (entry.expected_rows, entry.opened_ms) = (rows, opened_ms);
        if disagrees {
            self.violations.push(Violation::Disagreeing {
                span: span.clone(),
                key: listed.key.clone(),
            });
        }
    }

    async fn read(
        &mut self,
        place: &Place,
        objects: Vec<(String, Description)>,
    ) -> Result<(), TargetError> {
        let read = objects.into_iter().map(|(key, description)| async move {
            let contents = match place.store.read(&key).await {
                Ok(body) => examine(body, place.compression).await,
                Err(error) => return Err(error),
            };
            let why = match contents {
                Ok(contents) if description.holds(&contents) => return Ok(None),
                Ok(contents) => format!("it says {description}, and holds {contents}"),
                Err(error) => error.to_string(),
            };
            Ok(Some(Violation::Damaged { key, why }))
        });
        let mut read = stream::iter(read).buffer_unordered(READ_AT_ONCE);
        while let Some(violation) = read.next().await {
            self.violations.extend(violation?);
        }
        Ok(())
    }
}

impl Look {
    fn leaves_out(&self, span: &Span) -> bool {
        let behind = self.behind.get(&span.partition);
        behind.is_some_and(|position| span.to <= *position)
    }
}

impl SpanObjects {
    /// Whether everything that belongs to the span is there. If `loose`, no fewer objects than the one that says the least: who
    /// was the last to write one has found or written all of its own.
    pub fn complete(&self) -> bool {
        let exact = self.found == self.expected && self.rows == self.expected_rows;
        self.found > 0 && (exact || (self.loose && self.found >= self.expected))
    }
}

/// Finds the span an object belongs to from its key.
struct Names<'a> {
    template: &'a KeyTemplate,
    numbers: Numbers,
    partitions: BTreeMap<(String, PartitionId), Partition>,
}

impl<'a> Names<'a> {
    fn new(template: &'a KeyTemplate, partitions: &[Partition]) -> Self {
        let named = |partition: &Partition| {
            let topic = KeyTemplate::topic_text(partition.topic());
            ((topic, partition.id()), partition.clone())
        };
        let sharded = |partition: &Partition| matches!(partition.id(), PartitionId::Shard(_));
        Self {
            template,
            numbers: match partitions.first().is_some_and(sharded) {
                true => Numbers::Sequences,
                false => Numbers::Offsets,
            },
            partitions: partitions.iter().map(named).collect(),
        }
    }

    fn span_of(&self, key: &str) -> Option<Span> {
        let letters = read_dead_letters_key(key, self.numbers);
        let parts = letters.or_else(|| self.template.read(key, self.numbers))?;
        let KeyParts {
            topic,
            partition,
            from,
            to,
        } = parts;
        let partition = self.partitions.get(&(topic, partition))?.clone();
        Some(Span {
            partition,
            from,
            to,
        })
    }
}

#[cfg(test)]
mod tests {
    use alluvium_objects::ContentHash;
    use alluvium_target::Position;

    use super::*;

    /// What is found of a span whose objects say: rows, objects of the span, rows of the span, when it was opened.
    fn counted(repeats: bool, objects: &[(u64, u64, u64, i64)]) -> (SpanObjects, usize) {
        let span = Span {
            partition: Partition::new("t", 0),
            from: Position::at(0),
            to: Position::at(9),
        };
        let look = Look {
            repeats,
            ..Look::default()
        };
        let mut inventory = Inventory::default();
        for (at, &(rows, span_objects, span_rows, opened_ms)) in objects.iter().enumerate() {
            let listed = Listed {
                key: at.to_string(),
                len: 1,
            };
            let description = Description {
                span: span.clone(),
                opened_ms,
                rows,
                uncompressed_bytes: 0,
                content: ContentHash::default(),
                span_objects,
                span_rows,
            };
            inventory.count(&listed, &span, &description, &look);
        }
        let found = inventory.entry(&span).clone();
        (found, inventory.violations.len())
    }

    #[test]
    fn objects_of_two_readings_are_right_only_where_repeats_are_dropped() {
        // The first was written by a process that found a third table, the second by one that took its rows for repeats.
        for objects in [
            [(4, 3, 9, 5), (3, 2, 7, 5)],
            [(3, 2, 7, 5), (4, 3, 9, 5)],
            // As many objects, but a row fewer in the other one.
            [(4, 2, 8, 5), (3, 2, 7, 5)],
        ] {
            let (found, violations) = counted(true, &objects);
            assert_eq!((found.complete(), violations), (true, 0), "{objects:?}");
            assert_eq!(counted(false, &objects).1, 1, "{objects:?}");
        }
    }

    #[test]
    fn where_repeats_are_dropped_an_object_may_still_be_missing_or_of_another_plan() {
        let (found, _) = counted(true, &[(4, 3, 9, 5), (3, 3, 9, 5)]);
        assert!(!found.complete());
        let (_, violations) = counted(true, &[(4, 2, 9, 5), (5, 2, 9, 6)]);
        assert_eq!(violations, 1);
    }
}
