//! The parsing canonical form of a schema, and its fingerprint: what the single-object encoding knows a schema by.
//!
//! Written here because `apache-avro` leaves in it what the specification strips: the order of fields, the precision and scale of decimals,
//! and the braces of a type that had a logical type.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use apache_avro::Schema as Parsed;
use apache_avro::schema::{InnerDecimalSchema, Name, UuidSchema};

/// CRC-64-AVRO, as the specification defines it.
pub(super) fn fingerprint(text: &str) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    text.bytes().fold(EMPTY, |print, byte| {
        let mut word = (print ^ u64::from(byte)) & 0xff;
        for _ in 0..8 {
            word = (word >> 1) ^ (EMPTY & (word & 1).wrapping_neg());
        }
        (print >> 8) ^ word
    })
}

/// The canonical form. A named type is written out where it comes first, also if it was defined in another text.
pub(super) fn canonical_form(root: &Parsed, definitions: &HashMap<String, &Parsed>) -> String {
    let mut form = Form {
        definitions,
        written: HashSet::new(),
        text: String::new(),
    };
    form.write(root);
    form.text
}

struct Form<'a> {
    definitions: &'a HashMap<String, &'a Parsed>,
    written: HashSet<String>,
    text: String,
}

impl Form<'_> {
    fn write(&mut self, schema: &Parsed) {
        let plain = match schema {
            Parsed::Null => "null",
            Parsed::Boolean => "boolean",
            Parsed::Int | Parsed::Date | Parsed::TimeMillis => "int",
            Parsed::Long
            | Parsed::TimeMicros
            | Parsed::TimestampMillis
            | Parsed::TimestampMicros
            | Parsed::TimestampNanos
            | Parsed::LocalTimestampMillis
            | Parsed::LocalTimestampMicros
            | Parsed::LocalTimestampNanos => "long",
            Parsed::Float => "float",
            Parsed::Double => "double",
            Parsed::Bytes | Parsed::BigDecimal | Parsed::Uuid(UuidSchema::Bytes) => "bytes",
            Parsed::String | Parsed::Uuid(UuidSchema::String) => "string",
            Parsed::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => "bytes",
                InnerDecimalSchema::Fixed(fixed) => return self.fixed(&fixed.name, fixed.size),
            },
            Parsed::Fixed(fixed)
            | Parsed::Duration(fixed)
            | Parsed::Uuid(UuidSchema::Fixed(fixed)) => {
                return self.fixed(&fixed.name, fixed.size);
            }
            Parsed::Enum(symbols) => return self.symbols(&symbols.name, &symbols.symbols),
            Parsed::Array(array) => return self.within("array", "items", &array.items),
            Parsed::Map(map) => return self.within("map", "values", &map.types),
            Parsed::Union(union) => {
                return self.list('[', ']', union.variants(), |form, one| form.write(one));
            }
            Parsed::Record(record) => return self.record(record),
            Parsed::Ref { name } => return self.named(&name.fullname(None)),
        };
        self.quoted(plain);
    }

    /// Names and symbols have nothing in them that JSON would escape.
    fn quoted(&mut self, text: &str) {
        self.text.extend(["\"", text, "\""]);
    }

    /// The start of a named type, if this is its first time; else its name.
    fn open(&mut self, name: &Name, kind: &str) -> bool {
        let name = name.fullname(None);
        if self.written.contains(&name) {
            self.quoted(&name);
            return false;
        }
        let _ = write!(self.text, r#"{{"name":"{name}","type":"{kind}""#);
        self.written.insert(name);
        true
    }

    fn fixed(&mut self, name: &Name, size: usize) {
        if self.open(name, "fixed") {
            let _ = write!(self.text, r#","size":{size}}}"#);
        }
    }

    fn symbols(&mut self, name: &Name, symbols: &[String]) {
        if self.open(name, "enum") {
            self.text.push_str(r#","symbols":"#);
            self.list('[', ']', symbols, |form, symbol| form.quoted(symbol));
            self.text.push('}');
        }
    }

    fn record(&mut self, record: &apache_avro::schema::RecordSchema) {
        if self.open(&record.name, "record") {
            self.text.push_str(r#","fields":"#);
            self.list('[', ']', &record.fields, |form, field| {
                let _ = write!(form.text, r#"{{"name":"{}","type":"#, field.name);
                form.write(&field.schema);
                form.text.push('}');
            });
            self.text.push('}');
        }
    }

    fn within(&mut self, kind: &str, key: &str, schema: &Parsed) {
        let _ = write!(self.text, r#"{{"type":"{kind}","{key}":"#);
        self.write(schema);
        self.text.push('}');
    }

    fn named(&mut self, name: &str) {
        match self.definitions.get(name).copied() {
            Some(schema) if !self.written.contains(name) => self.write(schema),
            _ => self.quoted(name),
        }
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        mut write: impl FnMut(&mut Self, &T),
    ) {
        self.text.push(open);
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text.push(',');
            }
            write(self, item);
        }
        self.text.push(close);
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Schema;

    fn print_of(text: &str, references: &[&str]) -> u64 {
        let references: Vec<_> = references.iter().map(|&text| text.to_owned()).collect();
        Schema::parse(text, &references).unwrap().fingerprint()
    }

    /// The canonical forms were written by hand from the specification's rules.
    #[test]
    fn what_is_no_part_of_the_canonical_form_does_not_change_the_fingerprint() {
        for (text, canonical) in [
            (r#"{"type":"int","logicalType":"date"}"#, r#""int""#),
            (
                r#"{"type":"long","logicalType":"local-timestamp-nanos"}"#,
                r#""long""#,
            ),
            (r#"{"type":"string","logicalType":"uuid"}"#, r#""string""#),
            (
                r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#,
                r#""bytes""#,
            ),
            (
                r#"{"type":"bytes","logicalType":"big-decimal"}"#,
                r#""bytes""#,
            ),
            (
                r#"{"type":"fixed","size":9,"name":"a.F","logicalType":"decimal","precision":9,"scale":2}"#,
                r#"{"name":"a.F","type":"fixed","size":9}"#,
            ),
            (
                r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration","aliases":["E"]}"#,
                r#"{"name":"D","type":"fixed","size":12}"#,
            ),
            (
                r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A","doc":"x"}"#,
                r#"{"name":"E","type":"enum","symbols":["A","B"]}"#,
            ),
            (
                r#"{"type":"record","name":"a.R","x":1,"fields":[
                    {"name":"f","order":"ignore","default":7,"type":{"type":"long","logicalType":"timestamp-millis"}},
                    {"name":"g","type":["null",{"type":"enum","name":"E","symbols":["A"]}],"default":null},
                    {"name":"h","type":{"type":"map","values":"E"}},
                    {"name":"i","type":{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":4}}}]}"#,
                r#"{"name":"a.R","type":"record","fields":[{"name":"f","type":"long"},{"name":"g","type":["null",{"name":"a.E","type":"enum","symbols":["A"]}]},{"name":"h","type":{"type":"map","values":"a.E"}},{"name":"i","type":{"type":"array","items":"bytes"}}]}"#,
            ),
        ] {
            assert_eq!(print_of(text, &[]), super::fingerprint(canonical), "{text}");
        }
    }

    /// Found by fuzzing: `apache-avro` panics when it makes the canonical form of these.
    #[test]
    fn attributes_of_others_names_and_any_value_are_passed_over() {
        let plain = r#"{"type":"record","name":"R","fields":[{"name":"l","type":"long"}]}"#;
        for more in [
            r#""size":["null","string"]"#,
            r#""size":1.5"#,
            r#""precision":"x","scale":{}"#,
            r#""symbols":7,"items":null,"fields":true,"values":[1]"#,
            r#""namespace":[],"order":{}"#,
        ] {
            let text = plain.replace(r#""long""#, &format!(r#""long",{more}"#));
            assert_eq!(print_of(&text, &[]), print_of(plain, &[]), "{text}");
            let within = format!(r#"{{"type":"long",{more}}}"#);
            let text = plain.replace(r#""long""#, &within);
            if let Ok(schema) = Schema::parse(&text, &[]) {
                assert_eq!(schema.fingerprint(), print_of(plain, &[]), "{text}");
            }
        }
    }

    #[test]
    fn a_type_of_another_file_is_part_of_the_form() {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"x.F"},{"name":"b","type":"x.F"}]}"#;
        let fixed = r#"{"type":"fixed","name":"F","namespace":"x","size":2,"doc":"y"}"#;
        let canonical = r#"{"name":"R","type":"record","fields":[{"name":"a","type":{"name":"x.F","type":"fixed","size":2}},{"name":"b","type":"x.F"}]}"#;
        assert_eq!(print_of(text, &[fixed]), super::fingerprint(canonical));
    }
}
