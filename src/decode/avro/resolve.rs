//! What a reader's schema makes of a writer's: the rules of the specification's section "Schema Resolution".
//!
//! Where the specification leaves room, this is what is done:
//! * Of a reader's union the branch is taken that is of the writer's own type (a named one of the same full name first), else the
//!   first that can read it.
//! * A logical type of the reader's is put on plain numbers and bytes of the writer's. If both have one, the writer's unit counts
//!   for times and timestamps, and any other difference is an error.

use serde_json::Value as Json;

use super::program::{At, Compiler, Constant, Missing, Node, Step};
use super::schema::{Content, Field, Named, Sense, Symbols, Type};
use crate::record::Container;

pub(super) fn resolve(to: &mut Compiler, writer: &Type, reader: &Type) -> At {
    let node = match (writer, reader) {
        (Type::Union(branches), _) => {
            let branches = branches
                .iter()
                .map(|branch| resolve(to, branch, reader))
                .collect();
            to.union(branches)
        }
        (_, Type::Union(branches)) => {
            return match branch_for(writer, branches) {
                Some(branch) => resolve(to, writer, branch),
                None => to.fail(format!(
                    "{} is none of what the reader's union has",
                    what(writer)
                )),
            };
        }
        (Type::Null, Type::Null) => Node::Null,
        (Type::Boolean, Type::Boolean) => Node::Boolean,
        (Type::Int(sense), Type::Int(wanted) | Type::Long(wanted)) => {
            match sense_of(*sense, *wanted) {
                Some(sense) => Node::Whole { int: true, sense },
                None => return mismatch(to, writer, reader),
            }
        }
        (Type::Long(sense), Type::Long(wanted)) => match sense_of(*sense, *wanted) {
            Some(sense) => Node::Whole { int: false, sense },
            None => return mismatch(to, writer, reader),
        },
        (Type::Int(_) | Type::Long(_), Type::Float | Type::Double) => Node::WholeAsDouble {
            int: matches!(writer, Type::Int(_)),
            single: matches!(reader, Type::Float),
        },
        (Type::Float, Type::Float | Type::Double) => Node::Float,
        (Type::Double, Type::Double) => Node::Double,
        (Type::String, Type::String) => Node::Text,
        // Bytes that are to be text must be UTF-8; text as bytes is what it is.
        (Type::Bytes(Content::Bytes), Type::String) => Node::Text,
        (Type::String, Type::Bytes(content)) => Node::Bytes(*content),
        (Type::Bytes(content), Type::Bytes(wanted)) => match content_of(*content, *wanted) {
            Some(content) => Node::Bytes(content),
            None => return mismatch(to, writer, reader),
        },
        (Type::Fixed(name, size, content), Type::Fixed(wanted, wanted_size, wanted_content)) => {
            match (
                wanted.reads(name) && size == wanted_size,
                u32::try_from(*size),
                content_of(*content, *wanted_content),
            ) {
                (true, Ok(size), Some(content)) => Node::Fixed(size, content),
                _ => return mismatch(to, writer, reader),
            }
        }
        (Type::Enum(name, symbols), Type::Enum(wanted, known)) if wanted.reads(name) => {
            enumeration(to, symbols, known)
        }
        (Type::Array(items), Type::Array(wanted)) => Node::Array(resolve(to, items, wanted)),
        (Type::Map(values), Type::Map(wanted)) => Node::Map(resolve(to, values, wanted)),
        (Type::Record(name, written), Type::Record(wanted, read)) if wanted.reads(name) => {
            match record(to, name, written, read) {
                Ok(node) => node,
                Err(why) => return to.fail(why),
            }
        }
        _ => return mismatch(to, writer, reader),
    };
    to.node(node)
}

#[cold]
fn mismatch(to: &mut Compiler, writer: &Type, reader: &Type) -> At {
    to.fail(format!(
        "{} cannot be read as {}",
        what(writer),
        what(reader)
    ))
}

