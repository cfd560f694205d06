//! Text that a payload does not hold as such: without escapes, lower-cased, or without white space.

/// A string with half a surrogate pair, which no UTF-8 text can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoneSurrogate;

/// Appends the string that `escaped`, the inside of a valid JSON string, stands for.
pub(super) fn unescape(escaped: &str, out: &mut String) -> Result<(), LoneSurrogate> {
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at..];
        let simple = match escape.as_bytes().get(1) {
            Some(b'u') => {
                let (char, len) = code_point(escape).ok_or(LoneSurrogate)?;
                out.push(char);
                rest = &escape[len..];
                continue;
            }
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&itself) => char::from(itself),
            None => break,
        };
        out.push(simple);
        rest = &escape[2..];
    }
    out.push_str(rest);
    Ok(())
}

/// The character of a `\uXXXX` escape or of a pair of them, and the length of the escape.
fn code_point(escape: &str) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let hex = escape.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(hex, 16).ok()
    };
    let high = unit(0)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Some((char::from_u32(high)?, 6));
    }
    let low = unit(6).filter(|low| (0xDC00..0xE000).contains(low))?;
    let char = char::from_u32(0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00)))?;
    Some((char, 12))
}

/// Appends `text` in lower case.
pub(super) fn lower_case(text: &str, out: &mut String) {
    if text.contains('Σ') {
        // The one letter whose lower case depends on its place in the word.
        out.push_str(&text.to_lowercase());
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Appends valid JSON without the white space between its parts.
pub(super) fn compact(json: &str, out: &mut String) {
    let mut in_string = false;
    let mut escaped = false;
    let mut start = 0;
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte == b'"' {
            in_string = true;
        } else if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            out.push_str(&json[start..at]);
            start = at + 1;
        }
    }
    out.push_str(&json[start..]);
}
