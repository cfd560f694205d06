//! Values as types: reads each key by its kind, and reports values that are not of it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, UNIX_EPOCH};

use chrono::DateTime;

use super::key::{Key, Kind};
use super::keys;
use super::layers::{Found, Values};
use super::problem::{Findings, shown};
use super::settings::{InitialPosition, Topic};
use super::{duration, size};

/// Reads values and collects what is wrong with them. After a problem it gives a stand-in, so that reading
/// goes on and all problems are found.
pub(super) struct Reader<'a> {
    values: &'a Values,
    findings: &'a mut Findings,
    /// The file's name, the place of what is missing.
    file: &'a str,
    #[cfg(test)]
    pub(super) keys_read: std::collections::BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(values: &'a Values, findings: &'a mut Findings, file: &'a str) -> Self {
        Self {
            values,
            findings,
            file,
            #[cfg(test)]
            keys_read: Default::default(),
        }
    }

    pub(super) fn findings(&mut self) -> &mut Findings {
        self.findings
    }

    /// What the file or a variable says of `key`.
    pub(super) fn set(&self, key: &Key) -> Option<&'a Found> {
        self.values.get(key.name).filter(|found| found.is_set())
    }

    /// What somebody set that begins with `prefix`: the rest of each key, with its value as it is written.
    pub(super) fn below(&self, prefix: &str) -> Vec<(&'a str, &'a Found)> {
        let set = self.values.iter().filter(|(_, found)| found.is_set());
        set.filter_map(|(key, found)| Some((key.strip_prefix(prefix)?, found)))
            .collect()
    }

    /// The value of `key` by `parse`, whose error is what is wrong with it, such as "is too large".
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static Key,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        #[cfg(test)]
        self.keys_read.insert(key.name);
        let found = self.values.get(key.name)?;
        let text = found.text.trim();
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                let what = format!("{} {why}", shown(key.name, key.secret, text));
                let fix = format!("write {}{}", key.kind.expected(), example(key));
                self.findings.problem(&found.place, key.name, what, fix);
                None
            }
        }
    }

    /// Reports that `key` must be set, if it is not.
    pub(super) fn require(&mut self, key: &'static Key) {
        self.require_for(key, key.required);
    }

    /// As [`Reader::require`], for a key that is otherwise optional.
    pub(super) fn require_for(&mut self, key: &'static Key, what: &'static str) {
        if !self.values.contains_key(key.name) {
            let when = match what {
                "" | "always" => "is missing".into(),
                when => format!("is missing, and {when} needs it"),
            };
            self.findings.problem(
                self.file,
                key.name,
                when,
                format!("add {}={}", key.name, key.sample()),
            );
        }
    }

    pub(super) fn text(&mut self, key: &'static Key) -> Option<String> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// One of `words`, which stand for values; the first if it is none of them.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static Key,
        words: impl IntoIterator<Item = (&'static str, T)> + Clone,
    ) -> Option<T> {
        self.parsed(key, |text| {
            let mut known = words.into_iter();
            match known.find(|(word, _)| word.eq_ignore_ascii_case(text)) {
                Some((_, value)) => Ok(value),
                None => Err(unknown_word(key, text).into()),
            }
        })
    }

    pub(super) fn duration(&mut self, key: &'static Key) -> Duration {
        self.parsed(key, duration::parse).unwrap_or_default()
    }

    /// A name of AWS's, within the key's bounds.
    pub(super) fn aws_name(&mut self, key: &'static Key) -> Option<String> {
        let lengths = match key.kind {
            Kind::AwsName { shortest, longest } => shortest..=longest,
            _ => 1..=usize::MAX,
        };
        self.parsed(key, |text| aws_name(text, lengths))
    }

    /// The URL of one of AWS's services, or of what stands in for it.
    pub(super) fn aws_endpoint(&mut self, key: &'static Key) -> Option<String> {
        self.parsed(key, |text| endpoint(text, keys::kinesis::ACCESS_KEY.name))
    }

    pub(super) fn size(&mut self, key: &'static Key) -> Option<u64> {
        self.parsed(key, size::parse)
    }

    pub(super) fn ratio(&mut self, key: &'static Key) -> f64 {
        let parse = |text: &str| match text.parse::<f64>() {
            Ok(ratio) if ratio > 0.0 && ratio <= 1.0 => Ok(ratio),
            Ok(_) => Err("is out of range".into()),
            Err(_) => Err("is not a number".into()),
        };
        self.parsed(key, parse).unwrap_or(1.0)
    }

    /// A whole number within the key's bounds.
    pub(super) fn whole(&mut self, key: &'static Key) -> Option<u64> {
        let bounds = match key.kind {
            Kind::Whole {
                least, greatest, ..
            } => least..=greatest,
            _ => 0..=u64::MAX,
        };
        self.parsed(key, |text| match text.parse::<u64>() {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(_) => Err("is out of range".into()),
            Err(_) => Err("is not a whole number in range".into()),
        })
    }
}

