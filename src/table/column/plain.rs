//! The fields that a column takes as they lie in the row: the ones that most fields are.

use super::{Column, Store};
use crate::record::Entry;
use crate::table::{number, time};

/// A number written with no more bytes than this has at most 17 digits, which a double tells apart.
const SHORT: usize = 17;

impl Column {
    /// As [`Column::append`], if the field is one that needs no more than a copy; otherwise nothing has happened and the
    /// answer is false.
    #[inline(always)]
    pub(in crate::table) fn append_plain(&mut self, row: usize, entry: Entry<'_, '_>) -> bool {
        if self.nulls.len() != row {
            if self.nulls.len() > row {
                return false;
            }
            self.fill(row);
        }
        match &mut self.store {
            Store::Utf8(text) => match entry.written() {
                Some(written) if text.has_room(written.len) => text.push_stretch(written),
                _ => return false,
            },
            Store::Int64 { values, exact } => match entry.whole() {
                Some(value) => {
                    *exact &= number::exact_double(value).is_some();
                    values.push(value);
                }
                None => return false,
            },
            Store::Float64(values) => match entry.number_written() {
                Some((value, len)) if len <= SHORT && value.is_normal() => values.push(value),
                _ => match entry.double() {
                    Some(value) => values.push(value),
                    None => return false,
                },
            },
            Store::Timestamp(values, _) => {
                let text = entry.string().and_then(time::utc_millis);
                match text.or_else(|| entry.millis()).or_else(|| entry.whole()) {
                    Some(value) => values.push(value),
                    None => return false,
                }
            }
            Store::Boolean(values) => match entry.bool() {
                Some(value) => values.push(value),
                None => return false,
            },
            _ => return false,
        }
        self.nulls.push();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Blank, Outcome};
    use super::*;
    use crate::record::{Cell, Piece, RowBuffer};
    use crate::table::{ColumnType, Objects, Rules, Zone};

    /// Texts and numbers of all kinds.
    fn cells(buffer: &mut RowBuffer) -> Vec<Cell> {
        let mut cells = vec![Cell::bool(true), Cell::bool(false)];
        let mut piece = |text: &str| -> Piece { buffer.write(|out| out.push_str(text)).0 };
        for value in [0, 1, -5, (1 << 53) + 1, i64::MAX, i64::MIN] {
            cells.push(Cell::integer(value, piece(&value.to_string())));
            cells.extend([Cell::long(value), Cell::millis(value), Cell::micros(value)]);
        }
        for raw in [
            "0.5",
            "-0.0",
            "1e400",
            "5e-324",
            "1e3",
            "1.00000000000000001",
            "12345678901234567890",
        ] {
            let double: f64 = raw.parse().expect("a number");
            cells.extend([Cell::number(double, piece(raw)), Cell::double(double)]);
        }
        cells.push(Cell::double(f64::NAN));
        for text in [
            "",
            "true",
            "12",
            "0.5",
            "é",
            "2024-02-29",
            "2024-02-29T23:59:59.999Z",
            "2023-02-29T23:59:59.999Z",
            "2024-02-29T24:00:00.000Z",
            "2024-02-29T23:59:59.999999Z",
            "text of more than thirty-two bytes, so that it is copied the long way",
        ] {
            let raw = piece(&format!("\"{text}\""));
            cells.extend([Cell::str(piece(text)), Cell::escaped(piece(text), raw)]);
        }
        cells.push(Cell::bad_str(piece("\"\\ud800\"")));
        cells.extend([Cell::date(19_000), Cell::time(5)]);
        cells.push(buffer.bytes(b"bytes"));
        cells.push(buffer.decimal(1250, 2));
        cells
    }

    #[test]
    fn what_is_taken_as_it_lies_is_what_its_value_would_be() {
        let mut buffer = RowBuffer::default();
        buffer.begin(0, 1);
        let name = buffer.write(|out| out.push_str("name")).0;
        for cell in cells(&mut buffer) {
            buffer.push_new(name, 0, cell);
        }
        let row = buffer.row("", "p", "c");
        let rules = Rules {
            zone: Zone::UTC,
            objects: Objects::Map,
            numbers: crate::table::Numbers::Promoted,
        };
        let mut taken = 0;
        for kind in [
            ColumnType::Boolean,
            ColumnType::Integer,
            ColumnType::Bigint,
            ColumnType::Double,
            ColumnType::String,
            ColumnType::Binary,
            ColumnType::Date,
            ColumnType::Time,
            ColumnType::Timestamp,
            ColumnType::TimestampMicros,
        ] {
            for entry in row.entries() {
                let of_value = |column: &mut Column| column.append(2, &entry.value());
                let mut one = Column::new("one", &kind, false, rules);
                let mut other = Column::new("other", &kind, false, rules);
                let expected = of_value(&mut other);
                if one.append_plain(2, entry) {
                    assert_eq!(expected, Outcome::Kept, "{entry:?}");
                    taken += 1;
                } else {
                    assert_eq!(of_value(&mut one), expected, "{entry:?}");
                }
                assert_eq!(one.kind(), other.kind(), "{entry:?}");
                let [one, other] = [one, other].map(|mut column| {
                    // Whether doubles hold all integers so far shows when a fraction follows.
                    let half = Cell::double(0.5);
                    let mut buffer = RowBuffer::default();
                    buffer.begin(0, 1);
                    buffer.push_new(name, 0, half);
                    let outcome = buffer.row("", "p", "c").values().next();
                    let outcome = outcome.map(|(_, half)| column.append(3, &half));
                    // As text, in which not a number is equal to itself.
                    let array = column.finish(4, &mut Blank::default());
                    format!("{outcome:?} {array:?}")
                });
                assert_eq!(one, other, "{entry:?}");
            }
        }
        assert!(taken > 60, "{taken} were taken as they lie");
    }
}