/// A type in a word or two.
fn what(kind: &Type) -> String {
    let logical = |plain: &str, sense: &Sense| match sense {
        Sense::Number => plain.to_owned(),
        Sense::Date => "a date".into(),
        Sense::TimeMillis | Sense::TimeMicros => "a time".into(),
        Sense::Millis | Sense::Micros | Sense::Nanos => "a timestamp".into(),
    };
    match kind {
        Type::Null => "null".into(),
        Type::Boolean => "boolean".into(),
        Type::Int(sense) => logical("int", sense),
        Type::Long(sense) => logical("long", sense),
        Type::Float => "float".into(),
        Type::Double => "double".into(),
        Type::Bytes(Content::Decimal { precision, scale }) => {
            format!("decimal({precision},{scale})")
        }
        Type::Bytes(_) => "bytes".into(),
        Type::String => "string".into(),
        Type::Fixed(name, size, _) => format!("fixed {} of {size} bytes", name.name),
        Type::Enum(name, _) => format!("enum {}", name.name),
        Type::Array(_) => "array".into(),
        Type::Map(_) => "map".into(),
        Type::Union(_) => "union".into(),
        Type::Record(name, _) => format!("record {}", name.name),
    }
}

fn sense_of(writer: Sense, reader: Sense) -> Option<Sense> {
    let family = |sense| match sense {
        Sense::Number => 0,
        Sense::Date => 1,
        Sense::TimeMillis | Sense::TimeMicros => 2,
        Sense::Millis | Sense::Micros | Sense::Nanos => 3,
    };
    match (writer, reader) {
        (_, Sense::Number) => Some(Sense::Number),
        (Sense::Number, reader) => Some(reader),
        _ => (family(writer) == family(reader)).then_some(writer),
    }
}

fn content_of(writer: Content, reader: Content) -> Option<Content> {
    match (writer, reader) {
        (_, Content::Bytes) => Some(Content::Bytes),
        (Content::Bytes, reader) => Some(reader),
        _ => (writer == reader).then_some(reader),
    }
}

/// The branch of a reader's union that reads what is written as `writer`.
fn branch_for<'a>(writer: &Type, branches: &'a [Type]) -> Option<&'a Type> {
    let exact = |branch: &&Type| match (writer, *branch) {
        (Type::Record(name, _), Type::Record(other, _))
        | (Type::Enum(name, _), Type::Enum(other, _))
        | (Type::Fixed(name, ..), Type::Fixed(other, ..)) => name == other,
        (writer, branch) => std::mem::discriminant(writer) == std::mem::discriminant(branch),
    };
    let own = branches
        .iter()
        .filter(exact)
        .find(|branch| suits(writer, branch));
    own.or_else(|| branches.iter().find(|branch| suits(writer, branch)))
}

/// Whether something of `writer` can be read as `reader`, judged without looking into records, maps and arrays of them.
fn suits(writer: &Type, reader: &Type) -> bool {
    match (writer, reader) {
        (Type::Union(branches), _) => branches.iter().any(|branch| suits(branch, reader)),
        (_, Type::Union(branches)) => branches.iter().any(|branch| suits(writer, branch)),
        (Type::Int(sense), Type::Int(wanted) | Type::Long(wanted))
        | (Type::Long(sense), Type::Long(wanted)) => sense_of(*sense, *wanted).is_some(),
        (Type::Int(_) | Type::Long(_), Type::Float | Type::Double)
        | (Type::Float, Type::Double)
        | (Type::Bytes(Content::Bytes), Type::String)
        | (Type::String, Type::Bytes(_)) => true,
        (Type::Bytes(content), Type::Bytes(wanted)) => content_of(*content, *wanted).is_some(),
        (Type::Fixed(name, size, content), Type::Fixed(wanted, wanted_size, wanted_content)) => {
            wanted.reads(name)
                && size == wanted_size
                && content_of(*content, *wanted_content).is_some()
        }
        (Type::Enum(name, _), Type::Enum(wanted, _))
        | (Type::Record(name, _), Type::Record(wanted, _)) => wanted.reads(name),
        (Type::Array(items), Type::Array(wanted)) => suits(items, wanted),
        (Type::Map(values), Type::Map(wanted)) => suits(values, wanted),
        (writer, reader) => std::mem::discriminant(writer) == std::mem::discriminant(reader),
    }
}

fn enumeration(to: &mut Compiler, written: &Symbols, known: &Symbols) -> Node {
    let default = known.default.as_ref();
    let default = default.filter(|default| known.all.contains(default));
    to.symbols_of(&written.all, |symbol| {
        match known.all.iter().any(|one| one == symbol) {
            true => Some(symbol),
            false => default.map(String::as_str),
        }
    })
}

