//! Where values come from: environment variables over the file over the defaults.
//!
//! Owns which names and which values are let in; figment merges them and remembers who gave which. What a
//! value means is for `read`.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_objects::{Compression, KeyTemplate};
use figment::value::magic::Tagged;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use super::key::{Key, Status};
use super::keys::{COMPRESSION, COMPRESSION_LEVEL, SERVED, TARGET_KEY, ZSTD_LEVEL};
use super::names::{Known, Names, Variable};
use super::problem::{Findings, VARIABLE};
use super::{client, properties};

/// The place of a value nobody set.
const DEFAULT: &str = "default";

/// A value that holds, and who gave it.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) place: String,
}

impl Found {
    /// Whether the file or a variable gave it.
    pub(super) fn is_set(&self) -> bool {
        self.place != DEFAULT
    }
}

/// The values that hold, by key.
pub(super) type Values = BTreeMap<String, Found>;

/// Values of one origin.
#[derive(Default)]
pub(super) struct Layer {
    values: BTreeMap<String, String>,
    places: Arc<BTreeMap<String, String>>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        let places = Arc::clone(&self.places);
        Metadata::named("layer").interpolater(move |_, key| {
            places
                .get(&key.concat())
                .cloned()
                .unwrap_or_else(|| DEFAULT.into())
        })
    }

    /// A flat dictionary with whole keys as names: `target` and `target.key` are both values, which
    /// figment's nested dictionaries could not hold.
    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        let dict = self
            .values
            .iter()
            .map(|(key, text)| (key.clone(), text.clone().into()));
        Ok(Profile::Default.collect(dict.collect()))
    }
}

/// The layer of a file. Reports what is not let in.
pub(super) fn file(name: &str, bytes: &[u8], names: &Names, findings: &mut Findings) -> Layer {
    let (entries, malformed) = properties::parse(bytes);
    for properties::Malformed { line, what } in malformed {
        findings.problem(
            &format!("{name}:{line}"),
            "",
            what,
            "write a backslash as \\\\",
        );
    }
    let mut first = BTreeMap::new();
    let (mut values, mut places) = (BTreeMap::new(), BTreeMap::new());
    for entry in entries {
        let place = format!("{name}:{}", entry.line);
        let Some(known) = names.find(&entry.key) else {
            unknown_key(&entry.key, &place, names, findings);
            continue;
        };
        if let Some(line) = first.insert(entry.key.clone(), entry.line) {
            findings.problem(
                &place,
                &entry.key,
                format!("set in line {line} too"),
                "keep one",
            );
        }
        if admit(known, &entry.key, &entry.value, &place, findings) {
            values.insert(entry.key.clone(), entry.value);
            places.insert(entry.key, place);
        }
    }
    Layer {
        values,
        places: Arc::new(places),
    }
}

/// The layer of environment variables. Reports what is not let in.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    names: &Names,
    findings: &mut Findings,
) -> Layer {
    let (mut values, mut places) = (BTreeMap::new(), BTreeMap::new());
    for (variable, value) in variables {
        let place = format!("{VARIABLE}{variable}");
        let key = match names.variable(&variable) {
            Variable::Key(key) => key,
            Variable::Foreign => continue,
            Variable::Unknown(meant) => {
                let fix =
                    meant.map_or("remove it".into(), |meant| format!("did you mean {meant}?"));
                findings.problem(&place, "", "no key has this variable", fix);
                continue;
            }
        };
        let Some(known) = names.find(&key) else {
            continue;
        };
        if admit(known, &key, &value, &place, findings) {
            values.insert(key.clone(), value);
            places.insert(key, place);
        }
    }
    Layer {
        values,
        places: Arc::new(places),
    }
}

/// The layer of defaults.
fn defaults() -> Layer {
    let default = |key: &&Key| Some((key.name.to_owned(), key.default?.to_owned()));
    Layer {
        values: SERVED.iter().filter_map(default).collect(),
        ..Layer::default()
    }
}

/// The values that hold: `environment` over `file` over the defaults. Nothing if figment cannot merge them, which
/// flat dictionaries of strings give it no cause for.
pub(super) fn merge(file: Layer, environment: Layer) -> Option<Values> {
    let figment = Figment::new()
        .merge(defaults())
        .merge(file)
        .merge(environment);
    let merged: BTreeMap<String, Tagged<String>> = figment.extract().ok()?;
    let found = |(key, value): (String, Tagged<String>)| {
        let layer = figment.get_metadata(value.tag());
        let place = layer.map_or(DEFAULT.into(), |l| {
            l.interpolate(&Profile::Default, &[&key])
        });
        (
            key,
            Found {
                text: value.into_inner(),
                place,
            },
        )
    };
    let mut values: Values = merged.into_iter().map(found).collect();
    follow_compression(&mut values);
    Some(values)
}

/// The defaults that depend on another key: an output is called after its compression, and a level is one of its.
fn follow_compression(values: &mut Values) {
    let Some(text) = values.get(COMPRESSION.name).map(|found| found.text.trim()) else {
        return;
    };
    let mut known = Compression::ALL.into_iter();
    let Some(compression) = known.find(|known| known.name().eq_ignore_ascii_case(text)) else {
        return;
    };
    let mut change = |key: &Key, text: String| {
        if let Some(found) = values.get_mut(key.name).filter(|found| !found.is_set()) {
            found.text = text;
        }
    };
    change(
        &TARGET_KEY,
        KeyTemplate::default_text(compression).to_owned(),
    );
    if compression == Compression::Zstd {
        change(&COMPRESSION_LEVEL, ZSTD_LEVEL.to_string());
    }
}

/// Whether a value of a known key is let in. Reports why, unless the value is empty, which counts as not set.
fn admit(known: Known<'_>, key: &str, value: &str, place: &str, findings: &mut Findings) -> bool {
    let value = value.trim();
    if value.is_empty() {
        return false;
    }
    if value == "##" || value.starts_with("## ") {
        let what = "counts as not set, since its value begins with ##";
        findings.warning(place, key, what, "write comments on lines of their own");
        return false;
    }
    match known {
        Known::Declared(declared) => match declared.status {
            Status::Served => return true,
            Status::NotYet => {
                let what = format!("not served yet ({})", declared.meaning);
                findings.problem(place, key, what, "remove it, or leave its value empty");
            }
            Status::NoEffect => {
                let what = format!("has no effect: {}", declared.meaning);
                findings.warning(place, key, what, "remove it");
            }
        },
        Known::Client(setting) => match client::refused(setting) {
            None => return true,
            Some(why) => findings.problem(place, key, "cannot be set", why),
        },
        Known::Custom => return true,
    }
    false
}

/// Reports a name that is no key. It may be a line of a key's or a certificate's text, and then is not shown.
fn unknown_key(name: &str, place: &str, names: &Names, findings: &mut Findings) {
    const LONGEST: usize = 60;
    let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    if let Some(meant) = names.nearest(name).filter(|_| name.len() <= LONGEST) {
        findings.problem(place, name, "unknown key", format!("did you mean {meant}?"));
    } else if name.len() <= LONGEST
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let fix = "remove it; `alluvium config` lists all keys";
        findings.problem(place, name, "unknown key", fix);
    } else {
        findings.problem(
            place,
            "",
            "the line begins with no key (its text is not shown, it may be secret)",
            "write key=value, with a backslash at the end of a line that the next one continues",
        );
    }
}
