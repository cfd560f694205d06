//! Puts the settings together from values, and finds keys that contradict each other.

mod source;
mod stream;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use alluvium_objects::{Compression, KeyTemplate, LineLayout, ObjectSettings};

use self::source::{schema_registry, source, suit_the_catalog};
use self::stream::stream;
use super::jdbc;
use super::key::Key;
use super::keys;
use super::read::{self, Reader};
use super::secret::{self, Secret};
use super::settings::{
    Admin, Columns, Credentials, Flush, Historical, JsonLayout, Log, LogFormat, Memory, Routing,
    S3, Settings, Stream, Target, UserType,
};
use crate::table::MISFIT;

/// 255 bytes less `-shardId-000000000000`, twice 56 digits of a sequence number with a place within an aggregate, and `.ndjson.zst`.
const LONGEST_STREAM_OF_FILES: usize = 95;

/// The settings, with stand-ins where the reader found a problem; nothing if there is no stand-in.
pub(super) fn settings(r: &mut Reader<'_>, custom_targets: &[String]) -> Option<Settings> {
    let source = source(r);
    let stream = stream(r);
    let mut columns = columns(r);
    if !matches!(source.layout, JsonLayout::Plain { .. }) {
        columns.lower_case();
    } else if r.set(&keys::STORE_URL).is_some() {
        suit_the_catalog(r, &columns);
    }
    let output = output(r, &columns);
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let settings = Settings {
        schema_registry: schema_registry(r),
        source,
        flush: flush(r),
        columns,
        routing: routing(r, &stream),
        stream,
        memory: memory(r),
        target: target(r, custom_targets),
        store: jdbc::store(r),
        admin: Admin {
            listen: r.parsed(&keys::ADMIN_LISTEN, read::listen).flatten(),
        },
        log: Log {
            format: r
                .choice(&keys::LOG_FORMAT, formats)
                .unwrap_or(LogFormat::Human),
            filter: r
                .parsed(&keys::LOG_LEVEL, read::log_filter)
                .unwrap_or_default(),
        },
        // Last, so that all else has been read.
        output: output?,
    };
    names_of_files(r, &settings);
    Some(settings)
}

/// A file's name holds the stream, the shard and two positions, and file systems take 255 bytes.
fn names_of_files(r: &mut Reader<'_>, settings: &Settings) {
    let (Some(kinesis), Target::File { .. }) = (settings.stream.kinesis(), &settings.target) else {
        return;
    };
    if kinesis.stream.len() > LONGEST_STREAM_OF_FILES {
        let what = format!(
            "is longer than {LONGEST_STREAM_OF_FILES} characters: with shard and positions behind it, names of files would be too \
             long for a file system"
        );
        contradiction(r, &keys::kinesis::STREAM, &what, "set target=s3");
    }
}

/// The settings below `prefix`. All are secrets here: only their reader knows which of them really are.
pub(super) fn passed_through(r: &Reader<'_>, prefix: &str) -> BTreeMap<String, Secret> {
    let text = |key: &str, text: &str| match secret::hides(key, text) {
        // A password may well end in a space.
        true => Secret::new(text),
        false => Secret::new(text.trim()),
    };
    let settings = r.below(prefix).into_iter();
    settings
        .map(|(key, found)| (key.to_owned(), text(key, &found.text)))
        .collect()
}

fn flush(r: &mut Reader<'_>) -> Flush {
    let cpus = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Flush {
        max_record_age: r.duration(&keys::STREAM_MAX_FLUSH),
        max_record_ratio: r.ratio(&keys::STREAM_MEMORY_RATIO),
        max_row_age: r.duration(&keys::MIDDLEWARE_MAX_FLUSH),
        max_output_size: r.size(&keys::S3_MAX_DATA_SIZE).unwrap_or_default(),
        deliveries: count(r, &keys::COMMITTER_THREADS).unwrap_or_else(cpus),
    }
}

