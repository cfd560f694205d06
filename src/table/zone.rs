//! The time zone of what is written without one.

use std::str::FromStr;

use chrono::{DateTime, Days, MappedLocalTime, Offset, TimeZone};
use chrono_tz::Tz;

/// A time zone of the IANA database, as it is built into this program: what a time means must not depend on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

/// A text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no time zone of the IANA database has this name, such as Europe/Istanbul or UTC")]
pub struct UnknownZone;

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The microseconds since the epoch at which clocks of the zone show a time, given as if it were in UTC. Of two such
    /// points it is the earlier one. A time that clocks skip is taken as they went before that: it is as much later.
    pub(super) fn to_utc(self, shown: i64) -> Option<i64> {
        if self == Self::UTC {
            return Some(shown);
        }
        let local = DateTime::from_timestamp_micros(shown)?.naive_utc();
        let east = match self.0.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset,
            MappedLocalTime::None => {
                let before = local.checked_sub_days(Days::new(1))?;
                self.0.offset_from_utc_datetime(&before)
            }
        };
        let seconds = i64::from(east.fix().local_minus_utc());
        shown.checked_sub(seconds * 1_000_000)
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse().map(Self).map_err(|_| UnknownZone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Hours east of UTC, if clocks of the zone show so many hours after 1970.
    fn east(zone: &str, shown: i64) -> i64 {
        let zone: Zone = zone.parse().unwrap();
        shown - zone.to_utc(shown * HOUR).unwrap() / HOUR
    }

    #[test]
    fn clocks_go_as_the_zone_had_it_at_the_time() {
        assert_eq!(east("UTC", 1_000_000_000), 0);
        assert_eq!(east("Asia/Tokyo", 0), 9);
        // 2015-07-01 and 2015-12-01: Turkey had summer time then, and none since.
        assert_eq!(east("Europe/Istanbul", 398_808), 3);
        assert_eq!(east("Europe/Istanbul", 402_480), 2);
        assert_eq!(east("Europe/Istanbul", 500_000), 3);
    }

    /// In Berlin, 2024-03-31 has no 02:00, and 2024-10-27 has it twice.
    #[test]
    fn times_that_are_shown_never_or_twice_have_one_meaning() {
        assert_eq!(east("Europe/Berlin", 475_513), 1);
        assert_eq!(east("Europe/Berlin", 475_514), 1);
        assert_eq!(east("Europe/Berlin", 475_515), 2);
        assert_eq!(east("Europe/Berlin", 480_554), 2);
        assert_eq!(east("Europe/Berlin", 480_555), 1);
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for name in ["", "Mars/Olympus", "+03:00", "europe/istanbul "] {
            assert_eq!(name.parse::<Zone>(), Err(UnknownZone), "{name:?}");
        }
        assert_eq!(Zone::UTC.to_utc(i64::MAX), Some(i64::MAX));
        let far: Zone = "Asia/Tokyo".parse().unwrap();
        assert_eq!(far.to_utc(i64::MAX), None);
    }
}
