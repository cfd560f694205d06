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
        let real = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
        real.then(|| (days_of(year, month, day), padded))
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
