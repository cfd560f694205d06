//! The `.properties` syntax, by the rules of `java.util.Properties.load`.
//!
//! Owns syntax only: comments, separators, escapes, continued lines. What keys mean, and that none may be
//! given twice, is decided elsewhere; every entry is kept, in order, with its line.
//!
//! Bytes are read as UTF-8 (a byte order mark is skipped); if they are not UTF-8, as ISO-8859-1, as Java did.
//! No bytes make it panic. It differs from Java in two corners: half of a surrogate pair, which
//! is no text, is refused; and a lone backslash that ends the input is not an entry with an empty key.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// A key with its value, which may be a secret: hence no `Debug` outside tests.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Entry {
    /// The line the entry begins in, from 1.
    pub line: usize,
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped; white space at its end is part of it.
    pub value: String,
}

/// An entry that cannot be read. Does not hold the entry's text, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line the entry begins in, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads all entries, and says of those it cannot read why.
pub fn parse(bytes: &[u8]) -> (Vec<Entry>, Vec<Malformed>) {
    let text = decode(bytes);
    let (mut entries, mut malformed) = (Vec::new(), Vec::new());
    for (line, text) in logical_lines(&text) {
        let (key, value) = split(&text);
        match (unescape(key), unescape(value)) {
            (Ok(key), Ok(value)) => entries.push(Entry { line, key, value }),
            (Err(what), _) | (_, Err(what)) => malformed.push(Malformed { line, what }),
        }
    }
    (entries, malformed)
}

/// Writes one line that [`parse`] reads back as this key and value.
pub fn print(key: &str, value: &str) -> String {
    let mut line = String::with_capacity(key.len() + value.len() + 1);
    escape(key, true, &mut line);
    line.push('=');
    escape(value, false, &mut line);
    line
}

fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// Lines with comments and blank lines left out and continued lines joined, each with its first line's number.
fn logical_lines(text: &str) -> Vec<(usize, Cow<'_, str>)> {
    let mut lines = Vec::new();
    let mut natural = natural_lines(text).zip(1..);
    while let Some((line, number)) = natural.next() {
        let line = line.trim_start_matches(white_space);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let Some(mut last) = continued(line) else {
            lines.push((number, Cow::Borrowed(line)));
            continue;
        };
        let mut joined = String::new();
        loop {
            joined.push_str(last);
            // Nothing before the backslash: the next line begins afresh, and may be a comment.
            if joined.is_empty() {
                break;
            }
            let Some((next, _)) = natural.next() else {
                break;
            };
            let next = next.trim_start_matches(white_space);
            match continued(next) {
                Some(part) => last = part,
                None => {
                    joined.push_str(next);
                    break;
                }
            }
        }
        if !joined.is_empty() {
            lines.push((number, Cow::Owned(joined)));
        }
    }
    lines
}

/// Lines as they stand, ended by `\n`, `\r` or `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let after = if text[end..].starts_with("\r\n") {
            end + 2
        } else {
            end + 1
        };
        rest = Some(&text[after..]);
        Some(&text[..end])
    })
}

/// The line without the backslash that continues it, if it ends in an odd number of them.
fn continued(line: &str) -> Option<&str> {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    (backslashes % 2 == 1).then(|| &line[..line.len() - 1])
}

/// Key and value, still escaped, of a logical line.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c| {
            let separates = !escaped && (c == '=' || c == ':' || white_space(c));
            escaped = c == '\\' && !escaped;
            separates
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(white_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(white_space))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            Some('u') => {
                let (c, left) = unicode(after.as_str())?;
                plain.push(c);
                rest = left;
                continue;
            }
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some(c) => plain.push(c),
            None => {}
        }
        rest = after.as_str();
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The character of `\uXXXX`, or of two of them that are a surrogate pair; `text` follows the first `\u`.
fn unicode(text: &str) -> Result<(char, &str), &'static str> {
    const HALF: &str = "\\u escape of half a surrogate pair";
    let (high, rest) = unit(text)?;
    let mut units = vec![high];
    let mut left = rest;
    if (0xD800..0xDC00).contains(&high) {
        let (low, rest) = unit(rest.strip_prefix("\\u").ok_or(HALF)?)?;
        units.push(low);
        left = rest;
    }
    let c = char::decode_utf16(units)
        .next()
        .and_then(Result::ok)
        .ok_or(HALF)?;
    Ok((c, left))
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Result<(u16, &str), &'static str> {
    let digits = text
        .get(..4)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match unit {
        Some(unit) => Ok((unit, &text[4..])),
        None => Err("\\u must be followed by four hexadecimal digits"),
    }
}

fn white_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

fn escape(text: &str, key: bool, line: &mut String) {
    for (index, c) in text.chars().enumerate() {
        match c {
            ' ' if key || index == 0 => line.push_str("\\ "),
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\u{c}' => line.push_str("\\f"),
            '\\' => line.push_str("\\\\"),
            // A value needs these escaped only where it begins.
            '=' | ':' if key || index == 0 => line.extend(['\\', c]),
            '#' | '!' if key => line.extend(['\\', c]),
            c if c.is_control() || c == '\u{feff}' => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    line.push_str(&format!("\\u{unit:04X}"));
                }
            }
            c => line.push(c),
        }
    }
}
