//! Random schemas: as their writer has them, as a reader wants them, and values and defaults of them.

use std::collections::BTreeSet;

use apache_avro::{Decimal, Duration, Uuid};

use super::*;

/// Digits of all decimals: no more than eight bytes have, or apache-avro has a reader refuse short ones.
const PRECISION: usize = 18;
/// Digits behind the point of all decimals.
pub(super) const SCALE: u8 = 2;

/// A schema, of which values can be made from random numbers.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Plain(&'static str),
    Logical(&'static str, &'static str),
    /// On fixed of a size, or on bytes.
    Decimal(Option<usize>),
    /// On fixed, or on string.
    Uuid(bool),
    Duration,
    Symbols(usize),
    Fixed(usize),
    Array(Box<Kind>),
    Map(Box<Kind>),
    Nullable(Box<Kind>),
    /// Branches that cannot be taken for one another.
    Union(Vec<Kind>),
    Record(Vec<Kind>),
    /// One of three types with a namespace, which are defined where they come first and named elsewhere.
    Shared(Shared),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shared {
    Colour,
    Mark,
    Point,
}

const PLAIN: [&str; 8] = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string",
];
const LOGICAL: [(&str, &str); 9] = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
];
const COLOURS: [&str; 3] = ["RED", "GREEN", "BLUE"];

pub(super) fn kinds() -> impl Strategy<Value = Kind> {
    let shared = [Shared::Colour, Shared::Mark, Shared::Point];
    let leaf = prop_oneof![
        6 => prop::sample::select(&PLAIN[..]).prop_map(Kind::Plain),
        2 => prop::sample::select(&LOGICAL[..]).prop_map(|(kind, logical)| Kind::Logical(kind, logical)),
        1 => prop::option::of(9usize..=16).prop_map(Kind::Decimal),
        1 => any::<bool>().prop_map(Kind::Uuid),
        1 => Just(Kind::Duration),
        1 => (1usize..4).prop_map(Kind::Symbols),
        1 => (0usize..5).prop_map(Kind::Fixed),
        2 => prop::sample::select(shared.to_vec()).prop_map(Kind::Shared),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            inner.clone().prop_map(|kind| Kind::Array(kind.into())),
            inner.clone().prop_map(|kind| Kind::Map(kind.into())),
            inner.clone().prop_map(|kind| match kind {
                Kind::Plain("null") | Kind::Nullable(_) | Kind::Union(_) => kind,
                kind => Kind::Nullable(kind.into()),
            }),
            prop::collection::vec(inner.clone(), 1..5).prop_map(union_of),
            prop::collection::vec(inner, 0..5).prop_map(Kind::Record),
        ]
    })
}

pub(super) fn record() -> impl Strategy<Value = Kind> {
    prop::collection::vec(kinds(), 0..8).prop_map(Kind::Record)
}

/// A union of those that may stand in one beside each other.
fn union_of(kinds: Vec<Kind>) -> Kind {
    let mut branches: Vec<Kind> = Vec::new();
    for kind in kinds {
        let of = families(&kind);
        let taken = |branch: &Kind| families(branch).iter().any(|family| of.contains(family));
        if !of.contains(&"union") && !branches.iter().any(taken) {
            branches.push(kind);
        }
    }
    match branches.is_empty() {
        true => Kind::Plain("null"),
        false => Kind::Union(branches),
    }
}

/// What there may be one of in a union. More than the specification asks: apache-avro looks for the branch by the value, and takes a map
/// for a record without fields, fixed for a decimal, and a decimal for bytes.
fn families(kind: &Kind) -> &'static [&'static str] {
    match kind {
        Kind::Plain("bytes") => &["bytes"],
        Kind::Plain("string") => &["string"],
        Kind::Plain("int") | Kind::Logical("int", _) => &["int"],
        Kind::Plain("long") | Kind::Logical("long", _) => &["long"],
        Kind::Plain("null") => &["null"],
        Kind::Plain("boolean") => &["boolean"],
        Kind::Plain("float") => &["float"],
        Kind::Plain(_) | Kind::Logical(..) => &["double"],
        Kind::Decimal(_) => &["bytes", "named"],
        Kind::Uuid(_) => &["string", "bytes", "named"],
        Kind::Array(_) => &["array"],
        Kind::Map(_) | Kind::Record(_) | Kind::Shared(Shared::Point) => &["map"],
        Kind::Nullable(_) | Kind::Union(_) => &["union"],
        Kind::Duration | Kind::Symbols(_) | Kind::Fixed(_) | Kind::Shared(_) => &["named"],
    }
}

