//! One column of a batch, resolved to its type, and its values as JSON text.

use std::collections::HashSet;

use alluvium_target::text::{self, time};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_array::{
    Array, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, MapArray, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

/// How dates and times are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Times {
    /// Dates `yyyyMMdd`, times in ISO-8601.
    Rakam,
    /// Dates and times in ISO-8601.
    Iso,
    /// Dates in ISO-8601, times as epoch milliseconds.
    Epoch,
}

/// The values of a column, and which are null.
pub(super) struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) values: Values<'a>,
}

pub(super) enum Values<'a> {
    Boolean(&'a BooleanArray),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Double(&'a Float64Array),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    Time(&'a Time64MicrosecondArray),
    Timestamp(&'a TimestampMillisecondArray),
    Micros(&'a TimestampMicrosecondArray),
    Decimal(&'a Decimal128Array),
    List(&'a ListArray, Box<Column<'a>>),
    Map(&'a MapArray, &'a StringArray, Box<Column<'a>>),
    Struct(Vec<Named<'a>>),
}

/// A field of a struct, and the text `"name":` before its values.
pub(super) struct Named<'a> {
    name: Vec<u8>,
    values: Column<'a>,
}

impl<'a> Column<'a> {
    /// Resolves a column, or returns the type that cannot be written.
    pub(super) fn resolve(array: &'a dyn Array) -> Result<Self, DataType> {
        let values = match array.data_type() {
            DataType::Boolean => array.as_boolean_opt().map(Values::Boolean),
            DataType::Int32 => array.as_primitive_opt::<Int32Type>().map(Values::Int32),
            DataType::Int64 => array.as_primitive_opt::<Int64Type>().map(Values::Int64),
            DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(Values::Double),
            DataType::Utf8 => array.as_string_opt::<i32>().map(Values::Text),
            DataType::Binary => array.as_binary_opt::<i32>().map(Values::Bytes),
            DataType::Date32 => array.as_primitive_opt::<Date32Type>().map(Values::Date),
            DataType::Timestamp(TimeUnit::Millisecond, _) => array
                .as_primitive_opt::<TimestampMillisecondType>()
                .map(Values::Timestamp),
            DataType::Timestamp(TimeUnit::Microsecond, _) => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .map(Values::Micros),
            DataType::Time64(TimeUnit::Microsecond) => array
                .as_primitive_opt::<Time64MicrosecondType>()
                .map(Values::Time),
            DataType::Decimal128(..) => array
                .as_primitive_opt::<Decimal128Type>()
                .map(Values::Decimal),
            DataType::List(_) => {
                let list = array.as_list_opt::<i32>();
                list.map(|list| {
                    Self::resolve(list.values()).map(|of| Values::List(list, of.into()))
                })
                .transpose()?
            }
            DataType::Map(..) => match array.as_map_opt() {
                Some(map) => Some(Self::map(map)?),
                None => None,
            },
            DataType::Struct(_) => array.as_struct_opt().map(Self::fields).transpose()?,
            _ => None,
        };
        let values = values.ok_or_else(|| array.data_type().clone())?;
        Ok(Self {
            nulls: array.nulls(),
            values,
        })
    }

    fn map(map: &'a MapArray) -> Result<Values<'a>, DataType> {
        let keys = map
            .keys()
            .as_string_opt::<i32>()
            .ok_or_else(|| map.data_type().clone())?;
        Ok(Values::Map(
            map,
            keys,
            Box::new(Self::resolve(map.values())?),
        ))
    }

    fn fields(array: &'a StructArray) -> Result<Values<'a>, DataType> {
        let named = array.fields().iter().zip(array.columns());
        let named = named.map(|(field, column)| {
            let mut name = Vec::new();
            text::string(field.name(), &mut name);
            name.push(b':');
            let values = Self::resolve(column)?;
            Ok(Named { name, values })
        });
        named.collect::<Result<_, _>>().map(Values::Struct)
    }

    /// Whether the value of `row` is null.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether every value has a place on the time line or is a number.
    pub(super) fn is_time(&self) -> bool {
        use Values::{Date, Double, Int32, Int64, Micros, Timestamp};
        matches!(
            self.values,
            Int32(_) | Int64(_) | Double(_) | Date(_) | Timestamp(_) | Micros(_)
        )
    }

    /// Appends the value of `row`, which is not null, as epoch milliseconds if it is a time, as it is if
    /// it is a number, and 0 if it has no such form.
    pub(super) fn write_epoch_ms(&self, row: usize, out: &mut Vec<u8>) {
        match &self.values {
            Values::Date(dates) => text::integer(i64::from(dates.value(row)) * 86_400_000, out),
            Values::Timestamp(_) | Values::Micros(_) | Values::Int32(_) | Values::Int64(_) => {
                self.write(row, Times::Epoch, out);
            }
            Values::Double(doubles) if doubles.value(row).is_finite() => {
                self.write(row, Times::Epoch, out);
            }
            _ => out.push(b'0'),
        }
    }

    /// Appends the value of `row`, which is not null, as a JSON string: its JSON text if it has
    /// another type.
    pub(super) fn write_as_string(&self, row: usize, times: Times, out: &mut Vec<u8>) {
        let mut json = Vec::new();
        match &self.values {
            Values::Text(strings) => return text::string(strings.value(row), out),
            _ => self.write(row, times, &mut json),
        }
        if json.first() == Some(&b'"') {
            out.extend_from_slice(&json);
        } else {
            // What this module writes is UTF-8.
            text::string(&String::from_utf8_lossy(&json), out);
        }
    }

    /// Appends the value of `row`, which is not null.
    pub(super) fn write(&self, row: usize, times: Times, out: &mut Vec<u8>) {
        match &self.values {
            Values::Text(strings) => text::string(strings.value(row), out),
            Values::Int64(integers) => text::integer(integers.value(row), out),
            Values::Double(doubles) => text::double(doubles.value(row), out),
            Values::Boolean(booleans) => {
                out.extend_from_slice(if booleans.value(row) {
                    b"true"
                } else {
                    b"false"
                });
            }
            Values::Timestamp(timestamps) => write_timestamp(timestamps.value(row), times, out),
            Values::Int32(integers) => text::integer(i64::from(integers.value(row)), out),
            Values::Bytes(bytes) => text::base64(bytes.value(row), out),
            Values::Date(dates) => write_date(dates.value(row), times, out),
            Values::Time(micros) => quoted(out, |out| time::of_day(micros.value(row), out)),
            Values::Micros(micros) if times == Times::Epoch => {
                text::integer(micros.value(row).div_euclid(1000), out);
            }
            Values::Micros(micros) => quoted(out, |out| time::micros(micros.value(row), out)),
            Values::Decimal(decimals) => {
                text::decimal(decimals.value(row), decimals.scale().into(), out);
            }
            Values::List(list, elements) => {
                let (from, to) = range(list.value_offsets(), row);
                write_list(elements, from..to, times, out);
            }
            Values::Map(map, keys, values) => {
                let (from, to) = range(map.value_offsets(), row);
                write_map(keys, values, from..to, times, out);
            }
            Values::Struct(fields) => write_struct(fields, row, times, out),
        }
    }
}

/// The elements of `row` in the values of a list or map. Offsets are never negative.
fn range(offsets: &[i32], row: usize) -> (usize, usize) {
    (offsets[row] as usize, offsets[row + 1] as usize)
}

fn write_timestamp(ms: i64, times: Times, out: &mut Vec<u8>) {
    if times == Times::Epoch {
        return text::integer(ms, out);
    }
    quoted(out, |out| time::timestamp(ms, out));
}

fn write_date(days: i32, times: Times, out: &mut Vec<u8>) {
    quoted(out, |out| match times {
        Times::Rakam => time::compact_date(days, out),
        Times::Iso | Times::Epoch => time::date(i64::from(days), out),
    });
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn write_list(
    elements: &Column<'_>,
    range: std::ops::Range<usize>,
    times: Times,
    out: &mut Vec<u8>,
) {
    out.push(b'[');
    for (at, element) in range.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_or_null(elements, element, times, out);
    }
    out.push(b']');
}

/// Writes the first of entries that have the same key: most readers would keep the last.
fn write_map(
    keys: &StringArray,
    values: &Column<'_>,
    range: std::ops::Range<usize>,
    times: Times,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let mut written = HashSet::new();
    for entry in range {
        let key = keys.value(entry);
        if !written.insert(key) {
            continue;
        }
        if written.len() > 1 {
            out.push(b',');
        }
        text::string(key, out);
        out.push(b':');
        write_or_null(values, entry, times, out);
    }
    out.push(b'}');
}

/// Leaves null fields out: a struct may get fields while a span grows, and a line must not tell whether that was before or
/// after its batch was cut.
fn write_struct(fields: &[Named<'_>], row: usize, times: Times, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut comma = false;
    for Named { name, values } in fields {
        if values.is_null(row) {
            continue;
        }
        if comma {
            out.push(b',');
        }
        comma = true;
        out.extend_from_slice(name);
        values.write(row, times, out);
    }
    out.push(b'}');
}

fn write_or_null(column: &Column<'_>, row: usize, times: Times, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.extend_from_slice(b"null");
    } else {
        column.write(row, times, out);
    }
}
