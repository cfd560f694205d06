//! Plans as text: what is stored beside a checkpoint before any output of a span is visible.
//!
//! Owns the format and its limits; knows no stream. A plan lists where the sealed spans behind the checkpoint end and
//! when each was opened, so that whoever comes next writes the same outputs from the same records:
//!
//! ```text
//! alluvium/1 8f14e45fceea167a 1500@1763771724123!0,1622@1763771784200!5f0c72a1
//! target.compression=none
//! target.key={project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson
//! ```
//!
//! The first line holds the version, the [`Print`] of everything that shapes outputs, and the spans: end, `@`,
//! milliseconds since the epoch, and behind `!` the [`Unreadable`] records in hexadecimal, if they are known. Each span begins where the one before ended, the first at the checkpoint. The lines below,
//! if they fit, are the settings the print was made of, as the writer of the plan had them.
//!
//! Kafka keeps it as the metadata of a committed offset, of which a broker takes 4096 bytes unless
//! `offset.metadata.max.bytes` says otherwise.

use std::fmt::{self, Write};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::record::Position;

/// The longest text of a plan, in bytes: well below what a broker takes.
pub const MAX_TEXT: usize = 3072;
/// Spans in one plan. More sealed ones wait until the first have been committed.
pub(super) const MAX_SPANS: usize = 16;

const MAGIC: &str = "alluvium/";
const VERSION: &str = "1";

/// Stands for everything that shapes the names and the rows of outputs: 64 bits of a SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Print(u64);

impl Print {
    /// The print of a text that says all of it.
    pub fn of(text: &str) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&Sha256::digest(text)[..8]);
        Self(u64::from_be_bytes(first))
    }
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Print {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = u64::from_str_radix(text, 16).map_err(|_| ())?;
        hex.then_some(Self(value)).ok_or(())
    }
}

/// Stands for the positions of a span's records that nobody could read: 0 if there are none.
///
/// What a record is depends on more than its bytes where a registry or a database is asked. Whoever reads a span again must come to the
/// same dead letters, or a record would be in two outputs or in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreadable(u32);

impl Unreadable {
    /// One more record, behind all before it.
    pub fn add(&mut self, position: Position) {
        // As SplitMix64 mixes: each bit of the result depends on all of the sequence.
        let before = (u64::from(self.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut mixed = before ^ position.stamp();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Never what no record is.
        self.0 = ((mixed >> 32) as u32).max(1);
    }
}

/// One span of a plan: where it ends, and what its outputs need to know besides its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Behind the last position of the span.
    pub to: Position,
    /// When the span was opened, in milliseconds since the epoch: the only clock value that its rows may hold.
    pub opened_ms: i64,
    /// Those of its records, if whoever planned it knew.
    pub unreadable: Option<Unreadable>,
}

/// What is stored beside a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What the outputs are shaped by.
    pub print: Print,
    /// The spans behind the checkpoint, in order. Never empty.
    pub spans: Vec<Planned>,
    /// The settings the print was made of, if they fitted.
    pub settings: Option<String>,
}

/// A plan that this program cannot follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Written by a version that knows more than this one.
    #[error(
        "the plan has version {0:?}, and this program knows {VERSION}: it was written by another release"
    )]
    Version(String),
    /// Not what any version writes.
    #[error("the plan cannot be read ({0})")]
    Damaged(&'static str),
}

impl Plan {
    /// The text of a plan of these spans; the empty text if there are none. The settings are left out if they would make it too
    /// long.
    ///
    /// Takes the first sixteen spans only.
    pub fn text(print: Print, spans: &[Planned], settings: &str) -> String {
        let mut text = String::new();
        if spans.is_empty() {
            return text;
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{MAGIC}{VERSION} {print} ");
        for (at, span) in spans.iter().take(MAX_SPANS).enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{}@{}", span.to, span.opened_ms);
            if let Some(Unreadable(records)) = span.unreadable {
                let _ = write!(text, "!{records:x}");
            }
        }
        if !settings.is_empty() && text.len() + 1 + settings.len() <= MAX_TEXT {
            text.push('\n');
            text.push_str(settings);
        }
        text
    }

    /// Reads what stands beside `checkpoint`. `None` if that is no plan of ours: nothing, or the note of another program.
    ///
    /// # Errors
    /// [`PlanError`] if it is ours, but cannot be followed.
    pub fn read(text: &str, checkpoint: Position) -> Result<Option<Self>, PlanError> {
        let Some(rest) = text.strip_prefix(MAGIC) else {
            return Ok(None);
        };
        let (head, settings) = match rest.split_once('\n') {
            Some((head, settings)) => (head, Some(settings.to_owned())),
            None => (rest, None),
        };
        let mut words = head.split(' ');
        let version = words.next().unwrap_or_default();
        if version != VERSION {
            return Err(PlanError::Version(version.chars().take(20).collect()));
        }
        let print = words.next().and_then(|word| word.parse().ok());
        let print = print.ok_or(PlanError::Damaged("no fingerprint"))?;
        let spans = words.next().ok_or(PlanError::Damaged("no spans"))?;
        let spans = spans
            .split(',')
            .map(planned)
            .collect::<Option<Vec<_>>>()
            .ok_or(PlanError::Damaged("a span is not END@TIME!UNREADABLE"))?;
        if words.next().is_some() {
            return Err(PlanError::Damaged("there is more than spans"));
        }
        if spans.len() > MAX_SPANS {
            return Err(PlanError::Damaged("too many spans"));
        }
        let mut from = checkpoint;
        for span in &spans {
            if span.to <= from {
                return Err(PlanError::Damaged("a span ends before it begins"));
            }
            from = span.to;
        }
        Ok(Some(Self {
            print,
            spans,
            settings,
        }))
    }
}

