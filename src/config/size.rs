//! Sizes as io.airlift.units.DataSize reads them: `256MB`, `1.5 GB`, `100B`. Units are binary.

use super::quantity::{self, Units};

/// Bytes of each unit.
const UNITS: Units = &[
    ("B", 1),
    ("kB", 1 << 10),
    ("MB", 1 << 20),
    ("GB", 1 << 30),
    ("TB", 1 << 40),
    ("PB", 1 << 50),
];

/// The largest size: what fits a signed 64-bit number, as in the original.
const LARGEST: u128 = i64::MAX as u128;

/// Reads a size in bytes; a fraction of a byte is dropped.
///
/// # Errors
/// What is wrong with `text`, to be put behind it: "has no unit".
pub fn parse(text: &str) -> Result<u64, String> {
    let bytes = quantity::parse(text, UNITS)?;
    if bytes > LARGEST {
        return Err("is too large".into());
    }
    u64::try_from(bytes).map_err(|_| "is too large".into())
}

/// Writes a number of bytes so that [`parse`] gives back the same one: `256MB`, `1025B`.
pub fn print(bytes: u64) -> String {
    quantity::print(u128::from(bytes), "0B", UNITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_airlift_reads() {
        for (text, bytes) in [
            ("256MB", 256 << 20),
            ("1.5 GB", 3 << 29),
            ("100B", 100),
            ("0B", 0),
            ("2kB", 2048),
            (" 1\tTB ", 1 << 40),
            ("1PB", 1 << 50),
            ("0.3B", 0),
            ("0.1kB", 102),
            ("9223372036854775807B", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_what_airlift_refuses_and_says_why() {
        for (text, why) in [
            ("256", "has no unit"),
            ("256mb", "has the unit \"mb\", which is written MB"),
            ("256KB", "has the unit \"KB\", which is written kB"),
            ("256MiB", "has the unknown unit \"MiB\""),
            ("-1B", "must begin with a number"),
            ("9223372036854775808B", "is too large"),
            ("8192PB", "is too large"),
        ] {
            assert_eq!(parse(text), Err(why.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn printed_sizes_read_back(bytes in 0..=i64::MAX as u64) {
            prop_assert_eq!(parse(&print(bytes)), Ok(bytes));
        }

        #[test]
        fn round_sizes_print_short(count in 1u64..1024, unit in 0usize..UNITS.len()) {
            let (name, factor) = UNITS[unit];
            prop_assert_eq!(print(count * factor), format!("{count}{name}"));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), tail in "[0-9.]{0,40} ?[a-zA-Z]{0,3}") {
            for text in [&text, &tail] {
                if let Ok(bytes) = parse(text) {
                    prop_assert!(u128::from(bytes) <= LARGEST);
                }
            }
        }
    }
}