/// What is wrong with a word that is none of the key's.
pub(super) fn unknown_word(key: &Key, text: &str) -> &'static str {
    match key.kind {
        Kind::Choice { later, .. } if later.iter().any(|word| word.eq_ignore_ascii_case(text)) => {
            "is not served yet"
        }
        _ => "is not known",
    }
}

fn example(key: &Key) -> String {
    match (key.kind, key.sample()) {
        (Kind::Choice { .. }, _) | (_, "") => String::new(),
        (_, sample) => format!(", for example {}={sample}", key.name),
    }
}

/// Entries of a comma-separated list, without white space around them and without empty ones.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn all<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let all = entries(text)
        .map(|entry| parse(entry).map_err(|why| format!("has the entry {entry:?}, which {why}")))
        .collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        Err("has no entry".into())
    } else {
        Ok(all)
    }
}

/// Brokers as `host:port`.
pub(super) fn nodes(text: &str) -> Result<Vec<String>, String> {
    all(text, |entry| {
        if entry.contains("://") {
            return Err("has a scheme (set kafka.client.security.protocol instead)".into());
        }
        let bracketed = entry
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((address, port)) => {
                let address = address.parse::<std::net::Ipv6Addr>();
                let address = address.map_err(|_| "is not an IPv6 address".to_owned())?;
                (
                    format!("[{address}]"),
                    port.strip_prefix(':')
                        .or(Some(port).filter(|p| !p.is_empty())),
                )
            }
            None => match entry.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (entry.to_owned(), None),
            },
        };
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if bracketed.is_none() && (host.is_empty() || !host.chars().all(letters)) {
            return Err("is not a host".into());
        }
        match port.map_or(Ok(9092), str::parse::<u16>) {
            Ok(port) if port > 0 => Ok(format!("{host}:{port}")),
            _ => Err("has a port that is not from 1 to 65535".into()),
        }
    })
}

/// Topics, and patterns that compile.
pub(super) fn topics(text: &str) -> Result<Vec<Topic>, String> {
    const LONGEST: usize = 249;
    all(text, |entry| {
        if entry.starts_with('^') {
            return match regex::Regex::new(entry) {
                Ok(_) => Ok(Topic::Pattern(entry.into())),
                Err(error) => {
                    let why = error.to_string();
                    let why = why
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ");
                    Err(format!("is no regular expression: {why}"))
                }
            };
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if entry.len() > LONGEST || !entry.chars().all(letters) || matches!(entry, "." | "..") {
            return Err("is not the name of a topic".into());
        }
        Ok(Topic::Name(entry.into()))
    })
}

/// The name of one topic.
pub(super) fn topic(text: &str) -> Result<String, String> {
    match topics(text)?.as_slice() {
        [Topic::Name(name)] => Ok(name.clone()),
        _ => Err("is not the name of one topic".into()),
    }
}

/// Names of collections, in lower case. None if the original would not look at the value.
pub(super) fn collections(text: &str) -> Option<Vec<String>> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let counts = text.chars().count() > 1 && text.chars().any(char::is_alphabetic);
    counts.then(|| entries(&text).map(str::to_lowercase).collect())
}

