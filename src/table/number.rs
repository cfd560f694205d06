//! Exact answers about numbers as they were written.

/// What a JSON number is worth, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Digits without leading and trailing zeros.
    pub(super) significant: usize,
    /// These digits as a number, if there are at most 19.
    digits: u64,
    /// The number is 0.digits × 10^point.
    point: i64,
}

/// A number as a 64-bit integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Fits(i64),
    TooLarge,
    Fraction,
}

impl Decimal {
    /// Reads a valid JSON number.
    pub(super) fn of(raw: &str) -> Self {
        let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
        let mut this = Self {
            negative: false,
            significant: 0,
            digits: 0,
            point: 0,
        };
        let mut in_fraction = false;
        let mut seen = 0;
        for byte in mantissa.bytes() {
            match byte {
                b'-' => this.negative = true,
                b'.' => in_fraction = true,
                b'0' if seen == 0 => this.point -= i64::from(in_fraction),
                digit => {
                    seen += 1;
                    this.point += i64::from(!in_fraction);
                    if digit != b'0' {
                        this.append(seen, digit - b'0');
                    }
                }
            }
        }
        this.point = this.point.saturating_add(exponent_of(exponent));
        this
    }

    /// Takes a digit that is not 0, the `seen`th of them all.
    fn append(&mut self, seen: usize, digit: u8) {
        if seen <= 19 {
            let shift = 10u64.pow((seen - self.significant) as u32);
            self.digits = self.digits * shift + u64::from(digit);
        }
        self.significant = seen;
    }

    pub(super) fn whole(&self) -> Whole {
        if self.significant == 0 {
            return Whole::Fits(0);
        }
        if self.point < self.significant as i64 {
            return Whole::Fraction;
        }
        if self.point > 19 {
            return Whole::TooLarge;
        }
        let zeros = self.point as u32 - self.significant as u32;
        let magnitude = i128::from(self.digits) * 10i128.pow(zeros);
        let value = if self.negative { -magnitude } else { magnitude };
        i64::try_from(value).map_or(Whole::TooLarge, Whole::Fits)
    }
}

fn exponent_of(text: &str) -> i64 {
    let limit = if text.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    text.parse().map_or(limit, |exponent: i64| {
        exponent.clamp(i64::MIN / 2, i64::MAX / 2)
    })
}

/// Whether a number was written without fraction and exponent.
pub(super) fn is_integer(raw: &str) -> bool {
    !raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The double that is exactly `value`, if there is one.
#[inline]
pub(super) fn exact_double(value: i64) -> Option<f64> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let double = value as f64;
    let exact = value.unsigned_abs() <= 1 << 53 || (double < TWO_TO_63 && double as i64 == value);
    exact.then_some(double)
}

/// Whether `double`, the one nearest to an integer written as `raw`, is exactly that.
pub(super) fn is_exact(raw: &str, double: f64) -> bool {
    // No finite double has more than 309 digits before the point.
    raw.len() <= 310 && double.is_finite() && format!("{double:.0}") == raw
}

/// A valid JSON number, or a decimal written like one, as `unscaled` × 10^-`scale` of at most `precision` digits, and whether
/// that is exactly what it is; rounded half away from zero if not.
pub(super) fn fixed(raw: &str, (precision, scale): (u8, u8)) -> Option<(i128, bool)> {
    let (mantissa, exponent) = raw.split_once(['e', 'E']).unwrap_or((raw, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    let digits: Vec<u8> = digits.skip_while(|digit| *digit == b'0').collect();
    let behind = mantissa
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    // The number is 0.digits × 10^point.
    let point = exponent_of(exponent).saturating_add(digits.len() as i64 - behind as i64);
    let significant = digits.len() - digits.iter().rev().take_while(|d| **d == b'0').count();
    if significant == 0 {
        return Some((0, true));
    }
    let keep = point.saturating_add(i64::from(scale));
    if keep > i64::from(precision) {
        return None;
    }
    let keep = usize::try_from(keep).ok().unwrap_or(0);
    let mut unscaled: i128 = 0;
    for at in 0..keep {
        let digit = digits.get(at).map_or(0, |digit| digit - b'0');
        unscaled = unscaled * 10 + i128::from(digit);
    }
    let exact = significant <= keep && point.saturating_add(i64::from(scale)) >= 0;
    let first_lost = match point.saturating_add(i64::from(scale)) {
        0.. => digits.get(keep).copied(),
        _ => None,
    };
    unscaled += i128::from(first_lost.is_some_and(|digit| digit >= b'5'));
    let value = if raw.starts_with('-') {
        -unscaled
    } else {
        unscaled
    };
    is_within(value, precision).then_some((value, exact))
}

/// Whether a number has at most so many digits.
pub(super) fn is_within(value: i128, precision: u8) -> bool {
    let limit = 10u128.checked_pow(u32::from(precision));
    limit.is_none_or(|limit| value.unsigned_abs() < limit)
}

/// Whether a string is a number without exponent, such as `-12.50`.
pub(super) fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// An integer in a string, if it is written the shortest way.
pub(super) fn integer_in(text: &str) -> Option<i64> {
    is_canonical_integer(text)
        .then(|| text.parse().ok())
        .flatten()
}

/// A double in a string, if that is how the double is written the shortest way.
pub(super) fn double_in(text: &str) -> Option<f64> {
    let numeric = |byte: u8| matches!(byte, b'-' | b'.' | b'0'..=b'9');
    // The shortest way has at most 17 digits, behind at most 324 zeros or before 309.
    if text.len() > 350 || text == "-0" || !text.bytes().all(numeric) {
        return None;
    }
    let double: f64 = text
        .parse()
        .ok()
        .filter(|double: &f64| double.is_finite())?;
    if is_canonical_integer(text) {
        return is_exact(text, double).then_some(double);
    }
    (format!("{double}") == text).then_some(double)
}

/// `0` or `-?[1-9][0-9]*`.
fn is_canonical_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [b'0'] => text == "0",
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_decimals_exactly_or_nearly() {
        let exact = |raw, of, value| assert_eq!(fixed(raw, of), Some((value, true)), "{raw}");
        let rounded = |raw, of, value| assert_eq!(fixed(raw, of), Some((value, false)), "{raw}");
        exact("12.50", (5, 2), 1250);
        exact("-12.5", (5, 2), -1250);
        exact("0.05", (5, 2), 5);
        exact("1.25e1", (5, 2), 1250);
        exact("125e-2", (3, 2), 125);
        exact("0.000", (5, 2), 0);
        exact("0e999999999999999999999999", (5, 2), 0);
        exact("999.99", (5, 2), 99999);
        exact("1e37", (38, 0), 10i128.pow(37));
        rounded("0.005", (5, 2), 1);
        rounded("0.0049", (5, 2), 0);
        rounded("-0.125", (5, 2), -13);
        rounded("1e-99", (5, 2), 0);
        rounded("0.0009", (5, 2), 0);
        for raw in ["1000", "999.995", "1e38", "1e999999999999999999999999"] {
            assert_eq!(fixed(raw, (5, 2)), None, "{raw}");
        }
        let most = "99999999999999999999999999999999999999";
        exact(most, (38, 0), 10i128.pow(38) - 1);
        assert_eq!(
            fixed("99999999999999999999999999999999999999.5", (38, 0)),
            None
        );
    }
}
