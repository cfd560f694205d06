//! The values of a column as text.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow_schema::{DataType, TimeUnit};

/// The value at `row`, which is not null, or why there is no text for it.
///
/// Dates are days and times milliseconds or microseconds since the epoch or midnight, bytes are hexadecimal.
pub(crate) fn of(column: &dyn Array, row: usize) -> Result<String, String> {
    Ok(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(TimeUnit::Millisecond, _) => column
            .as_primitive::<TimestampMillisecondType>()
            .value(row)
            .to_string(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => column
            .as_primitive::<TimestampMicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Time64(TimeUnit::Microsecond) => column
            .as_primitive::<Time64MicrosecondType>()
            .value(row)
            .to_string(),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            let valid = columns.filter(|(_, column)| column.is_valid(row));
            let pairs =
                valid.map(|(field, column)| Ok(format!("{}={}", field.name(), of(column, row)?)));
            pairs.collect::<Result<Vec<_>, String>>()?.join(",")
        }
        DataType::Binary => column
            .as_binary::<i32>()
            .value(row)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        DataType::List(_) => all_of(&column.as_list::<i32>().value(row))?.join(","),
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (all_of(entries.column(0))?, all_of(entries.column(1))?);
            let pairs = keys
                .iter()
                .zip(&values)
                .map(|(key, value)| format!("{key}={value}"));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => return Err(format!("no text for a column of type {other}")),
    })
}

fn all_of(values: &dyn Array) -> Result<Vec<String>, String> {
    let text = |row| {
        if values.is_null(row) {
            Ok(String::new())
        } else {
            of(values, row)
        }
    };
    (0..values.len()).map(text).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{MapBuilder, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
        Float64Array, ListArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, new_null_array,
    };
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn every_type_has_a_text() {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("a");
        map.values().append_value("1");
        map.append(true).unwrap();
        let list =
            ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)])]);
        let decimal = Decimal128Array::from(vec![-150]);
        let decimal: ArrayRef = Arc::new(decimal.with_precision_and_scale(9, 2).unwrap());
        let field = |name| Arc::new(Field::new(name, decimal.data_type().clone(), true));
        let nulls = new_null_array(decimal.data_type(), 1);
        let fields = StructArray::from(vec![(field("x"), decimal.clone()), (field("y"), nulls)]);
        let columns: [(ArrayRef, &str); 11] = [
            (decimal.clone(), "-1.50"),
            (Arc::new(fields), "x=-1.50"),
            (Arc::new(Time64MicrosecondArray::from(vec![7])), "7"),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![-5]).with_timezone("UTC")),
                "-5",
            ),
            (Arc::new(BooleanArray::from(vec![true])), "true"),
            (Arc::new(Float64Array::from(vec![1.0])), "1"),
            (Arc::new(Date32Array::from(vec![-1])), "-1"),
            (
                Arc::new(TimestampMillisecondArray::from(vec![5]).with_timezone("UTC")),
                "5",
            ),
            (Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..]])), "00ff"),
            (Arc::new(list), "1,,3"),
            (Arc::new(map.finish()), "a=1"),
        ];
        for (column, expected) in columns {
            assert_eq!(of(&column, 0), Ok(expected.to_owned()));
        }
        assert!(of(&Float32Array::from(vec![1.0]), 0).is_err());
    }
}