/// Writes schemas, with what each name has come to stand for.
#[derive(Default)]
pub(super) struct Text {
    seen: BTreeSet<Shared>,
    /// Whether this is a reader's, which calls types otherwise.
    aliases: bool,
    reader: bool,
}

impl Text {
    pub(super) fn reader(aliases: bool) -> Self {
        Self {
            aliases,
            reader: true,
            ..Self::default()
        }
    }

    /// Names are made unique by `path`.
    pub(super) fn schema(&mut self, kind: &Kind, path: &str) -> Json {
        match kind {
            Kind::Plain(name) => json!(name),
            Kind::Logical(kind, logical) => json!({"type": kind, "logicalType": logical}),
            Kind::Decimal(None) => {
                json!({"type": "bytes", "logicalType": "decimal", "precision": PRECISION, "scale": SCALE})
            }
            Kind::Decimal(Some(size)) => self.named(
                &format!("D{path}"),
                json!({"type": "fixed", "size": size, "logicalType": "decimal", "precision": PRECISION, "scale": SCALE}),
            ),
            Kind::Uuid(false) => json!({"type": "string", "logicalType": "uuid"}),
            Kind::Uuid(true) => self.named(
                &format!("U{path}"),
                json!({"type": "fixed", "size": 16, "logicalType": "uuid"}),
            ),
            Kind::Duration => self.named(
                &format!("L{path}"),
                json!({"type": "fixed", "size": 12, "logicalType": "duration"}),
            ),
            Kind::Symbols(symbols) => {
                let symbols: Vec<_> = (0..*symbols).map(|at| format!("S{at}")).collect();
                self.named(&format!("E{path}"), json!({"type": "enum", "symbols": symbols}))
            }
            Kind::Fixed(size) => {
                self.named(&format!("F{path}"), json!({"type": "fixed", "size": size}))
            }
            Kind::Array(items) => {
                json!({"type": "array", "items": self.schema(items, &format!("{path}_a"))})
            }
            Kind::Map(values) => {
                json!({"type": "map", "values": self.schema(values, &format!("{path}_m"))})
            }
            Kind::Nullable(kind) => json!(["null", self.schema(kind, &format!("{path}_n"))]),
            Kind::Union(branches) => {
                let branches = branches.iter().enumerate();
                let branches = branches.map(|(at, kind)| self.schema(kind, &format!("{path}_u{at}")));
                Json::Array(branches.collect())
            }
            Kind::Record(fields) => {
                let fields = fields.iter().enumerate().map(|(at, kind)| {
                    json!({"name": format!("f{at}"), "type": self.schema(kind, &format!("{path}_{at}"))})
                });
                let fields: Vec<_> = fields.collect();
                self.named(&format!("R{path}"), json!({"type": "record", "fields": fields}))
            }
            Kind::Shared(shared) => self.shared(*shared),
        }
    }

    fn named(&self, name: &str, mut of: Json) -> Json {
        if self.aliases {
            of["name"] = json!(format!("N{name}"));
            of["aliases"] = json!([name]);
        } else {
            of["name"] = json!(name);
        }
        of
    }

