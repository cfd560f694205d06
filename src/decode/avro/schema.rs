//! Avro schemas as types: parsed by `apache-avro`, with every name replaced by what it stands for.
//!
//! A type is a tree. So a schema that contains itself cannot be one, and is refused with the path that leads back; one that is a
//! reasonable text but an unreasonable tree is refused too.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use apache_avro::Schema as Parsed;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};
use serde_json::Value as Json;

use super::canonical::{canonical_form, fingerprint};

/// Types within types go no deeper than this.
const MAX_DEPTH: usize = 64;
/// A type has no more parts than this, a named one counted each time it is used.
const MAX_PARTS: usize = 65_536;
/// Where defaults of fields are put aside while `apache-avro` parses the rest.
const DEFAULT: &str = "alluvium.default";
/// A text of more bytes is no schema that anybody wrote.
const MAX_TEXT: usize = 4 << 20;

/// Why a text is no schema that can be used here. The text is not shown: it may be long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(String);

/// A schema, ready to be compiled.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    pub(super) root: Type,
    fingerprint: u64,
    /// Of the text as it was written.
    print: u64,
}

/// A type of Avro. What a logical type says is part of it; one that is not known or not valid is ignored, as the
/// specification wants it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Null,
    Boolean,
    Int(Sense),
    Long(Sense),
    Float,
    Double,
    Bytes(Content),
    String,
    Fixed(Named, usize, Content),
    Enum(Named, Symbols),
    Array(Box<Type>),
    Map(Box<Type>),
    Union(Vec<Type>),
    Record(Named, Vec<Field>),
}

/// What a whole number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    Number,
    Date,
    TimeMillis,
    TimeMicros,
    Millis,
    Micros,
    Nanos,
}

/// What bytes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Bytes,
    Decimal { precision: usize, scale: u8 },
    Uuid,
}

/// A full name, and the others a type goes by. Equal if the names are.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Named {
    /// The name without its namespace.
    pub(super) fn short(&self) -> &str {
        short(&self.name)
    }

    /// Whether a reader that calls its type so means `writer`: by the name without its namespace, or by an alias.
    pub(super) fn reads(&self, writer: &Self) -> bool {
        let alias = |alias: &String| *alias == writer.name || *alias == writer.short();
        self.short() == writer.short() || self.aliases.iter().any(alias)
    }
}

fn short(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, short)| short)
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Symbols {
    pub(super) all: Vec<String>,
    /// What a reader takes a symbol for that it does not know.
    pub(super) default: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) aliases: Vec<String>,
    pub(super) kind: Type,
    pub(super) default: Option<Json>,
}

impl Schema {
    /// Reads a schema; `references` are the texts of those it names and does not define, in any order.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, references: &[String]) -> Result<Self, BadSchema> {
        let all = text.len() + references.iter().map(String::len).sum::<usize>();
        if all > MAX_TEXT {
            return bad(format_args!("it has {all} bytes"));
        }
        let plain = plain_text(text)?;
        let others = references.iter().map(|text| plain_text(text));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let parsed = match references {
            [] => Parsed::parse_str(&plain).map(|root| (root, Vec::new())),
            _ => Parsed::parse_str_with_list(&plain, &others),
        };
        let (root, others) =
            parsed.or_else(|error| bad(format_args!("it is no schema: {error}")))?;
        let (mut definitions, mut twice) = (HashMap::new(), Vec::new());
        for schema in others.iter().chain([&root]) {
            define(schema, &mut definitions, &mut twice);
        }
        differ_nowhere(&definitions, &twice)?;
        let mut maker = Maker {
            definitions,
            open: Vec::new(),
            path: Vec::new(),
            parts: 0,
        };
        let made = maker.make(&root)?;
        let text = match is_name(text) {
            true => &quoted(text),
            false => text,
        };
        Ok(Self {
            root: made,
            fingerprint: fingerprint(&canonical_form(&root, &maker.definitions)),
            print: fingerprint(text),
        })
    }

    /// A record without a text of its own.
    pub(super) fn of_record(name: &str, fields: Vec<Field>) -> Self {
        let named = Named {
            name: name.into(),
            aliases: Vec::new(),
        };
        Self {
            root: Type::Record(named, fields),
            fingerprint: 0,
            print: 0,
        }
    }

    /// Stands for the text, with all that is not part of its canonical form: defaults, aliases, logical types.
    pub fn print(&self) -> u64 {
        self.print
    }

    /// CRC-64-AVRO of the parsing canonical form.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

fn is_name(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
}

/// A schema that is only a name may be written without quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.trim())
}