fn planned(text: &str) -> Option<Planned> {
    let (to, rest) = text.split_once('@')?;
    let (opened_ms, letters) = match rest.split_once('!') {
        Some((opened_ms, letters)) => (opened_ms, Some(u32::from_str_radix(letters, 16).ok()?)),
        None => (rest, None),
    };
    Some(Planned {
        to: to.parse().ok()?,
        opened_ms: opened_ms.parse().ok()?,
        unreadable: letters.map(Unreadable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(to: i64, opened_ms: i64) -> Planned {
        Planned {
            to: Position::at(to),
            opened_ms,
            unreadable: None,
        }
    }

    fn letters(letters: u32, span: Planned) -> Planned {
        Planned {
            unreadable: Some(Unreadable(letters)),
            ..span
        }
    }

    #[test]
    fn letters_are_told_by_their_positions() {
        let of = |positions: &[i64]| {
            let mut letters = Unreadable::default();
            for position in positions {
                letters.add(Position::at(*position));
            }
            letters
        };
        assert_eq!(of(&[]), Unreadable(0));
        let all = [
            of(&[]),
            of(&[0]),
            of(&[1]),
            of(&[0, 1]),
            of(&[2]),
            of(&[1, 2]),
            of(&[0, 1, 2]),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }

    #[test]
    fn reads_as_a_person_would_write_it() {
        let text = "alluvium/1 8f14e45fceea167a 1500@1763771724123!0,1622@1763771784200!5f0c72a1,1700@5\na=b\nc=d";
        let plan = Plan::read(text, Position::at(1000)).unwrap().unwrap();
        assert_eq!(
            plan.spans,
            [
                letters(0, at(1500, 1_763_771_724_123)),
                letters(0x5f0c_72a1, at(1622, 1_763_771_784_200)),
                at(1700, 5)
            ]
        );
        assert_eq!(plan.settings.as_deref(), Some("a=b\nc=d"));
        assert_eq!(Plan::text(plan.print, &plan.spans, "a=b\nc=d"), text);
    }

    #[test]
    fn notes_of_others_are_no_plans_and_newer_plans_are_refused() {
        let from = Position::at(0);
        assert_eq!(Plan::read("", from), Ok(None));
        assert_eq!(Plan::read("NO_METADATA", from), Ok(None));
        let newer = Plan::read("alluvium/2 whatever", from);
        assert_eq!(newer, Err(PlanError::Version("2".into())));
        for damaged in [
            "alluvium/1",
            "alluvium/1 8f14e45fceea167a",
            "alluvium/1 8f14e45fceea167 5@1",
            "alluvium/1 +f14e45fceea167a 5@1",
            "alluvium/1 8f14e45fceea167a 5",
            "alluvium/1 8f14e45fceea167a 5@1,5@2",
            "alluvium/1 8f14e45fceea167a 5@1 x",
            "alluvium/1 8f14e45fceea167a 5@1!",
            "alluvium/1 8f14e45fceea167a 5@1!g",
        ] {
            let read = Plan::read(damaged, from);
            assert!(
                matches!(read, Err(PlanError::Damaged(_))),
                "{damaged}: {read:?}"
            );
        }
        let past = Plan::read("alluvium/1 8f14e45fceea167a 5@1", Position::at(5));
        assert!(past.is_err(), "a plan must lie behind the checkpoint");
    }

    /// The largest plan there can be stays below the limit, and settings that would not fit are left out, never cut.
    #[test]
    fn the_largest_plan_fits_what_a_broker_takes() {
        let spans: Vec<_> = (0..MAX_SPANS as i64 + 5)
            .map(|n| letters(u32::MAX, at(i64::MAX - 100 + n, i64::MIN + n)))
            .collect();
        let print = Print::of("x");
        let bare = Plan::text(print, &spans, "");
        assert!(bare.len() < 1024, "{}", bare.len());
        let room = MAX_TEXT - bare.len() - 1;
        let full = Plan::text(print, &spans, &"s".repeat(room));
        assert_eq!(full.len(), MAX_TEXT);
        const { assert!(MAX_TEXT <= 4096 * 3 / 4) };
        let read = Plan::read(&full, Position::at(0)).unwrap().unwrap();
        assert_eq!(
            (read.spans.len(), read.settings.unwrap().len()),
            (MAX_SPANS, room)
        );
        assert_eq!(Plan::text(print, &spans, &"s".repeat(room + 1)), bare);
    }

    proptest! {
        #[test]
        fn any_plan_comes_back(
            from in -1000i64..i64::MAX / 2,
            lengths in proptest::collection::vec((1i64..1 << 40, any::<i64>(), any::<Option<u32>>()), 1..=MAX_SPANS),
            settings in "([a-z.]{1,20}=[^\n]{0,30}\n){0,5}",
            seed in any::<String>(),
        ) {
            let mut to = from;
            let spans: Vec<_> = lengths
                .iter()
                .map(|(length, opened, letters)| {
                    to += length;
                    Planned { unreadable: letters.map(Unreadable), ..at(to, *opened) }
                })
                .collect();
            let print = Print::of(&seed);
            let text = Plan::text(print, &spans, &settings);
            prop_assert!(text.len() <= MAX_TEXT);
            let read = Plan::read(&text, Position::at(from)).unwrap().unwrap();
            prop_assert_eq!(read.print, print);
            prop_assert_eq!(read.spans, spans);
            prop_assert_eq!(read.settings.unwrap_or_default(), settings);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(alluvium/1 )?[0-9a-f]{0,17} ?[0-9@!,x\n-]{0,60}") {
            let _ = Plan::read(&text, Position::at(0));
        }
    }
}