fn record(
    to: &mut Compiler,
    name: &Named,
    written: &[Field],
    read: &[Field],
) -> Result<Node, String> {
    // Which field of the reader's takes a field of the writer's: by name, else by an alias that is still free.
    let mut taken: Vec<Option<usize>> = written
        .iter()
        .map(|field| read.iter().position(|reader| reader.name == field.name))
        .collect();
    for (at, field) in written.iter().enumerate() {
        if taken[at].is_none() {
            let by_alias = read
                .iter()
                .position(|reader| reader.aliases.contains(&field.name));
            taken[at] = by_alias.filter(|reader| !taken.contains(&Some(*reader)));
        }
    }
    let mut steps: Vec<Step> = Vec::with_capacity(written.len());
    for (field, reader) in written.iter().zip(&taken) {
        let step = match reader {
            Some(reader) => {
                let reader = &read[*reader];
                let node = resolve(to, &field.kind, &reader.kind);
                to.step(&reader.name, node)
            }
            None => to.pass(field),
        };
        steps.push(step);
    }
    let mut missing = Vec::new();
    for (at, field) in read.iter().enumerate() {
        if taken.contains(&Some(at)) {
            continue;
        }
        let Some(default) = &field.default else {
            return Err(format!(
                "record {} has no field {}, for which the reader's schema has no default",
                name.name, field.name
            ));
        };
        let value = constant(to, &field.kind, default)
            .ok_or_else(|| format!("the default of field {} is not of its type", field.name))?;
        missing.push(Missing {
            name: to.piece(&field.name),
            number: 0,
            value,
        });
    }
    Ok(to.record(name.short(), steps, missing))
}

/// A default as a value. Of a union it may be any branch, as since version 1.12 of the specification.
fn constant(to: &mut Compiler, kind: &Type, default: &Json) -> Option<Constant> {
    Some(match (kind, default) {
        (Type::Union(branches), _) => branches
            .iter()
            .find_map(|branch| constant(to, branch, default))?,
        (Type::Null, Json::Null) => Constant::Null,
        (Type::Boolean, Json::Bool(value)) => Constant::Bool(*value),
        (Type::Int(sense), Json::Number(number)) => {
            Constant::Whole(*sense, i32::try_from(number.as_i64()?).ok()?.into())
        }
        (Type::Long(sense), Json::Number(number)) => Constant::Whole(*sense, number.as_i64()?),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float is what the schema wants"
        )]
        (Type::Float, Json::Number(number)) => Constant::Double((number.as_f64()? as f32).into()),
        (Type::Double, Json::Number(number)) => Constant::Double(number.as_f64()?),
        (Type::String, Json::String(text)) => Constant::Text(to.piece(text)),
        (Type::Enum(_, symbols), Json::String(text)) if symbols.all.contains(text) => {
            Constant::Text(to.piece(text))
        }
        (Type::Bytes(content), Json::String(text)) => Constant::Bytes(latin(text)?, *content),
        (Type::Fixed(_, size, content), Json::String(text)) => {
            let bytes = latin(text).filter(|bytes| bytes.len() == *size)?;
            Constant::Bytes(bytes, *content)
        }
        (Type::Array(items), Json::Array(values)) => {
            let values = values.iter().map(|value| constant(to, items, value));
            Constant::List(values.collect::<Option<_>>()?)
        }
        (Type::Map(values), Json::Object(entries)) => {
            let entries = entries
                .iter()
                .map(|(key, value)| Some((to.piece(key), constant(to, values, value)?)));
            Constant::Object(entries.collect::<Option<_>>()?, Container::Map)
        }
        (Type::Record(_, fields), Json::Object(entries)) => {
            let fields = fields.iter().map(|field| {
                let value = entries.get(&field.name).or(field.default.as_ref())?;
                Some((to.piece(&field.name), constant(to, &field.kind, value)?))
            });
            Constant::Object(fields.collect::<Option<_>>()?, Container::Object)
        }
        _ => return None,
    })
}

/// Bytes as JSON has them: each a character up to U+00FF.
fn latin(text: &str) -> Option<Vec<u8>> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect()
}