fn columns(r: &mut Reader<'_>) -> Columns {
    let types = [
        ("STRING", UserType::String),
        ("LONG", UserType::Long),
        ("INTEGER", UserType::Integer),
        ("DOUBLE", UserType::Double),
    ];
    let columns = Columns {
        checkpoint: r.text(&keys::CHECKPOINT_FIELD).unwrap_or_default(),
        user: r.text(&keys::USER_FIELD).unwrap_or_default(),
        user_type: r
            .choice(&keys::USER_FIELD_TYPE, types)
            .unwrap_or(UserType::String),
        time: r.text(&keys::TIME_FIELD).unwrap_or_default(),
        key: r.text(&keys::KEY_FIELD),
        arrival: r.text(&keys::ARRIVAL_FIELD),
    };
    let named = named(&columns);
    for (key, _) in named
        .iter()
        .filter(|(_, name)| name.eq_ignore_ascii_case(MISFIT))
    {
        let what = "names the column that keeps what fits no other";
        contradiction(r, key, what, "choose another name");
    }
    for (index, (key, name)) in named.iter().enumerate() {
        for (other, _) in named
            .iter()
            .skip(index + 1)
            .filter(|(_, n)| n.eq_ignore_ascii_case(name))
        {
            // Reported where a person wrote it: either of the two may be a default.
            let (at, other) = if r.set(key).is_some() {
                (key, other)
            } else {
                (other, key)
            };
            let what = format!("names the same column as {}", other.name);
            contradiction(r, at, &what, "give them different names");
        }
    }
    for (key, name) in named {
        let may = [&keys::USER_FIELD, &keys::TIME_FIELD].map(|key| key.name);
        if may.contains(&key.name) && ["$schema", "$table", "properties"].contains(&name) {
            let fix = "give it another name";
            contradiction(r, key, "names what every line holds anyway", fix);
        }
    }
    columns
}

/// The names of columns, with the keys that give them.
pub(super) fn named(columns: &Columns) -> Vec<(&'static Key, &str)> {
    let always = [
        (&keys::CHECKPOINT_FIELD, &columns.checkpoint),
        (&keys::TIME_FIELD, &columns.time),
        (&keys::USER_FIELD, &columns.user),
    ];
    let perhaps = [
        (&keys::KEY_FIELD, &columns.key),
        (&keys::ARRIVAL_FIELD, &columns.arrival),
    ];
    let perhaps = perhaps
        .iter()
        .filter_map(|(key, name)| Some((*key, name.as_ref()?)));
    let all = always.into_iter().chain(perhaps);
    all.map(|(key, name)| (key, name.as_str())).collect()
}

fn routing(r: &mut Reader<'_>, stream: &Stream) -> Routing {
    let listed = r.parsed(&keys::WHITELISTED, |text| Ok(read::collections(text)));
    if listed == Some(None) {
        let why = "it has not two characters, one of them a letter";
        without_effect(r, &keys::WHITELISTED, why);
    }
    Routing {
        collections: listed.flatten(),
        historical: historical(r, stream),
        duplicates: r.text(&keys::DUPLICATES).map(Into::into),
    }
}

fn historical(r: &mut Reader<'_>, stream: &Stream) -> Option<Historical> {
    let mut topic = r.parsed(&keys::HISTORICAL_TOPIC, read::topic);
    let days = r.whole(&keys::OUTDATED_DAYS);
    let worker = r.choice(&keys::HISTORICAL_WORKER, [("false", false), ("true", true)]);
    let max_flush_age = r.duration(&keys::HISTORICAL_MAX_FLUSH);
    let max_flush_records = r.whole(&keys::HISTORICAL_MAX_RECORDS).unwrap_or_default();
    let of_kafka = stream.kafka().is_some();
    if !of_kafka && topic.take().is_some() {
        without_effect(r, &keys::HISTORICAL_TOPIC, "the source is not kafka");
    }
    if topic.is_none() {
        let why = match of_kafka {
            true => "kafka.historical-data-topic is not set",
            false => "the source is not kafka",
        };
        for key in [
            &keys::OUTDATED_DAYS,
            &keys::HISTORICAL_MAX_FLUSH,
            &keys::HISTORICAL_MAX_RECORDS,
        ] {
            without_effect(r, key, why);
        }
        if worker == Some(true) {
            without_effect(r, &keys::HISTORICAL_WORKER, why);
        }
    }
    Some(Historical {
        topic: topic?,
        outdated_days: i64::try_from(days?).unwrap_or(i64::MAX),
        worker: worker?,
        max_flush_age,
        max_flush_records,
    })
}

