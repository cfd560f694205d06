//! A number with a unit, as io.airlift.units writes durations and sizes: digits, perhaps a fraction,
//! perhaps white space, a unit in letters. Exact: no floating point.

/// The units of a kind of quantity: name and how many of the smallest one it is, ascending.
pub(super) type Units = &'static [(&'static str, u64)];

/// Reads `text` as a whole number of the smallest unit; what is less than that is dropped.
///
/// The error says what is wrong, in lower case.
pub(super) fn parse(text: &str, units: Units) -> Result<u128, String> {
    let text = text.trim_matches(white_space);
    let (whole, rest) = digits(text);
    if whole.is_empty() {
        return Err("must begin with a number".into());
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            if fraction.is_empty() {
                return Err("no digits after the point".into());
            }
            (fraction, rest)
        }
        None => ("", rest),
    };
    let name = rest.trim_start_matches(white_space);
    let factor = u128::from(factor(name, units)?);
    let too_large = || "is too large".to_owned();
    let whole = whole.parse::<u64>().map_err(|_| too_large())?;
    // Digits beyond the eighteenth are below any smallest unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let tenths = fraction
        .bytes()
        .fold((0u128, 1u128), |(value, scale), digit| {
            (value * 10 + u128::from(digit - b'0'), scale * 10)
        });
    Ok(u128::from(whole) * factor + tenths.0 * factor / tenths.1)
}

/// Writes `amount` of the smallest unit exactly, in the largest unit that allows it.
pub(super) fn print(amount: u128, zero: &str, units: Units) -> String {
    if amount == 0 {
        return zero.into();
    }
    units
        .iter()
        .rev()
        .find(|(_, factor)| amount.is_multiple_of(u128::from(*factor)))
        .map(|(name, factor)| format!("{}{name}", amount / u128::from(*factor)))
        .unwrap_or_default()
}

fn factor(name: &str, units: Units) -> Result<u64, String> {
    if let Some((_, factor)) = units.iter().find(|(unit, _)| *unit == name) {
        return Ok(*factor);
    }
    if name.is_empty() {
        return Err("has no unit".into());
    }
    Err(
        match units
            .iter()
            .find(|(unit, _)| unit.eq_ignore_ascii_case(name))
        {
            Some((unit, _)) => format!("has the unit {name:?}, which is written {unit}"),
            None => format!("has the unknown unit {name:?}"),
        },
    )
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}
