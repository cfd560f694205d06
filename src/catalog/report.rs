//! A table of the catalog in words, for a person.

use super::{Column, Columns};

/// What is shown where the store does not know a time.
const UNKNOWN: &str = "(no time)";

/// The columns, a line for each: place, name, type, and when it was added.
pub fn listing(columns: &Columns) -> String {
    let name_width = widest(columns.iter().map(|column| column.name.as_str()));
    let kinds: Vec<String> = columns.iter().map(|c| c.kind.to_string()).collect();
    let kind_width = widest(kinds.iter().map(String::as_str));
    let line = |(column, kind): (&Column, &String)| {
        let Column { id, name, .. } = column;
        let added = when(column.added_ms);
        format!("  {id:>4}  {name:<name_width$}  {kind:<kind_width$}  {added}\n")
    };
    columns.iter().zip(&kinds).map(line).collect()
}

/// What changed when: the columns that were added together, in the order of their times.
///
/// A column never changes its type and is never removed, so additions are all there is to tell.
pub fn changes(columns: &Columns) -> String {
    let mut out = String::new();
    let steps = columns.chunk_by(|one, next| one.added_ms == next.added_ms);
    for (number, step) in steps.enumerate() {
        let what = match number {
            0 => "made with",
            _ => "added",
        };
        let added = step
            .iter()
            .map(|column| format!("{} {}", column.name, column.kind))
            .collect::<Vec<_>>()
            .join(", ");
        let first = step.first().and_then(|column| column.added_ms);
        out += &format!("  {}  {what} {added}\n", when(first));
    }
    out
}

fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    const MOST: usize = 60;
    let width = texts.map(|text| text.chars().count()).max().unwrap_or(0);
    width.min(MOST)
}

fn when(ms: Option<i64>) -> String {
    ms.map_or_else(|| UNKNOWN.into(), alluvium_objects::timestamp_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ColumnType;

    #[test]
    fn columns_that_came_together_are_one_change() {
        let column = |id, name: &str, kind, added_ms| Column {
            id,
            name: name.into(),
            kind,
            added_ms,
        };
        let columns = Columns::new(vec![
            column(1, "_time", ColumnType::Timestamp, Some(0)),
            column(2, "_user", ColumnType::String, Some(0)),
            column(3, "x", ColumnType::Double, Some(86_400_001)),
            column(4, "y", ColumnType::Date, None),
        ]);
        assert_eq!(
            changes(&columns),
            "  1970-01-01T00:00:00.000Z  made with _time timestamp, _user varchar\n  \
             1970-01-02T00:00:00.001Z  added x double\n  (no time)  added y date\n"
        );
        assert_eq!(
            listing(&columns).lines().next_back(),
            Some("     4  y      date       (no time)")
        );
    }
}