fn memory(r: &mut Reader<'_>) -> Memory {
    let memory = Memory {
        max_size: r.size(&keys::MEMORY_MAX_SIZE),
        heap_ratio: r.ratio(&keys::HEAP_RATIO),
    };
    if memory.max_size.is_some() {
        without_effect(r, &keys::HEAP_RATIO, "memory.max-size decides");
    }
    memory
}

fn target(r: &mut Reader<'_>, custom_targets: &[String]) -> Target {
    r.require(&keys::TARGET);
    let builtin = [("s3", Word::S3), ("file", Word::File)].into_iter();
    let known = || {
        builtin.clone().chain(
            custom_targets
                .iter()
                .map(|name| (name.as_str(), Word::Custom(name))),
        )
    };
    let word = r.parsed(&keys::TARGET, |text| {
        match known().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            Some((_, word)) => Ok(word),
            None => {
                let why = read::unknown_word(&keys::TARGET, text);
                let custom = custom_targets
                    .iter()
                    .map(|name| format!(", {name}"))
                    .collect::<String>();
                Err(if custom.is_empty() {
                    why.into()
                } else {
                    format!("{why} (this program has s3, file{custom})")
                })
            }
        }
    });
    // All are read, so that bad values are found whatever the target is.
    let s3 = s3(r);
    let directory = r.text(&keys::FILE_DIRECTORY).unwrap_or_default().into();
    match &word {
        Some(Word::S3) => r.require(&keys::S3_BUCKET),
        Some(Word::File) => r.require(&keys::FILE_DIRECTORY),
        _ => {}
    }
    if let Some(word) = &word {
        others_have_no_effect(r, word, custom_targets);
    }
    match word {
        Some(Word::File) => Target::File { directory },
        Some(Word::Custom(name)) => {
            let settings = passed_through(r, &format!("target.{name}."));
            Target::Custom {
                name: name.into(),
                settings,
            }
        }
        Some(Word::S3) | None => Target::S3(s3),
    }
}

/// A word of `target`.
#[derive(Clone, PartialEq)]
enum Word<'a> {
    S3,
    File,
    Custom(&'a str),
}

fn s3(r: &mut Reader<'_>) -> S3 {
    S3 {
        bucket: r.text(&keys::S3_BUCKET).unwrap_or_default(),
        region: r.text(&keys::S3_REGION),
        endpoint: r.parsed(&keys::S3_ENDPOINT, |text| {
            read::endpoint(text, keys::ACCESS_KEY.name)
        }),
        credentials: credentials(r, &keys::ACCESS_KEY, &keys::SECRET_ACCESS_KEY),
    }
}

/// An access key, if both its halves are given.
pub(super) fn credentials(
    r: &mut Reader<'_>,
    id: &'static Key,
    secret: &'static Key,
) -> Option<Credentials> {
    match (r.text(id), r.text(secret)) {
        (Some(access_key), Some(secret_access_key)) => Some(Credentials {
            access_key: Secret::new(access_key),
            secret_access_key: Secret::new(secret_access_key),
        }),
        (None, None) => None,
        (Some(_), None) => {
            let fix = format!("set {} too, or neither", secret.name);
            contradiction(r, id, "is set without its secret", &fix);
            None
        }
        (None, Some(_)) => {
            let fix = format!("set {} too, or neither", id.name);
            contradiction(r, secret, "is set without the key's id", &fix);
            None
        }
    }
}

