//! Dates and times as text, in UTC and the proleptic Gregorian calendar.
//!
//! Years of four digits are written as they are; later ones as `+10000`, earlier ones as `-0001`.

const MS_PER_DAY: i64 = 86_400_000;
const US_PER_DAY: i64 = 1_000 * MS_PER_DAY;

/// Appends the date `days` after 1970-01-01 as `yyyyMMdd`.
pub fn compact_date(days: i32, out: &mut Vec<u8>) {
    let (year, month, day) = civil(i64::from(days));
    push_year(year, out);
    out.extend_from_slice(&two(month));
    out.extend_from_slice(&two(day));
}

/// Appends the date `days` after 1970-01-01 as `yyyy-MM-dd`.
pub fn date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    push_year(year, out);
    let ([m, n], [d, e]) = (two(month), two(day));
    out.extend_from_slice(&[b'-', m, n, b'-', d, e]);
}

/// Appends a time given in milliseconds since the epoch as `2018-01-31T05:59:00.000Z`.
pub fn timestamp(ms: i64, out: &mut Vec<u8>) {
    date(ms.div_euclid(MS_PER_DAY), out);
    let of_day = ms.rem_euclid(MS_PER_DAY);
    let (seconds, millis) = (of_day / 1_000, of_day % 1_000);
    let [h, i] = two(seconds / 3_600);
    let [m, n] = two(seconds / 60 % 60);
    let [s, t] = two(seconds % 60);
    let [x, y] = two(millis / 10);
    let z = digit(millis % 10);
    out.extend_from_slice(&[b'T', h, i, b':', m, n, b':', s, t, b'.', x, y, z, b'Z']);
}

/// Appends a time given in microseconds since the epoch as `2018-01-31T05:59:00.000000Z`.
pub fn micros(us: i64, out: &mut Vec<u8>) {
    date(us.div_euclid(US_PER_DAY), out);
    out.push(b'T');
    of_day(us, out);
    out.push(b'Z');
}

/// Appends a time of day given in microseconds since midnight as `05:59:00.000000`.
pub fn of_day(us: i64, out: &mut Vec<u8>) {
    let us = us.rem_euclid(US_PER_DAY);
    let (seconds, below) = (us / 1_000_000, us % 1_000_000);
    let [h, i] = two(seconds / 3_600);
    let [m, n] = two(seconds / 60 % 60);
    let [s, t] = two(seconds % 60);
    let ([u, v], [w, x], [y, z]) = (two(below / 10_000), two(below / 100), two(below));
    out.extend_from_slice(&[h, i, b':', m, n, b':', s, t, b'.', u, v, w, x, y, z]);
}

/// As [`timestamp`], with no more digits below the second than are needed: none or three.
pub fn short_millis(ms: i64, out: &mut Vec<u8>) {
    date(ms.div_euclid(MS_PER_DAY), out);
    out.push(b'T');
    short_of_day(ms.rem_euclid(MS_PER_DAY) * 1_000, out);
    out.push(b'Z');
}

/// As [`micros`], with no more digits below the second than are needed: none, three or six.
pub fn short_micros(us: i64, out: &mut Vec<u8>) {
    date(us.div_euclid(US_PER_DAY), out);
    out.push(b'T');
    short_of_day(us, out);
    out.push(b'Z');
}

/// As [`of_day`], with no more digits below the second than are needed: none, three or six.
pub fn short_of_day(us: i64, out: &mut Vec<u8>) {
    of_day(us, out);
    let without = match (us.rem_euclid(1_000_000), us.rem_euclid(1_000)) {
        (0, _) => ".000000".len(),
        (_, 0) => "000".len(),
        _ => 0,
    };
    out.truncate(out.len() - without);
}

fn push_year(year: i64, out: &mut Vec<u8>) {
    if (0..10_000).contains(&year) {
        out.extend_from_slice(&two(year / 100));
        out.extend_from_slice(&two(year % 100));
    } else {
        out.extend_from_slice(format!("{year:+05}").as_bytes());
    }
}

fn two(value: i64) -> [u8; 2] {
    [digit(value / 10), digit(value % 10)]
}

fn digit(value: i64) -> u8 {
    b'0' + (value.unsigned_abs() % 10) as u8
}

/// Year, month and day of the date `days` after 1970-01-01.
///
/// Counts in eras of 400 years (146,097 days) that begin on a 1st of March, which puts the leap day last.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_era = days + 719_468;
    let era = from_era.div_euclid(146_097);
    let of_era = from_era.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::tests::written;

    #[test]
    fn timestamps() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_517_378_340_000, "2018-01-31T05:59:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "+10000-01-01T00:00:00.000Z"),
            (-62_167_219_200_000, "0000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-0001-12-31T23:59:59.999Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
            (i64::MIN, "-292275055-05-16T16:47:04.192Z"),
        ] {
            assert_eq!(written(|out| timestamp(ms, out)), expected);
        }
    }

    #[test]
    fn microseconds() {
        for (us, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_517_378_340_012_345, "2018-01-31T05:59:00.012345Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(written(|out| micros(us, out)), expected);
        }
        assert_eq!(
            written(|out| of_day(86_399_999_999, out)),
            "23:59:59.999999"
        );
        assert_eq!(written(|out| of_day(1_000_001, out)), "00:00:01.000001");
    }

    #[test]
    fn no_more_digits_than_are_needed() {
        for (us, expected) in [
            (0, "00:00:00"),
            (1_000, "00:00:00.001"),
            (1_001, "00:00:00.001001"),
            (86_399_100_000, "23:59:59.100"),
        ] {
            assert_eq!(written(|out| short_of_day(us, out)), expected);
        }
        for (us, expected) in [
            (1_700_000_000_000_000, "2023-11-14T22:13:20Z"),
            (-1_000, "1969-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(written(|out| short_micros(us, out)), expected);
        }
        for (ms, expected) in [
            (1_700_000_000_000, "2023-11-14T22:13:20Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (i64::MAX, "+292278994-08-17T07:12:55.807Z"),
        ] {
            assert_eq!(written(|out| short_millis(ms, out)), expected);
        }
    }

    #[test]
    fn dates() {
        for (days, compact, plain) in [
            (0, "19700101", "1970-01-01"),
            (17_562, "20180131", "2018-01-31"),
            (-719_529, "-00011231", "-0001-12-31"),
            (i32::MAX, "+58815800711", "+5881580-07-11"),
        ] {
            assert_eq!(written(|out| compact_date(days, out)), compact);
            assert_eq!(written(|out| date(i64::from(days), out)), plain);
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let mut before = civil(-146_097);
        for days in -146_096..146_097 {
            let (year, month, day) = civil(days);
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let length = |month| match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match before {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d == length(m) => (y, m + 1, 1),
                (y, m, d) => (y, m, d + 1),
            };
            assert_eq!((year, month, day), expected);
            before = expected;
        }
    }
}