/// A socket address, or nothing for `off`.
pub(super) fn listen(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| "is not an IP address with a port".into())
}

/// URLs as [`endpoint`] reads them.
pub(super) fn endpoints(text: &str) -> Result<Vec<String>, String> {
    all(text, |entry| endpoint(entry, "schema-registry.username"))
}

/// A URL with scheme and host, without a slash at its end. `login` is the key that a user belongs into instead.
pub(super) fn endpoint(text: &str, login: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err("has a scheme other than http and https".into());
    }
    if rest.contains('@') {
        return Err(format!("has a user (set {login} instead)"));
    }
    let host = rest.trim_end_matches('/');
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._:[]/".contains(c);
    if host.is_empty() || host.starts_with([':', '/']) || !host.chars().all(letters) {
        return Err("has no host, or something that is no part of one".into());
    }
    Ok(format!("{scheme}://{host}"))
}

/// The region that the host of an endpoint at AWS names.
pub(super) fn region_of(endpoint: &str) -> Option<&str> {
    const DOMAINS: [&str; 4] = [
        ".amazonaws.com",
        ".amazonaws.com.cn",
        ".api.aws",
        ".api.amazonwebservices.com.cn",
    ];
    let (_, host) = endpoint.split_once("://")?;
    let host = host.split([':', '/']).next()?;
    let host = DOMAINS
        .iter()
        .find_map(|domain| host.strip_suffix(domain))?;
    // An interface endpoint of one's own network.
    let host = host.strip_suffix(".vpce").unwrap_or(host);
    let (_, region) = host.rsplit_once('.')?;
    let looks_right =
        region.matches('-').count() >= 2 && region.ends_with(|c: char| c.is_ascii_digit());
    looks_right.then_some(region)
}

/// A name of AWS's, of so many characters.
pub(super) fn aws_name(text: &str, lengths: RangeInclusive<usize>) -> Result<String, String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    match text {
        _ if text.starts_with("arn:") => Err("is an ARN, not a name".into()),
        _ if !text.chars().all(letters) => Err("has other characters in it".into()),
        _ if !lengths.contains(&text.len()) => Err("is too short or too long".into()),
        _ => Ok(text.to_owned()),
    }
}

/// Where to begin in a shard.
pub(super) fn initial_position(text: &str) -> Result<InitialPosition, String> {
    let millis = match text {
        _ if text.eq_ignore_ascii_case("TRIM_HORIZON") => return Ok(InitialPosition::TrimHorizon),
        _ if text.eq_ignore_ascii_case("LATEST") => return Ok(InitialPosition::Latest),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        _ => {
            let time = DateTime::parse_from_rfc3339(text);
            let time = time.map_err(|_| "is neither a word nor a time with its zone".to_owned())?;
            u64::try_from(time.timestamp_millis()).ok()
        }
    };
    let time = millis.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    let latest = UNIX_EPOCH + LAST_TIME;
    match time.filter(|time| *time <= latest) {
        Some(time) => Ok(InitialPosition::At(time)),
        None => Err("is no time from 1970 to 9999".into()),
    }
}

/// The end of the year 9999.
const LAST_TIME: Duration = Duration::from_millis(253_402_300_799_999);

/// Comma-separated levels and `module=level`.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let level = |entry: &str| {
        let level = entry.rsplit_once('=').map_or(entry, |(_, level)| level);
        match LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            true => Ok(entry.to_owned()),
            false => Err("ends in no level".into()),
        }
    };
    all(text, level).map(|entries| entries.join(","))
}
