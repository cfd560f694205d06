//! The types a column can have, and their names.
//!
//! The names are those of Presto and Trino (<https://trino.io/docs/current/language/types.html>), as the original's
//! metadata store has them: `varchar`, `array(bigint)`, `map(varchar,double)`.

use std::fmt;
use std::str::FromStr;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

/// Types within types go no deeper than this.
const MAX_DEPTH: usize = 32;
/// Digits of a decimal: what 128 bits hold.
const MAX_PRECISION: u8 = 38;

/// The type of a column, or of what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Bigint,
    /// 64-bit floating point.
    Double,
    /// An exact number.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, no more than `precision`.
        scale: u8,
    },
    /// UTF-8 text.
    String,
    /// Bytes.
    Binary,
    /// A day of the calendar: days since 1970-01-01.
    Date,
    /// A time of day: microseconds since midnight.
    Time,
    /// A point in time: milliseconds since 1970-01-01 00:00 UTC.
    Timestamp,
    /// A point in time: microseconds since 1970-01-01 00:00 UTC.
    TimestampMicros,
    /// Values of one type in an order. Each may be null.
    Array(Box<ColumnType>),
    /// Values of one type by text. Each may be null.
    Map(Box<ColumnType>),
    /// Named values of their own types. Each may be null.
    Struct(Vec<(String, ColumnType)>),
}

/// A text that is not the name of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no type of a column: {what} at character {at}")]
pub struct UnknownType {
    text: String,
    what: &'static str,
    at: usize,
}

impl ColumnType {
    /// How Arrow has it. Maps are unsorted, with fields `entries`, `keys` and `values`; lists have a field `item`.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(*precision, scale.cast_signed())
            }
            Self::String => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::TimestampMicros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Array(element) => {
                DataType::List(Field::new("item", element.data_type(), true).into())
            }
            Self::Map(value) => {
                let keys = Field::new("keys", DataType::Utf8, false);
                let values = Field::new("values", value.data_type(), true);
                let entries = DataType::Struct(Fields::from(vec![keys, values]));
                DataType::Map(Field::new("entries", entries, false).into(), false)
            }
            Self::Struct(fields) => {
                let field =
                    |(name, kind): &(String, Self)| Field::new(name, kind.data_type(), true);
                DataType::Struct(fields.iter().map(field).collect())
            }
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => out.write_str("boolean"),
            Self::Integer => out.write_str("integer"),
            Self::Bigint => out.write_str("bigint"),
            Self::Double => out.write_str("double"),
            Self::Decimal { precision, scale } => write!(out, "decimal({precision},{scale})"),
            Self::String => out.write_str("varchar"),
            Self::Binary => out.write_str("varbinary"),
            Self::Date => out.write_str("date"),
            Self::Time => out.write_str("time"),
            Self::Timestamp => out.write_str("timestamp"),
            Self::TimestampMicros => out.write_str("timestamp(6)"),
            Self::Array(element) => write!(out, "array({element})"),
            Self::Map(value) => write!(out, "map(varchar,{value})"),
            Self::Struct(fields) => {
                out.write_str("row(")?;
                for (at, (name, kind)) in fields.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(out, "{comma}\"{}\" {kind}", name.replace('"', "\"\""))?;
                }
                out.write_str(")")
            }
        }
    }
}

impl FromStr for ColumnType {
    type Err = UnknownType;

