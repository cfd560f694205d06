//! Durations as io.airlift.units.Duration reads them: `15s`, `1.5m`, `100 ms`.

use std::time::Duration;

use super::quantity::{self, Units};

/// Nanoseconds of each unit.
const UNITS: Units = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// A hundred years: no setting needs more, and a clock plus this much still is a time.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// Reads a duration.
///
/// # Errors
/// What is wrong with `text`, to be put behind it: "has no unit".
pub fn parse(text: &str) -> Result<Duration, String> {
    let nanos = quantity::parse(text, UNITS)?;
    if nanos > LONGEST.as_nanos() {
        return Err("is longer than 36500d".into());
    }
    // Below the limit, so both parts fit.
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % 1_000_000_000).unwrap_or(0);
    Ok(Duration::new(seconds, rest))
}

/// Writes a duration so that [`parse`] gives back the same one: `90s`, `1500ms`, `1m`.
pub fn print(duration: Duration) -> String {
    quantity::print(duration.as_nanos(), "0s", UNITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_airlift_reads() {
        for (text, nanos) in [
            ("15s", 15_000_000_000),
            ("1.5m", 90_000_000_000),
            ("100ms", 100_000_000),
            (" 100 \t ms ", 100_000_000),
            ("0s", 0),
            ("007us", 7_000),
            ("3ns", 3),
            ("0.5ns", 0),
            ("2h", 7_200_000_000_000),
            ("1.25d", 108_000_000_000_000),
            ("0.1s", 100_000_000),
            ("0.333333333333333333333333333s", 333_333_333),
        ] {
            assert_eq!(parse(text).map(|d| d.as_nanos()), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_airlift_refuses_and_says_why() {
        for (text, why) in [
            ("", "must begin with a number"),
            ("-1s", "must begin with a number"),
            ("s", "must begin with a number"),
            ("15", "has no unit"),
            ("1.s", "no digits after the point"),
            (".5s", "must begin with a number"),
            ("15 S", "has the unit \"S\", which is written s"),
            ("15 sec", "has the unknown unit \"sec\""),
            ("1s 2ms", "has the unknown unit \"s 2ms\""),
            ("99999999999999999999s", "is too large"),
            ("36501d", "is longer than 36500d"),
        ] {
            assert_eq!(parse(text), Err(why.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_durations_read_back(nanos in 0..=LONGEST.as_nanos() as u64) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&print(duration)), Ok(duration));
        }

        #[test]
        fn whole_units_print_short(count in 1u64..1000) {
            prop_assert_eq!(print(Duration::from_secs(count * 86_400)), format!("{count}d"));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), tail in "[0-9.]{0,40} ?[a-zA-Z]{0,3}") {
            for text in [&text, &tail] {
                if let Ok(duration) = parse(text) {
                    prop_assert!(duration <= LONGEST);
                }
            }
        }
    }
}
