//! The text beside a checkpoint that was prepared (`pendingCheckpointState`), if it is ours.
//!
//! It is a line that says where reading began, as long as the checkpoint itself does not say it, then a plan, and either may be missing. Both begin
//! with `alluvium/`; every other text is another program's.

use std::fmt;

use chrono::{DateTime, SecondsFormat};

use crate::record::Sequence;

/// What all that is ours begins with.
const OURS: &str = "alluvium/";
/// What the line begins with that says where reading began.
const RECORD: &str = "alluvium/from record ";
const TIME: &str = "alluvium/from time ";

/// Where reading began in a shard whose checkpoint does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// With this record, the first that was ever handed over.
    Record(Sequence),
    /// With what was written from this time on, in milliseconds since the epoch; nothing was handed over yet.
    Time(i64),
}

impl fmt::Display for Began {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(sequence) => sequence.fmt(f),
            Self::Time(ms) => match DateTime::from_timestamp_millis(*ms) {
                Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true)),
                None => ms.fmt(f),
            },
        }
    }
}

/// What a state says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State<'a> {
    /// Where reading began.
    pub began: Option<Began>,
    /// The plan, or nothing.
    pub plan: &'a str,
}

impl<'a> State<'a> {
    /// Reads a state; `None` if it is another program's.
    pub fn read(state: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(state).ok()?;
        let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
        if let Some(began) = began(line) {
            let is_plan = rest.is_empty() || rest.starts_with(OURS);
            return is_plan.then_some(Self {
                began: Some(began),
                plan: rest,
            });
        }
        text.starts_with(OURS).then_some(Self {
            began: None,
            plan: text,
        })
    }

    /// The bytes to store; none if there is nothing to say.
    pub fn write(&self) -> Vec<u8> {
        let line = match self.began {
            Some(Began::Record(sequence)) => format!("{RECORD}{sequence}\n"),
            Some(Began::Time(ms)) => format!("{TIME}{ms}\n"),
            None => String::new(),
        };
        (line + self.plan).into_bytes()
    }
}

fn began(line: &str) -> Option<Began> {
    if let Some(sequence) = line.strip_prefix(RECORD) {
        return sequence.parse().ok().map(Began::Record);
    }
    line.strip_prefix(TIME)?.parse().ok().map(Began::Time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let record = Began::Record("4960".parse().unwrap());
        for began in [None, Some(record), Some(Began::Time(1_700_000_000_123))] {
            for plan in ["", "alluvium/1 x\nmore"] {
                let state = State { began, plan };
                let text = state.write();
                let read = State::read(&text);
                let nothing = began.is_none() && plan.is_empty();
                assert_eq!(read.is_none(), nothing);
                assert_eq!(read.unwrap_or_default(), state);
            }
        }
    }

    #[test]
    fn states_of_other_programs_are_none() {
        for state in [
            "",
            "x",
            "alluvium/from record 5\nx",
            "from record 5",
            "5\nalluvium/1",
        ] {
            assert_eq!(State::read(state.as_bytes()), None, "{state}");
        }
        assert_eq!(State::read(&[0xff]), None);
    }

    /// A plan's own reader refuses it: it says that another release has written it.
    #[test]
    fn a_line_that_cannot_be_read_is_taken_for_a_plan() {
        let text = "alluvium/from somewhere\nalluvium/1 x";
        let expected = State {
            began: None,
            plan: text,
        };
        assert_eq!(State::read(text.as_bytes()), Some(expected));
    }

    #[test]
    fn a_person_reads_a_time() {
        let began = Began::Time(1_700_000_000_123);
        assert_eq!(began.to_string(), "2023-11-14T22:13:20.123Z");
    }
}