fn others_have_no_effect(r: &mut Reader<'_>, word: &Word<'_>, custom_targets: &[String]) {
    if *word != Word::S3 {
        for key in [
            &keys::S3_BUCKET,
            &keys::S3_REGION,
            &keys::S3_ENDPOINT,
            &keys::ACCESS_KEY,
            &keys::SECRET_ACCESS_KEY,
        ] {
            without_effect(r, key, "the target is not s3");
        }
    }
    if *word != Word::File {
        without_effect(r, &keys::FILE_DIRECTORY, "the target is not file");
    }
    for name in custom_targets
        .iter()
        .filter(|name| *word != Word::Custom(name))
    {
        let prefix = format!("target.{name}.");
        for (setting, found) in r.below(&prefix) {
            let key = format!("{prefix}{setting}");
            let what = format!("has no effect: the target is not {name}");
            r.findings().warning(&found.place, &key, what, "remove it");
        }
    }
}

fn output(r: &mut Reader<'_>, columns: &Columns) -> Option<ObjectSettings> {
    let words = Compression::ALL.map(|compression| (compression.name(), compression));
    let compression = r.choice(&keys::COMPRESSION, words);
    let level = level(r, compression);
    let layouts = [("rakam", LineLayout::Rakam), ("flat", LineLayout::Flat)];
    let layout = r.choice(&keys::TARGET_LAYOUT, layouts);
    let key = r.parsed(&keys::TARGET_KEY, |text| {
        let key = KeyTemplate::parse(text).map_err(|error| format!("is refused: {error}"))?;
        not_called_otherwise(text, compression)?;
        let suits = layout.map_or(Ok(()), |layout| key.suits(layout));
        suits
            .map(|()| key)
            .map_err(|error| format!("is refused: {error}"))
    });
    Some(ObjectSettings {
        key: key?,
        layout: layout?,
        compression: compression?,
        level: level?,
        time_field: columns.time.clone(),
        user_field: columns.user.clone(),
    })
}

/// The level, if it is one of the compression's.
fn level(r: &mut Reader<'_>, compression: Option<Compression>) -> Option<u32> {
    let level = r.whole(&keys::COMPRESSION_LEVEL)?;
    let level = u32::try_from(level).ok()?;
    let Some(compression) = compression else {
        return Some(level);
    };
    match compression.levels() {
        None => without_effect(r, &keys::COMPRESSION_LEVEL, "target.compression is none"),
        Some(levels) if !levels.contains(&level) => {
            let what = format!("\"{level}\" is out of range: target.compression is {compression}");
            let fix = format!("write one of {} to {}", levels.start(), levels.end());
            contradiction(r, &keys::COMPRESSION_LEVEL, &what, &fix);
            return None;
        }
        Some(_) => {}
    }
    Some(level)
}

/// Refuses names that end as those of files that are compressed in another way.
fn not_called_otherwise(name: &str, compression: Option<Compression>) -> Result<(), String> {
    let named = Compression::with_ending().find(|other| name.ends_with(other.ending()));
    match (compression, named) {
        (Some(own), Some(other)) if own != other => Err(format!(
            "names a {other} file, but target.compression is {own}"
        )),
        _ => Ok(()),
    }
}

/// Reports a key that somebody set and that cannot go with another.
pub(super) fn contradiction(r: &mut Reader<'_>, key: &Key, what: &str, fix: &str) {
    if let Some(found) = r.set(key) {
        r.findings().problem(&found.place, key.name, what, fix);
    }
}

/// Warns of `key` if `other` is set, which makes it idle.
fn without_effect_besides(r: &mut Reader<'_>, key: &Key, other: &Key) {
    if r.set(other).is_some() {
        without_effect(r, key, &format!("{} names the collection", other.name));
    }
}

/// Warns of a key that somebody set and that another makes idle.
pub(super) fn without_effect(r: &mut Reader<'_>, key: &Key, why: &str) {
    if let Some(found) = r.set(key) {
        r.findings().warning(
            &found.place,
            key.name,
            format!("has no effect: {why}"),
            "remove it",
        );
    }
}

pub(super) fn millis(r: &mut Reader<'_>, key: &'static Key) -> Duration {
    Duration::from_millis(r.whole(key).unwrap_or_default())
}

pub(super) fn count(r: &mut Reader<'_>, key: &'static Key) -> Option<NonZeroUsize> {
    let count = r.whole(key)?;
    NonZeroUsize::new(usize::try_from(count).unwrap_or(usize::MAX))
}
