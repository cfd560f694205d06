//! Dates, times and timestamps in strings.

use super::Zone;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    /// Microseconds since the epoch, what is below cut off.
    pub(super) micros: i64,
    /// Whether nothing was cut off.
    pub(super) exact: bool,
}

impl Timestamp {
    /// Whether there is nothing below the millisecond.
    pub(super) fn is_millis(&self) -> bool {
        self.exact && self.micros % 1000 == 0
    }
}

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Days since the epoch of a real date `yyyy-MM-dd`.
pub(super) fn date(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    let mut cursor = Cursor(text.as_bytes());
    let (days, _) = cursor.date()?;
    cursor.0.is_empty().then_some(days)
}

/// Milliseconds since the epoch of a real time written as `yyyy-MM-ddTHH:mm:ss.SSSZ`, the way most are.
#[inline]
pub(super) fn utc_millis(text: &[u8]) -> Option<i64> {
    const LEAST: [u8; 24] = *b"0000-00-00T00:00:00.000Z";
    const MOST: [u8; 24] = *b"9999-99-99T99:99:99.999Z";
    let text: &[u8; 24] = text.try_into().ok()?;
    let mut digits = [0; 24];
    let mut wrong = false;
    for at in 0..24 {
        digits[at] = text[at].wrapping_sub(LEAST[at]);
        wrong |= digits[at] > MOST[at] - LEAST[at];
    }
    let number = |places: std::ops::Range<usize>| {
        let digits = digits[places].iter();
        digits.fold(0, |number, digit| number * 10 + i32::from(*digit))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    if wrong || !is_real(year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(days_of(year, month, day)) * 86_400
        + i64::from((hour * 60 + minute) * 60 + second);
    Some(seconds * 1000 + i64::from(number(20..23)))
}

/// The time of day `HH:mm[:ss[.S…]]`, since midnight.
pub(super) fn time_of_day(text: &str) -> Option<Timestamp> {
    let mut cursor = Cursor(text.as_bytes());
    let time = cursor.time(2)?;
    cursor.0.is_empty().then_some(time)
}

/// The time a string stands for, in `zone` if it names none; the forms are listed in the head of the parent module.
pub(super) fn timestamp(text: &str, zone: Zone) -> Option<Timestamp> {
    if text.len() <= 12 {
        return None;
    }
    let mut cursor = Cursor(text.as_bytes());
    let (days, padded) = cursor.date()?;
    let mut time = Timestamp {
        micros: 0,
        exact: true,
    };
    let place = if cursor.pass(b'T') {
        if !padded {
            return None;
        }
        time = cursor.time(2)?;
        cursor.offset(zone)?
    } else {
        let spaced = cursor.pass(b' ');
        if spaced && cursor.0.first().is_some_and(u8::is_ascii_digit) {
            time = cursor.time(1)?;
            cursor.pass(b' ');
        } else if cursor.0.is_empty() {
            return None;
        }
        let rest = cursor.0;
        match cursor.offset(zone) {
            Some(place) => place,
            None => Place::In(std::str::from_utf8(rest).ok()?.parse().ok()?),
        }
    };
    // A space is no zone.
    if text.ends_with(' ') {
        return None;
    }
    let shown = i64::from(days) * DAY_MICROS + time.micros;
    time.micros = match place {
        Place::East(micros) => shown - micros,
        Place::In(zone) => zone.to_utc(shown)?,
    };
    Some(time)
}

/// Where clocks show a time.
enum Place {
    /// So many microseconds before UTC.
    East(i64),
    In(Zone),
}

/// What is left of a string.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn pass(&mut self, byte: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == byte => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// A number of `min` to `max` digits; the shorter ones only if no digit follows.
    #[inline]
    fn number(&mut self, min: usize, max: usize) -> Option<i32> {
        let mut number = 0;
        let mut len = 0;
        while len < max {
            match self.0.get(len) {
                Some(digit @ b'0'..=b'9') => number = number * 10 + i32::from(digit - b'0'),
                _ => break,
            }
            len += 1;
        }
        self.0 = self.0.get(len..)?;
        (len >= min).then_some(number)
    }

    /// Days since the epoch, and whether month and day have two digits each.
    fn date(&mut self) -> Option<(i32, bool)> {
        let before = self.0.len();
        let year = self.number(4, 4)?;
        let month = self.pass(b'-').then(|| self.number(1, 2)).flatten()?;
        let day = self.pass(b'-').then(|| self.number(1, 2)).flatten()?;
        let padded = before - self.0.len() == 10;
        is_real(year, month, day).then(|| (days_of(year, month, day), padded))
    }

    /// The time of day, fields of at least so many digits.
    fn time(&mut self, min: usize) -> Option<Timestamp> {
        let hour = self.number(min, 2).filter(|hour| *hour < 24)?;
        let minute = self.sixtieth(min)?;
        let mut micros = i64::from(hour * 60 + minute) * 60_000_000;
        let mut exact = true;
        if self.0.first() == Some(&b':') {
            micros += i64::from(self.sixtieth(min)?) * 1_000_000;
            if self.pass(b'.') {
                let fraction;
                (fraction, exact) = self.fraction()?;
                micros += fraction;
            }
        }
        Some(Timestamp { micros, exact })
    }

    fn sixtieth(&mut self, min: usize) -> Option<i32> {
        let number = self.pass(b':').then(|| self.number(min, 2)).flatten()?;
        (number < 60).then_some(number)
    }

    /// Microseconds from one to nine digits, and whether that is all of them.
    fn fraction(&mut self) -> Option<(i64, bool)> {
        let before = self.0.len();
        let number = self.number(1, 9)?;
        let nanos = i64::from(number) * 10i64.pow(9 - (before - self.0.len()) as u32);
        Some((nanos / 1000, nanos % 1000 == 0))
    }

    /// The offset the string ends with, or else that it ends, in `zone`.
    fn offset(&mut self, zone: Zone) -> Option<Place> {
        let east = match self.0 {
            [] => return Some(Place::In(zone)),
            b"Z" | b"UTC" | b"GMT" => return Some(Place::East(0)),
            [b'+', ..] => 1,
            [b'-', ..] => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let hours = self.number(2, 2)?;
        let minutes = match self.0 {
            [] => 0,
            [b':', ..] => self.sixtieth(2)?,
            _ => self.number(2, 2).filter(|minutes| *minutes < 60)?,
        };
        let minutes = hours * 60 + minutes;
        let real = self.0.is_empty() && minutes <= 18 * 60;
        real.then(|| Place::East(i64::from(east * minutes) * 60_000_000))
    }
}

fn is_real(year: i32, month: i32, day: i32) -> bool {
    (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day)
}

fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, for years 0 to 9999.
fn days_of(year: i32, month: i32, day: i32) -> i32 {
    // Counted in years that begin in March, so that the leap day comes last; the first is that of year -400.
    let march_year = year + 400 - i32::from(month < 3);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    const EPOCH: i32 = 719_468 + 146_097;
    march_year * 365 + leap_days + day_of_year - EPOCH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_form_is(
            date in (0..10_000, 0..14, 0..33),
            time in (0..26, 0..62, 0..62, 0..1000),
            changed in proptest::option::of((0..24usize, 0x20..0x7fu8)),
        ) {
            let (year, month, day) = date;
            let (hour, minute, second, millis) = time;
            let mut text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
            ).into_bytes();
            if let Some((at, byte)) = changed {
                text[at] = byte;
            }
            let quick = utc_millis(&text);
            let text = String::from_utf8(text).unwrap();
            let slow = timestamp(&text, Zone::UTC).filter(Timestamp::is_millis);
            let slow = slow.map(|time| time.micros / 1000);
            if changed.is_none() || quick.is_some() {
                prop_assert_eq!(quick, slow, "{}", text);
            }
        }
    }
}
