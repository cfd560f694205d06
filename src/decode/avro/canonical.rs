//! The parsing canonical form of a schema, which its fingerprint is made of: the text without all that does not change how bytes
//! are read.
//!
//! Written here because `apache-avro` keeps in it what logical types are made of, and so comes to other fingerprints of schemas
//! that have some than the specification and the other languages.

use std::collections::HashSet;

use super::schema::Type;

/// The canonical form of a type.
pub(super) fn of(kind: &Type) -> String {
    let mut out = String::new();
    write(kind, &mut HashSet::new(), &mut out);
    out
}

fn write<'a>(kind: &'a Type, seen: &mut HashSet<&'a str>, out: &mut String) {
    match kind {
        Type::Null => out.push_str("\"null\""),
        Type::Boolean => out.push_str("\"boolean\""),
        Type::Int(_) => out.push_str("\"int\""),
        Type::Long(_) => out.push_str("\"long\""),
        Type::Float => out.push_str("\"float\""),
        Type::Double => out.push_str("\"double\""),
        Type::Bytes(_) => out.push_str("\"bytes\""),
        Type::String => out.push_str("\"string\""),
        Type::Array(items) => within("{\"type\":\"array\",\"items\":", items, seen, out),
        Type::Map(values) => within("{\"type\":\"map\",\"values\":", values, seen, out),
        Type::Union(branches) => {
            out.push('[');
            for (at, branch) in branches.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(branch, seen, out);
            }
            out.push(']');
        }
        Type::Fixed(named, size, _) => {
            if begun(&named.name, "fixed", seen, out) {
                out.push_str(&format!("\"size\":{size}}}"));
            }
        }
        Type::Enum(named, symbols) => {
            if begun(&named.name, "enum", seen, out) {
                let symbols: Vec<_> = symbols.all.iter().map(|symbol| quoted(symbol)).collect();
                out.push_str(&format!("\"symbols\":[{}]}}", symbols.join(",")));
            }
        }
        Type::Record(named, fields) => {
            if begun(&named.name, "record", seen, out) {
                out.push_str("\"fields\":[");
                for (at, field) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    let name = quoted(&field.name);
                    within(
                        &format!("{{\"name\":{name},\"type\":"),
                        &field.kind,
                        seen,
                        out,
                    );
                }
                out.push_str("]}");
            }
        }
    }
}

/// Writes what is `before` a type, the type, and the brace behind it.
fn within<'a>(before: &str, kind: &'a Type, seen: &mut HashSet<&'a str>, out: &mut String) {
    out.push_str(before);
    write(kind, seen, out);
    out.push('}');
}

/// Begins the definition of a named type; a type that was defined before is only named.
fn begun<'a>(name: &'a str, kind: &str, seen: &mut HashSet<&'a str>, out: &mut String) -> bool {
    let quoted = quoted(name);
    let new = seen.insert(name);
    match new {
        true => out.push_str(&format!("{{\"name\":{quoted},\"type\":\"{kind}\",")),
        false => out.push_str(&quoted),
    }
    new
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Schema;

    #[test]
    fn only_what_changes_how_bytes_are_read_is_in_it() {
        let text = r#"{"type":"record","name":"R","namespace":"x","doc":"d","aliases":["S"],"fields":[
            {"name":"day","type":{"type":"int","logicalType":"date"},"default":1,"order":"ignore"},
            {"name":"price","type":{"logicalType":"decimal","precision":9,"scale":2,"type":"bytes"}},
            {"name":"money","type":{"type":"fixed","size":8,"name":"Money","logicalType":"decimal","precision":9,"scale":2}},
            {"name":"more","type":{"type":"array","items":["null","Money"]}},
            {"name":"kind","type":{"type":"enum","name":"y.Kind","symbols":["A","B"],"default":"A"}},
            {"name":"map","type":{"type":"map","values":{"type":"string","logicalType":"uuid"}}}]}"#;
        let wanted = concat!(
            r#"{"name":"x.R","type":"record","fields":[{"name":"day","type":"int"},{"name":"price","type":"bytes"},"#,
            r#"{"name":"money","type":{"name":"x.Money","type":"fixed","size":8}},"#,
            r#"{"name":"more","type":{"type":"array","items":["null","x.Money"]}},"#,
            r#"{"name":"kind","type":{"name":"y.Kind","type":"enum","symbols":["A","B"]}},"#,
            r#"{"name":"map","type":{"type":"map","values":"string"}}]}"#,
        );
        let schema = Schema::parse(text, &[]).unwrap();
        assert_eq!(super::of(&schema.root), wanted);
        let bare = Schema::parse(wanted, &[]).unwrap();
        assert_eq!(schema.fingerprint(), bare.fingerprint());
        assert_eq!(super::of(&bare.root), wanted);
    }

    #[test]
    fn a_type_of_another_text_is_written_where_it_is_named_first() {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"K"},{"name":"b","type":"K"}]}"#;
        let kind = r#"{"type":"enum","name":"K","symbols":["A"]}"#;
        let apart = Schema::parse(text, &[kind.into()]).unwrap();
        let whole = Schema::parse(&text.replacen("\"K\"", kind, 1), &[]).unwrap();
        assert_eq!(apart.fingerprint(), whole.fingerprint());
    }
}