    /// The full name the first time with what it stands for, then by itself.
    fn shared(&mut self, shared: Shared) -> Json {
        let space = if self.aliases { "com.y" } else { "com.x" };
        let name = format!("{space}.{shared:?}");
        if !self.seen.insert(shared) {
            return json!(name);
        }
        match shared {
            Shared::Colour => json!({"type": "enum", "name": name, "symbols": COLOURS}),
            Shared::Mark => json!({"type": "fixed", "name": "Mark", "namespace": space, "size": 3}),
            Shared::Point => {
                // Within its namespace, by the short name.
                let colour = match self.seen.contains(&Shared::Colour) {
                    true => json!("Colour"),
                    false => self.shared(Shared::Colour),
                };
                let x = json!({"name": "x", "type": if self.reader { "long" } else { "int" }});
                let y = json!({"name": "y", "type": ["null", colour]});
                let z = json!({"name": "z", "type": "string", "default": "z"});
                let fields = if self.reader {
                    [y, x, z].to_vec()
                } else {
                    [x, y].to_vec()
                };
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    /// The same as a later version of its program would read it: numbers wider, texts as bytes and bytes as texts, null allowed or
    /// no more, branches in another order, symbols gone, some fields gone, new, or called `g…` with an alias.
    pub(super) fn wanted(
        &mut self,
        writer: &Kind,
        path: &str,
        choices: &mut impl Iterator<Item = u8>,
    ) -> Json {
        let choice = choices.next().unwrap_or(0);
        let one_of = |kinds: &[&str]| json!(kinds[usize::from(choice) % kinds.len()]);
        let wanted = match writer {
            Kind::Plain("int") => one_of(&["int", "long", "float", "double"]),
            Kind::Plain("long") => one_of(&["long", "float", "double"]),
            Kind::Plain("float") => one_of(&["float", "double"]),
            Kind::Plain("string") => one_of(&["string", "string", "bytes"]),
            Kind::Plain("bytes") => one_of(&["bytes", "bytes", "bytes", "string"]),
            Kind::Array(items) => {
                json!({"type": "array", "items": self.wanted(items, &format!("{path}_a"), choices)})
            }
            Kind::Map(values) => {
                json!({"type": "map", "values": self.wanted(values, &format!("{path}_m"), choices)})
            }
            Kind::Nullable(kind) => {
                // The one within must not become a union itself.
                let within = match self.wanted(kind, &format!("{path}_n"), choices) {
                    Json::Array(branches) => branches
                        .into_iter()
                        .find(|one| one != "null")
                        .unwrap_or_default(),
                    within => within,
                };
                return match choice % 8 {
                    0 => within,
                    1 => json!([within, "null"]),
                    _ => json!(["null", within]),
                };
            }
            Kind::Union(branches) => {
                let branches = branches.iter().enumerate().rev();
                let branches =
                    branches.map(|(at, kind)| self.schema(kind, &format!("{path}_u{at}")));
                return Json::Array(branches.collect());
            }
            Kind::Symbols(symbols) => {
                let mut known: Vec<_> = (0..*symbols).map(|at| format!("S{at}")).collect();
                known.reverse();
                let mut wanted = json!({"type": "enum"});
                match choice % 4 {
                    0 => {}
                    1 => known[0] = "Z".into(),
                    _ => {
                        known[0] = "Z".into();
                        wanted["default"] = json!("Z");
                    }
                }
                wanted["symbols"] = json!(known);
                self.named(&format!("E{path}"), wanted)
            }
            Kind::Record(fields) => self.wanted_record(fields, path, choice, choices),
            kind => self.schema(kind, path),
        };
        let wrapped = choice >= 200 && !path.is_empty() && wanted != "null";
        match wrapped {
            true => json!(["null", wanted]),
            false => wanted,
        }
    }

    fn wanted_record(
        &mut self,
        fields: &[Kind],
        path: &str,
        choice: u8,
        choices: &mut impl Iterator<Item = u8>,
    ) -> Json {
        let mut read = Vec::new();
        for (at, kind) in fields.iter().enumerate() {
            let path = format!("{path}_{at}");
            match choices.next().unwrap_or(0) % 6 {
                0 => {}
                1 if self.aliases => {
                    let inner = self.wanted(kind, &path, choices);
                    read.push(json!({"name": format!("g{at}"), "aliases": [format!("f{at}")], "type": inner}));
                }
                _ => {
                    let inner = self.wanted(kind, &path, choices);
                    read.push(json!({"name": format!("f{at}"), "type": inner}));
                }
            }
        }
        if choice.is_multiple_of(2) {
            read.push(json!({"name": "added", "type": "string", "default": "new"}));
            read.push(json!({"name": "none", "type": ["null", "long"], "default": null}));
        }
        // Names must be defined before they stand alone, so only where none do.
        if choice.is_multiple_of(3) && self.seen.is_empty() {
            read.reverse();
        }
        self.named(
            &format!("R{path}"),
            json!({"type": "record", "fields": read}),
        )
    }
}

/// A value of the schema, made of random numbers.
pub(super) fn value(kind: &Kind, random: &mut impl Iterator<Item = u64>) -> Theirs {
    let mut next = || random.next().unwrap_or(0);
    match kind {
        Kind::Plain(name) => plain_value(name, random),
        Kind::Logical(_, logical) => match *logical {
            "date" => Theirs::Date(next() as i32),
            "time-millis" => Theirs::TimeMillis(next() as i32 % 86_400_000),
            "time-micros" => Theirs::TimeMicros(next() as i64 % 86_400_000_000),
            "timestamp-millis" => Theirs::TimestampMillis(next() as i64),
            "timestamp-micros" => Theirs::TimestampMicros(next() as i64),
            "timestamp-nanos" => Theirs::TimestampNanos(next() as i64),
            "local-timestamp-millis" => Theirs::LocalTimestampMillis(next() as i64),
            "local-timestamp-micros" => Theirs::LocalTimestampMicros(next() as i64),
            _ => Theirs::LocalTimestampNanos(next() as i64),
        },
        Kind::Decimal(size) => {
            let bytes = (next() as i64 >> (next() % 64)).to_be_bytes();
            match size {
                Some(size) => Theirs::Decimal(Decimal::from(extended(bytes, *size))),
                None => Theirs::Decimal(Decimal::from(&bytes[..])),
            }
        }
        Kind::Uuid(_) => Theirs::Uuid(Uuid::from_u64_pair(next(), next())),
        Kind::Duration => {
            let bytes: Vec<u8> = next().to_le_bytes().into_iter().cycle().take(12).collect();
            Theirs::Duration(Duration::from(<[u8; 12]>::try_from(bytes).unwrap()))
        }
        Kind::Symbols(symbols) => {
            let at = next() as usize % symbols;
            Theirs::Enum(at as u32, format!("S{at}"))
        }
        Kind::Fixed(size) => Theirs::Fixed(*size, next().to_le_bytes()[..*size].to_vec()),
        Kind::Array(items) => {
            let count = next() % 4;
            Theirs::Array((0..count).map(|_| value(items, random)).collect())
        }
        Kind::Map(values) => {
            let count = next() % 4;
            let entries = (0..count).map(|at| (format!("k{at}"), value(values, random)));
            Theirs::Map(entries.collect())
        }
        Kind::Nullable(kind) => match next() % 3 {
            0 => Theirs::Union(0, Theirs::Null.into()),
            _ => Theirs::Union(1, value(kind, random).into()),
        },
        Kind::Union(branches) => {
            let at = next() as usize % branches.len();
            Theirs::Union(at as u32, value(&branches[at], random).into())
        }
        Kind::Record(fields) => {
            let fields = fields.iter().enumerate();
            let fields = fields.map(|(at, kind)| (format!("f{at}"), value(kind, random)));
            Theirs::Record(fields.collect())
        }
        Kind::Shared(shared) => shared_value(*shared, random),
    }
}

fn plain_value(name: &str, random: &mut impl Iterator<Item = u64>) -> Theirs {
    let mut next = || random.next().unwrap_or(0);
    match name {
        "null" => Theirs::Null,
        "boolean" => Theirs::Boolean(next() % 2 == 0),
        "int" => Theirs::Int(next() as i32),
        "long" => Theirs::Long(next() as i64 >> (next() % 64)),
        "float" => Theirs::Float(next() as i32 as f32 / 7.0),
        "double" => Theirs::Double(f64::from_bits(next())),
        "bytes" => Theirs::Bytes(next().to_le_bytes()[..next() as usize % 9].to_vec()),
        _ => {
            let chars = "aé€𝄞\"\\\0".chars().cycle();
            let chars = chars.skip(next() as usize % 7).take(next() as usize % 9);
            Theirs::String(chars.collect())
        }
    }
}

fn shared_value(shared: Shared, random: &mut impl Iterator<Item = u64>) -> Theirs {
    let mut next = || random.next().unwrap_or(0);
    match shared {
        Shared::Colour => {
            let at = next() as usize % COLOURS.len();
            Theirs::Enum(at as u32, COLOURS[at].to_owned())
        }
        Shared::Mark => Theirs::Fixed(3, next().to_le_bytes()[..3].to_vec()),
        Shared::Point => {
            let x = Theirs::Int(next() as i32);
            let y = match next() % 2 {
                0 => Theirs::Union(0, Theirs::Null.into()),
                _ => Theirs::Union(1, shared_value(Shared::Colour, random).into()),
            };
            Theirs::Record(vec![("x".to_owned(), x), ("y".to_owned(), y)])
        }
    }
}

/// The number in more bytes.
fn extended(bytes: [u8; 8], size: usize) -> Vec<u8> {
    let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
    let mut extended = vec![sign; size - bytes.len()];
    extended.extend(bytes);
    extended
}

/// A default for a field of a reader's, and what it is worth. Of a union it is of the first branch.
pub(super) fn default(kind: &Kind, random: &mut impl Iterator<Item = u64>) -> (Json, Plain) {
    let latin = |bytes: &[u8]| json!(bytes.iter().copied().map(char::from).collect::<String>());
    let mut next = || random.next().unwrap_or(0);
    match kind {
        Kind::Plain("float" | "double") => {
            let value = f64::from(next() as i16) / 4.0;
            (json!(value), Plain::Double(value.to_bits()))
        }
        Kind::Plain("bytes") => {
            let bytes = next().to_le_bytes();
            (latin(&bytes), Plain::Bytes(bytes.to_vec()))
        }
        Kind::Plain(_) => {
            let value = theirs(value(kind, random));
            (scalar(&value), value)
        }
        Kind::Logical(..) => {
            let value = next() as i16;
            (json!(value), logical(kind, value.into()))
        }
        Kind::Decimal(size) => {
            let value = next() as i64;
            let bytes = match size {
                Some(size) => extended(value.to_be_bytes(), *size),
                None => value.to_be_bytes().to_vec(),
            };
            (latin(&bytes), Plain::Decimal(value.into(), SCALE))
        }
        Kind::Uuid(fixed) => {
            let uuid = Uuid::from_u64_pair(next(), next());
            let text = uuid.to_string();
            let json = if *fixed {
                latin(uuid.as_bytes())
            } else {
                json!(text)
            };
            (json, Plain::Text(text))
        }
        Kind::Duration => {
            let bytes: Vec<u8> = next().to_be_bytes().into_iter().cycle().take(12).collect();
            (latin(&bytes), Plain::Bytes(bytes))
        }
        Kind::Fixed(size) => {
            let bytes = next().to_le_bytes()[..*size].to_vec();
            (latin(&bytes), Plain::Bytes(bytes))
        }
        Kind::Symbols(_) | Kind::Shared(Shared::Colour) => {
            let value = theirs(value(kind, random));
            (scalar(&value), value)
        }
        Kind::Shared(Shared::Mark) => default(&Kind::Fixed(3), random),
        Kind::Shared(Shared::Point) => {
            let x = next() as i32;
            let value = [
                ("x", Plain::Long(x.into())),
                ("y", Plain::Null),
                ("z", Plain::Text("z".into())),
            ];
            let value = value.map(|(name, value)| (name.to_owned(), value));
            (json!({"x": x, "y": null}), Plain::Object(value.into()))
        }
        Kind::Array(items) => {
            let count = next() % 3;
            let (json, values) = (0..count).map(|_| default(items, random)).unzip();
            (Json::Array(json), Plain::List(values))
        }
        Kind::Map(values) => {
            let count = next() % 3;
            let entries = (0..count).map(|at| (format!("k{at}"), default(values, random)));
            let (json, values) = named(entries);
            (json, Plain::Map(values))
        }
        Kind::Nullable(_) => (Json::Null, Plain::Null),
        Kind::Union(branches) => default(&branches[0], random),
        Kind::Record(fields) => {
            let fields = fields.iter().enumerate();
            let fields = fields.map(|(at, kind)| (format!("f{at}"), default(kind, random)));
            let (json, values) = named(fields);
            (json, Plain::Object(values))
        }
    }
}

fn named(
    entries: impl Iterator<Item = (String, (Json, Plain))>,
) -> (Json, BTreeMap<String, Plain>) {
    let (mut json, mut values) = (serde_json::Map::new(), BTreeMap::new());
    for (name, (text, value)) in entries {
        json.insert(name.clone(), text);
        values.insert(name, value);
    }
    (Json::Object(json), values)
}

fn scalar(value: &Plain) -> Json {
    match value {
        Plain::Null => Json::Null,
        Plain::Bool(value) => json!(value),
        Plain::Long(value) => json!(value),
        Plain::Text(text) => json!(text),
        other => panic!("{other:?}"),
    }
}

fn logical(kind: &Kind, value: i64) -> Plain {
    let Kind::Logical(_, logical) = kind else {
        panic!("{kind:?}");
    };
    match *logical {
        "date" => Plain::Date(value as i32),
        "time-millis" => Plain::Time(value * 1000),
        "time-micros" => Plain::Time(value),
        "timestamp-millis" | "local-timestamp-millis" => Plain::Millis(value),
        "timestamp-micros" | "local-timestamp-micros" => Plain::Micros(value),
        _ => Plain::Micros(value.div_euclid(1000)),
    }
}