/// The text as `apache-avro` is to parse it: without defaults, of which it refuses some that are right.
fn plain_text(text: &str) -> Result<String, BadSchema> {
    if is_name(text) {
        return Ok(quoted(text));
    }
    // Also because nesting that this refuses would overflow a stack further on.
    let parsed = serde_json::from_str::<Json>(text);
    let mut schema = parsed.or_else(|error| bad(format_args!("it is no JSON: {error}")))?;
    put_defaults_aside(&mut schema);
    Ok(schema.to_string())
}

fn put_defaults_aside(schema: &mut Json) {
    match schema {
        Json::Object(parts) => {
            if let Some(Json::Array(fields)) = parts.get_mut("fields") {
                for field in fields.iter_mut().filter_map(Json::as_object_mut) {
                    field.remove(DEFAULT);
                    if let Some(default) = field.remove("default") {
                        field.insert(DEFAULT.into(), default);
                    }
                }
            }
            for key in ["type", "items", "values", "fields"] {
                if let Some(part) = parts.get_mut(key) {
                    put_defaults_aside(part);
                }
            }
        }
        Json::Array(parts) => parts.iter_mut().for_each(put_defaults_aside),
        _ => {}
    }
}

fn bad<T>(what: impl fmt::Display) -> Result<T, BadSchema> {
    Err(BadSchema(what.to_string()))
}

fn name_of(schema: &Parsed) -> Option<&Name> {
    match schema {
        Parsed::Record(record) => Some(&record.name),
        Parsed::Enum(symbols) => Some(&symbols.name),
        Parsed::Fixed(fixed) | Parsed::Duration(fixed) => Some(&fixed.name),
        Parsed::Uuid(UuidSchema::Fixed(fixed)) => Some(&fixed.name),
        Parsed::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Fixed(fixed) => Some(&fixed.name),
            InnerDecimalSchema::Bytes => None,
        },
        _ => None,
    }
}

/// Notes what each name stands for, and the definitions of names that had one.
fn define<'a>(
    schema: &'a Parsed,
    definitions: &mut HashMap<String, &'a Parsed>,
    twice: &mut Vec<(String, &'a Parsed)>,
) {
    if let Some(name) = name_of(schema) {
        match definitions.entry(name.fullname(None)) {
            Entry::Occupied(first) => twice.push((first.key().clone(), schema)),
            Entry::Vacant(free) => {
                free.insert(schema);
            }
        }
    }
    match schema {
        Parsed::Array(array) => define(&array.items, definitions, twice),
        Parsed::Map(map) => define(&map.types, definitions, twice),
        Parsed::Union(union) => {
            for one in union.variants() {
                define(one, definitions, twice);
            }
        }
        Parsed::Record(record) => {
            for field in &record.fields {
                define(&field.schema, definitions, twice);
            }
        }
        _ => {}
    }
}

/// A name may be defined again, which schemas put together from several do, but not as something else.
fn differ_nowhere(
    definitions: &HashMap<String, &Parsed>,
    twice: &[(String, &Parsed)],
) -> Result<(), BadSchema> {
    let form = |schema: &Parsed| canonical_form(schema, &HashMap::new());
    let different = |(name, again): &&(String, &Parsed)| {
        definitions
            .get(name)
            .is_some_and(|first| form(first) != form(again))
    };
    match twice.iter().find(different) {
        Some((name, _)) => bad(format_args!("it defines {name} twice, and not alike")),
        None => Ok(()),
    }
}