    /// Reads a name in any case, with spaces where SQL allows them. Types that only differ in range or length are taken for
    /// the one that holds all their values: `varchar(100)`, `char(n)` and `json` are text, `tinyint` and
    /// `smallint` integers, `real` double, times of up to three digits behind the second milliseconds and others microseconds.
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let mut parser = Parser { text, at: 0 };
        let parsed = parser.kind(0).and_then(|kind| {
            parser.space();
            match parser.rest().is_empty() {
                true => Ok(kind),
                false => Err("something follows the type"),
            }
        });
        parsed.map_err(|what| UnknownType {
            text: text.to_owned(),
            what,
            at: text[..parser.at].chars().count() + 1,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, &'static str>;

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn pass(&mut self, mark: char) -> bool {
        self.space();
        let next = self.rest().starts_with(mark);
        self.at += if next { mark.len_utf8() } else { 0 };
        next
    }

    fn expect(&mut self, mark: char, what: &'static str) -> Parsed<()> {
        self.pass(mark).then_some(()).ok_or(what)
    }

    fn word(&mut self) -> Parsed<String> {
        self.space();
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += len;
        match len {
            0 => Err("expected a name"),
            _ => Ok(rest[..len].to_lowercase()),
        }
    }

    fn number(&mut self) -> Parsed<u8> {
        let word = self.word().map_err(|_| "expected a number")?;
        word.parse().map_err(|_| "expected a number up to 255")
    }

    /// The numbers in parentheses that may be next.
    fn numbers(&mut self) -> Parsed<Vec<u64>> {
        let mut numbers = Vec::new();
        if !self.pass('(') {
            return Ok(numbers);
        }
        loop {
            let word = self.word().map_err(|_| "expected a number")?;
            numbers.push(word.parse().map_err(|_| "expected a number")?);
            if !self.pass(',') {
                break;
            }
        }
        self.expect(')', "expected )")?;
        Ok(numbers)
    }

    fn kind(&mut self, depth: usize) -> Parsed<ColumnType> {
        if depth > MAX_DEPTH {
            return Err("types are nested too deeply");
        }
        let word = self.word()?;
        Ok(match word.as_str() {
            "boolean" => ColumnType::Boolean,
            "tinyint" | "smallint" | "integer" | "int" => ColumnType::Integer,
            "bigint" => ColumnType::Bigint,
            "double" | "real" => ColumnType::Double,
            "varchar" | "char" | "json" => {
                self.numbers()?;
                ColumnType::String
            }
            "varbinary" => ColumnType::Binary,
            "date" => ColumnType::Date,
            "time" => {
                self.numbers()?;
                ColumnType::Time
            }
            "timestamp" => self.timestamp()?,
            "decimal" => self.decimal()?,
            "array" => ColumnType::Array(self.in_parentheses(depth)?.into()),
            "map" => {
                self.expect('(', "expected (")?;
                if self.kind(depth + 1)? != ColumnType::String {
                    return Err("the keys of a map must be varchar");
                }
                self.expect(',', "expected ,")?;
                let value = self.kind(depth + 1)?;
                self.expect(')', "expected )")?;
                ColumnType::Map(value.into())
            }
            "row" => self.row(depth)?,
            _ => return Err("unknown name before this"),
        })
    }

    fn in_parentheses(&mut self, depth: usize) -> Parsed<ColumnType> {
        self.expect('(', "expected (")?;
        let kind = self.kind(depth + 1)?;
        self.expect(')', "expected )")?;
        Ok(kind)
    }

    fn timestamp(&mut self) -> Parsed<ColumnType> {
        let digits = self.numbers()?;
        // Points in time are kept in UTC whatever they were written in.
        let rest = self.rest().trim_start();
        for zone in ["with time zone", "without time zone"] {
            if rest
                .get(..zone.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(zone))
            {
                self.space();
                self.at += zone.len();
                break;
            }
        }
        Ok(match digits.first() {
            Some(digits) if *digits > 3 => ColumnType::TimestampMicros,
            _ => ColumnType::Timestamp,
        })
    }

    fn decimal(&mut self) -> Parsed<ColumnType> {
        self.expect('(', "expected the digits in parentheses")?;
        let precision = self.number()?;
        let scale = if self.pass(',') { self.number()? } else { 0 };
        self.expect(')', "expected )")?;
        if precision == 0 || precision > MAX_PRECISION || scale > precision {
            return Err("a decimal has 1 to 38 digits, and no more behind the point");
        }
        Ok(ColumnType::Decimal { precision, scale })
    }

    fn row(&mut self, depth: usize) -> Parsed<ColumnType> {
        self.expect('(', "expected (")?;
        let mut fields: Vec<(String, ColumnType)> = Vec::new();
        loop {
            let name = self.field_name()?;
            if fields.iter().any(|(other, _)| *other == name) {
                return Err("two fields have the same name");
            }
            fields.push((name, self.kind(depth + 1)?));
            if !self.pass(',') {
                break;
            }
        }
        self.expect(')', "expected )")?;
        Ok(ColumnType::Struct(fields))
    }

    /// A name as it is in quotes, in which a quote is doubled; without quotes in lower case.
    fn field_name(&mut self) -> Parsed<String> {
        if !self.pass('"') {
            return self.word();
        }
        let mut name = String::new();
        loop {
            let rest = self.rest();
            let len = rest.find('"').ok_or("a quote is not closed")?;
            name.push_str(&rest[..len]);
            self.at += len + 1;
            if !self.rest().starts_with('"') {
                return Ok(name);
            }
            name.push('"');
            self.at += 1;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn types() -> impl Strategy<Value = ColumnType> {
        let decimal = (1..=MAX_PRECISION).prop_flat_map(|precision| {
            (0..=precision).prop_map(move |scale| ColumnType::Decimal { precision, scale })
        });
        let flat = prop_oneof![
            Just(ColumnType::Boolean),
            Just(ColumnType::Integer),
            Just(ColumnType::Bigint),
            Just(ColumnType::Double),
            Just(ColumnType::String),
            Just(ColumnType::Binary),
            Just(ColumnType::Date),
            Just(ColumnType::Time),
            Just(ColumnType::Timestamp),
            Just(ColumnType::TimestampMicros),
            decimal,
        ];
        flat.prop_recursive(4, 24, 4, |inner| {
            let fields = prop::collection::btree_map("\\PC{0,6}", inner.clone(), 1..4);
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|kind| ColumnType::Array(kind.into())),
                inner.prop_map(|kind| ColumnType::Map(kind.into())),
                fields.prop_map(|fields| ColumnType::Struct(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_type_is_read_as_it_was_written(kind in types()) {
            prop_assert_eq!(kind.to_string().parse(), Ok(kind));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "(array|map|row|varchar|decimal|[(),\" 0-9x]){0,12}") {
            let _ = text.parse::<ColumnType>();
        }
    }

    #[test]
    fn names_of_other_lengths_and_spellings_are_known() {
        let parsed = |text: &str| text.parse::<ColumnType>().unwrap().to_string();
        assert_eq!(parsed("VARCHAR(100)"), "varchar");
        assert_eq!(parsed(" array ( smallint ) "), "array(integer)");
        assert_eq!(parsed("timestamp(3) with time zone"), "timestamp");
        assert_eq!(parsed("timestamp(6)"), "timestamp(6)");
        assert_eq!(
            parsed("row(a bigint, \"B c\" real)"),
            "row(\"a\" bigint,\"B c\" double)"
        );
        assert_eq!(parsed("decimal(10)"), "decimal(10,0)");
    }

    #[test]
    fn what_is_no_type_is_refused_with_the_place() {
        let refused = |text: &str| text.parse::<ColumnType>().unwrap_err().to_string();
        assert_eq!(
            refused("array(text)"),
            "\"array(text)\" is no type of a column: unknown name before this at character 11"
        );
        for text in [
            "",
            "array",
            "array()",
            "array(bigint",
            "map(bigint,bigint)",
            "map(varchar)",
            "decimal",
            "decimal(39,0)",
            "decimal(3,4)",
            "bigint bigint",
            "row()",
            "row(a bigint, a date)",
            "row(\"a bigint)",
            "varchar(x)",
        ] {
            refused(text);
        }
        refused(&"array(".repeat(100_000));
    }
}
