//! Which rows go to the target, which to the historical topic, and which nowhere.
//!
//! Decides from the row, the settings and the time its span was opened, which the plan keeps: whoever reads a planned span
//! again comes to the same. No clock is looked at.

use std::collections::HashSet;
use std::sync::Arc;

use crate::duplicates::Key;
use crate::flush::Policy;
use crate::record::Row;
use crate::table::{self, Zone};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The rules. The default lets every row go to the target.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// The collections whose rows are kept, in lower case as tables are named; all if there is no list.
    pub collections: Option<HashSet<String>>,
    /// Which records are late; none if there is no rule.
    pub late: Option<LateRule>,
    /// Whether rows that repeat an event are dropped, and by what events are told.
    pub events: Option<EventRule>,
    /// What says when the event of a row was, for both rules.
    pub time: TimeField,
}

/// The field that says when the event of a row was.
#[derive(Clone, Debug)]
pub struct TimeField {
    /// Its name.
    pub name: String,
    /// Of times in strings that name none.
    pub zone: Zone,
}

impl Default for TimeField {
    fn default() -> Self {
        Self {
            name: String::new(),
            zone: Zone::UTC,
        }
    }
}

/// How events of one table and time are told apart.
#[derive(Clone, Debug)]
pub struct EventRule {
    /// The field that says whom one is about.
    pub user_field: String,
}

/// Where fields were last found in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    time: usize,
    user: usize,
}

/// Which records are late, and where they go. Days are those of UTC.
#[derive(Clone, Debug)]
pub struct LateRule {
    /// The historical topic. What is read from it is never late.
    pub topic: Arc<str>,
    /// Days before the one on which the span was opened that are not late.
    pub days: i64,
}

/// How the historical topic's own partitions are flushed, where they are read.
#[derive(Clone, Debug)]
pub struct Historical {
    /// The topic.
    pub topic: String,
    /// When its spans are sealed.
    pub policy: Policy,
    /// Records of one span, about.
    pub max_records: u64,
}

/// Where a row goes, with the time of its event if that was asked for: to read it costs more than the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// To the target.
    Target { time: Option<i64> },
    /// To the historical topic.
    Late { to: &'a Arc<str>, time: i64 },
    /// Nowhere: it is counted under this name.
    Dropped(&'static str),
}

impl Way<'_> {
    /// The time of the row's event, if it was asked for and there is one.
    pub(super) fn time(&self) -> Option<i64> {
        match *self {
            Self::Target { time } => time,
            Self::Late { time, .. } => Some(time),
            Self::Dropped(_) => None,
        }
    }
}

impl Routing {
    /// The way of a row that was read from `topic`, in a span opened at `opened_ms`.
    pub(super) fn way(
        &self,
        row: &Row<'_>,
        topic: &str,
        opened_ms: i64,
        places: &mut Places,
    ) -> Way<'_> {
        let wanted = self.collections.as_ref();
        if wanted.is_some_and(|wanted| !wanted.contains(row.collection())) {
            return Way::Dropped("not_whitelisted");
        }
        let rule = self.late.as_ref().filter(|rule| *rule.topic != *topic);
        let asked = rule.is_some() || self.events.is_some();
        // Without a time, or with one that no table could read, it counts as of today.
        let time = asked.then(|| self.time(row, places)).flatten();
        match (rule, time) {
            (Some(rule), Some(time)) if rule.is_late(day(time), opened_ms) => Way::Late {
                to: &rule.topic,
                time,
            },
            _ => Way::Target { time },
        }
    }

    fn time(&self, row: &Row<'_>, places: &mut Places) -> Option<i64> {
        let value = row.value(&self.time.name, &mut places.time)?;
        table::event_time(&value, self.time.zone)
    }

    /// The event of a row whose time is known; none if it lacks a user that could be read, or if nobody asks.
    pub(super) fn event(&self, row: &Row<'_>, time: i64, places: &mut Places) -> Option<Key> {
        let rule = self.events.as_ref()?;
        let user = row.value(&rule.user_field, &mut places.user)?;
        let user = table::text(&user)?;
        Some(Key::of(row.project(), row.collection(), time, &user))
    }
}

impl LateRule {
    fn is_late(&self, day: i64, opened_ms: i64) -> bool {
        let today = self::day(opened_ms);
        day < today.saturating_sub(self.days) || day > today
    }
}

/// The day of UTC, counted from the epoch, that holds this millisecond.
pub(super) fn day(millis: i64) -> i64 {
    millis.div_euclid(DAY_MILLIS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(days: i64) -> LateRule {
        LateRule {
            topic: "h".into(),
            days,
        }
    }

    proptest! {
        #[test]
        fn late_is_what_lies_on_another_day(opened in any::<i64>(), time in any::<i64>(), days in 0i64..40_000) {
            let late = rule(days).is_late(day(time), opened);
            let (opened, time, a_day) = (i128::from(opened), i128::from(time), i128::from(DAY_MILLIS));
            let midnight = opened - opened.rem_euclid(a_day);
            let on_time = midnight - i128::from(days) * a_day..midnight + a_day;
            prop_assert_eq!(late, !on_time.contains(&time));
        }
    }

    #[test]
    fn days_end_at_midnight() {
        let noon = 10 * DAY_MILLIS + DAY_MILLIS / 2;
        for (time, late) in [
            (9 * DAY_MILLIS - 1, true),
            (9 * DAY_MILLIS, false),
            (11 * DAY_MILLIS - 1, false),
            (11 * DAY_MILLIS, true),
            (-1, true),
        ] {
            assert_eq!(rule(1).is_late(day(time), noon), late, "{time}");
        }
    }
}