struct Maker<'a> {
    definitions: HashMap<String, &'a Parsed>,
    /// The records around.
    open: Vec<String>,
    /// The fields that lead here.
    path: Vec<String>,
    parts: usize,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Parsed) -> Result<Type, BadSchema> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return bad(format_args!(
                "it has more than {MAX_PARTS} parts, a named one counted each time it is used"
            ));
        }
        if self.path.len() > MAX_DEPTH {
            return bad(format_args!(
                "at {} its types are nested more than {MAX_DEPTH} deep",
                self.place()
            ));
        }
        Ok(match schema {
            Parsed::Null => Type::Null,
            Parsed::Boolean => Type::Boolean,
            Parsed::Int => Type::Int(Sense::Number),
            Parsed::Date => Type::Int(Sense::Date),
            Parsed::TimeMillis => Type::Int(Sense::TimeMillis),
            Parsed::Long => Type::Long(Sense::Number),
            Parsed::TimeMicros => Type::Long(Sense::TimeMicros),
            Parsed::TimestampMillis | Parsed::LocalTimestampMillis => Type::Long(Sense::Millis),
            Parsed::TimestampMicros | Parsed::LocalTimestampMicros => Type::Long(Sense::Micros),
            Parsed::TimestampNanos | Parsed::LocalTimestampNanos => Type::Long(Sense::Nanos),
            Parsed::Float => Type::Float,
            Parsed::Double => Type::Double,
            Parsed::Bytes | Parsed::BigDecimal => Type::Bytes(Content::Bytes),
            Parsed::String | Parsed::Uuid(UuidSchema::String) => Type::String,
            Parsed::Uuid(UuidSchema::Bytes) => Type::Bytes(Content::Uuid),
            Parsed::Uuid(UuidSchema::Fixed(fixed)) => self.fixed(fixed, Content::Uuid),
            Parsed::Fixed(fixed) | Parsed::Duration(fixed) => self.fixed(fixed, Content::Bytes),
            Parsed::Decimal(decimal) => {
                let content = match u8::try_from(decimal.scale) {
                    Ok(scale) => Content::Decimal {
                        precision: decimal.precision,
                        scale,
                    },
                    Err(_) => Content::Bytes,
                };
                match &decimal.inner {
                    InnerDecimalSchema::Bytes => Type::Bytes(content),
                    InnerDecimalSchema::Fixed(fixed) => self.fixed(fixed, content),
                }
            }
            Parsed::Enum(symbols) => Type::Enum(
                named(&symbols.name, symbols.aliases.as_ref()),
                Symbols {
                    all: symbols.symbols.clone(),
                    default: symbols.default.clone(),
                },
            ),
            Parsed::Array(array) => Type::Array(self.within("[]", &array.items)?.into()),
            Parsed::Map(map) => Type::Map(self.within("{}", &map.types)?.into()),
            Parsed::Union(union) => {
                let branches = union.variants().iter();
                Type::Union(
                    branches
                        .map(|one| self.within("|", one))
                        .collect::<Result<_, _>>()?,
                )
            }
            Parsed::Record(record) => self.record(record)?,
            Parsed::Ref { name } => self.named(&name.fullname(None))?,
        })
    }

    fn within(&mut self, part: &str, schema: &Parsed) -> Result<Type, BadSchema> {
        self.path.push(part.into());
        let made = self.make(schema)?;
        self.path.pop();
        Ok(made)
    }

    fn fixed(&self, fixed: &apache_avro::schema::FixedSchema, content: Content) -> Type {
        let content = match content {
            Content::Uuid if fixed.size != 16 => Content::Bytes,
            content => content,
        };
        Type::Fixed(
            named(&fixed.name, fixed.aliases.as_ref()),
            fixed.size,
            content,
        )
    }

    fn record(&mut self, record: &apache_avro::schema::RecordSchema) -> Result<Type, BadSchema> {
        self.open.push(record.name.fullname(None));
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            fields.push(Field {
                name: field.name.clone(),
                aliases: field.aliases.clone(),
                kind: self.within(&field.name, &field.schema)?,
                default: field.custom_attributes.get(DEFAULT).cloned(),
            });
        }
        self.open.pop();
        Ok(Type::Record(
            named(&record.name, record.aliases.as_ref()),
            fields,
        ))
    }

    fn named(&mut self, name: &str) -> Result<Type, BadSchema> {
        if self.open.iter().any(|open| open == name) {
            return bad(format_args!(
                "at {} it contains its own record {name}: recursive types have no columns",
                self.place()
            ));
        }
        match self.definitions.get(name).copied() {
            Some(definition) => self.make(definition),
            None => bad(format_args!(
                "at {} it names {name}, which is defined nowhere",
                self.place()
            )),
        }
    }

    fn place(&self) -> String {
        let parts = self.path.iter().filter(|part| *part != "|");
        let path = parts.map(String::as_str).collect::<Vec<_>>().join(".");
        let root = self.open.first().map_or("", String::as_str);
        format!("{}.{path}", short(root))
            .replace(".[]", "[]")
            .replace(".{}", "{}")
    }
}

fn named(name: &Name, aliases: Option<&Vec<apache_avro::schema::Alias>>) -> Named {
    let aliases = aliases.into_iter().flatten();
    Named {
        name: name.fullname(None),
        aliases: aliases
            .map(|alias| alias.fullname(name.namespace()))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, references: &[&str]) -> String {
        let references: Vec<_> = references.iter().map(|&text| text.to_owned()).collect();
        Schema::parse(text, &references).unwrap_err().to_string()
    }

    #[test]
    fn fingerprints_are_those_of_the_specification() {
        // From the Apache Avro project's shared vectors (schema-tests.txt).
        for (text, print) in [
            ("\"null\"", 7_195_948_357_588_979_594_i64),
            ("null", 7_195_948_357_588_979_594),
            ("{\"type\":\"boolean\"}", -6_970_731_678_124_411_036),
            ("\"int\"", 8_247_732_601_305_521_295),
            ("\"long\"", -3_434_872_931_120_570_953),
            ("\"string\"", -8_142_146_995_180_207_161),
            ("[ \"int\" ]", -5_232_228_896_498_058_493),
        ] {
            let schema = Schema::parse(text, &[]).unwrap();
            assert_eq!(schema.fingerprint().cast_signed(), print, "{text}");
        }
    }

    #[test]
    fn a_type_within_itself_is_refused_with_the_path() {
        let text = r#"{"type":"record","name":"a.Node","fields":[
            {"name":"label","type":"string"},
            {"name":"next","type":["null",{"type":"array","items":"Node"}]}]}"#;
        assert_eq!(
            refused(text, &[]),
            "at Node.next[] it contains its own record a.Node: recursive types have no columns"
        );
    }

    #[test]
    fn names_stand_for_what_they_were_defined_as_here_or_elsewhere() {
        let text = r#"{"type":"record","name":"R","fields":[
            {"name":"a","type":"x.Money"},{"name":"b","type":"x.Money"},{"name":"c","type":"Kind"}]}"#;
        let money = r#"{"type":"fixed","name":"Money","namespace":"x","size":8,
            "logicalType":"decimal","precision":18,"scale":2}"#;
        let kind = r#"{"type":"enum","name":"Kind","symbols":["A","B"]}"#;
        let schema = Schema::parse(text, &[kind.into(), money.into()]).unwrap();
        let Type::Record(_, fields) = &schema.root else {
            panic!("{schema:?}");
        };
        let content = Content::Decimal {
            precision: 18,
            scale: 2,
        };
        for field in &fields[..2] {
            assert!(
                matches!(&field.kind, Type::Fixed(name, 8, of) if name.name == "x.Money" && *of == content)
            );
        }
        assert!(matches!(&fields[2].kind, Type::Enum(_, symbols) if symbols.all == ["A", "B"]));
        assert!(refused(text, &[money]).starts_with("it is no schema"));
    }

    #[test]
    fn a_name_is_defined_once_or_alike() {
        let schema = |first: &str, again: &str| {
            format!(
                r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{first}}},{{"name":"b","type":{again}}}]}}"#
            )
        };
        let fixed = |size: u8| format!(r#"{{"type":"fixed","name":"F","size":{size}}}"#);
        assert_eq!(
            refused(&schema(&fixed(1), &fixed(2)), &[]),
            "it defines F twice, and not alike"
        );
        Schema::parse(&schema(&fixed(1), &fixed(1)), &[]).unwrap();
    }

    #[test]
    fn what_is_no_schema_or_an_unreasonable_one_is_refused() {
        for text in [
            "",
            "{",
            "{}",
            "\"nothing\"",
            "[\"int\",\"int\"]",
            "{\"type\":\"record\"}",
            "7",
            "\"True\"",
            r#"{"items":"int"}"#,
            r#"{"type":"array"}"#,
            r#"{"type":"map"}"#,
            r#"{"type":"enum","name":"E"}"#,
            r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
            r#"{"type":"enum","name":"E","symbols":["A B"]}"#,
            r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
            r#"["null",["int"]]"#,
            r#"["int",{"type":"int","logicalType":"date"}]"#,
            r#"[{"type":"array","items":"int"},{"type":"array","items":"long"}]"#,
            r#"{"type":"fixed","name":"F","size":-1}"#,
            r#"{"type":"fixed","name":"F","size":1.5}"#,
            r#"{"type":"fixed","name":"F-G","size":1}"#,
            r#"{"type":"fixed","name":"F","namespace":"a b","size":1}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"F"}]}"#,
        ] {
            refused(text, &[]);
        }
        let arrays = |depth: usize| {
            let open = "{\"type\":\"array\",\"items\":".repeat(depth);
            format!("{open}\"int\"{}", "}".repeat(depth))
        };
        assert!(Schema::parse(&arrays(MAX_DEPTH), &[]).is_ok());
        refused(&arrays(MAX_DEPTH + 1), &[]);
        refused(&arrays(10_000), &[]);
        let doubled = (1..20).map(|n| {
            let inner = n - 1;
            format!(
                r#"{{"type":"record","name":"R{n}","fields":[{{"name":"a","type":"R{inner}"}},{{"name":"b","type":"R{inner}"}}]}}"#
            )
        });
        let leaf = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
        let all: Vec<_> = [leaf].into_iter().chain(doubled).collect();
        let why = Schema::parse(
            r#"{"type":"record","name":"Top","fields":[{"name":"a","type":"R19"}]}"#,
            &all,
        );
        assert!(why.unwrap_err().to_string().contains("parts"));
    }
}
