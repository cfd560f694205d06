//! Columns that a catalog decides.

use super::*;

fn columns(columns: &[(&str, &str)]) -> Vec<(String, ColumnType)> {
    let columns = columns.iter();
    columns
        .map(|(name, kind)| ((*name).to_owned(), kind.parse().unwrap()))
        .collect()
}

fn undecided(builder: &mut TableBuilder, json: &str) -> String {
    let mut decoder = decoder();
    let row = decoder.decode("c", Some(json.as_bytes())).unwrap();
    let undecided = builder.undecided(&row);
    let columns = undecided
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"));
    columns.collect::<Vec<_>>().join(", ")
}

/// Appends without asking anybody.
fn append_only(builder: &mut TableBuilder, json: &str) {
    builder.append(&decoder().decode("c", Some(json.as_bytes())).unwrap());
}

#[test]
fn what_is_not_decided_is_told_with_its_type() {
    let mut builder = bound(&columns(&[
        ("a", "bigint"),
        ("_time", "timestamp"),
        ("_user", "varchar"),
    ]));
    let row = r#"{"a":1,"B":2,"b":"again","c":[],"d":null,"e":[[1]],"f":"2026-01-01","_misfit":1,"_shard_time":2,"g":{"x":1}}"#;
    assert_eq!(
        undecided(&mut builder, row),
        "b double, e array(varchar), f date, g map(varchar,double)"
    );
    builder.refuse("b");
    builder.extend([(9, "e", &"array(varchar)".parse().unwrap())]);
    assert_eq!(
        undecided(&mut builder, row),
        "f date, g map(varchar,double)"
    );
    // Where rows decide, nobody is asked.
    assert_eq!(undecided(&mut super::builder(), row), "");
}

#[test]
fn whatever_has_no_column_is_a_misfit() {
    let mut builder = bound(&columns(&[("a", "bigint")]));
    builder.refuse("b");
    append_only(&mut builder, r#"{"b":1,"a":2,"c":[],"D":{"x":1}}"#);
    append_only(&mut builder, r#"{"a":3}"#);
    let batch = builder.finish();
    assert_eq!(
        names(&batch),
        ["_shard_time", "a", "_time", "_user", MISFIT]
    );
    assert_eq!(cell(&batch, MISFIT, 0), r#"b=1 c=[] D={"x":1}"#);
    assert_eq!(cell(&batch, "a", 0), "2");
    assert_eq!(cell(&batch, MISFIT, 1), "null");
}

#[test]
fn names_are_those_of_columns_in_any_case_and_the_first_has_the_column() {
    for row in [
        r#"{"Some":1,"some":2}"#,
        r#"{"some":2,"Some":1}"#,
        r#"{"SOME":1,"some":2,"Some":3}"#,
    ] {
        let mut builder = bound(&columns(&[("some", "bigint")]));
        // One decoder: the second time, names have the numbers they had before.
        let mut decoder = decoder();
        for json in [row, r#"{"sOME":4}"#].repeat(2) {
            let row = decoder.decode("c", Some(json.as_bytes())).unwrap();
            assert!(builder.undecided(&row).is_empty());
            builder.append(&row);
        }
        let batch = builder.finish();
        // The field that is called as the column is, wherever it stands.
        for first in [0, 2] {
            assert_eq!(cell(&batch, "some", first), "2", "{row}");
            assert_eq!(cell(&batch, "some", first + 1), "4");
            assert_eq!(cell(&batch, MISFIT, first + 1), "null");
            let misfits = cell(&batch, MISFIT, first);
            assert!(
                misfits.contains("ome=1") || misfits.contains("OME=1"),
                "{misfits}"
            );
        }
    }
}

/// A row looks the same whenever its columns came to be known.
#[test]
fn columns_stand_where_the_catalog_has_them() {
    let kind: ColumnType = "bigint".parse().unwrap();
    let mut early = bound(&[]);
    let mut late = bound(&[]);
    early.extend([
        (2, "b", &kind),
        (3, "_shard_time", &kind),
        (5, "e", &kind),
        (4, "c", &kind),
        (1, "a", &kind),
    ]);
    late.extend([(5, "e", &kind)]);
    append_only(&mut late, r#"{"e":1}"#);
    let first = late.finish();
    assert_eq!(names(&first), ["_shard_time", "e", "_time", "_user"]);
    late.extend([(2, "b", &kind)]);
    late.extend([
        (1, "a", &kind),
        (2, "b", &kind),
        (3, "_shard_time", &kind),
        (4, "c", &kind),
        (5, "e", &kind),
    ]);
    for builder in [&mut early, &mut late] {
        append_only(builder, r#"{"a":1,"b":2,"c":3,"e":4,"f":5}"#);
        let batch = builder.finish();
        assert_eq!(
            names(&batch),
            ["a", "b", "_shard_time", "c", "e", "_time", "_user", MISFIT]
        );
        for (name, value) in [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("e", "4"),
            (MISFIT, "f=5"),
        ] {
            assert_eq!(cell(&batch, name, 0), value);
        }
        assert_eq!(cell(&batch, "_shard_time", 0), format!("ms {OPENED}"));
    }
}

proptest::proptest! {
    /// However the catalog's answers come, rows and columns are the same once all are known.
    #[test]
    fn rows_do_not_depend_on_when_columns_were_known(
        rows in proptest::collection::vec(proptest::collection::vec((0..6usize, 0..100i64), 0..6), 1..12),
        known in 0..6usize,
    ) {
        let all: Vec<_> = (0..6).map(|at| (format!("f{}", 5 - at), ColumnType::Double)).collect();
        let with = |first: usize| {
            let mut builder = bound(&all[..first]);
            let mut lines = Vec::new();
            for row in &rows {
                let mut fields: Vec<String> = Vec::new();
                for (at, value) in row {
                    let name = format!("\"f{at}\":");
                    if !fields.iter().any(|field| field.starts_with(&name)) {
                        fields.push(format!("{name}{value}.5"));
                    }
                }
                let json = format!("{{{}}}", fields.join(","));
                let mut decoder = decoder();
                let row = decoder.decode("c", Some(json.as_bytes())).unwrap();
                for (name, _) in builder.undecided(&row) {
                    let at = all.iter().position(|(other, _)| *other == name).unwrap();
                    builder.extend([(u32::try_from(at + 1).unwrap(), name.as_str(), &all[at].1)]);
                }
                builder.append(&row);
                let batch = builder.finish();
                let cells = names(&batch).into_iter().map(|name| format!("{name}={}", cell(&batch, &name, 0)));
                lines.push(cells.filter(|cell| !cell.ends_with("=null")).collect::<Vec<_>>());
            }
            lines
        };
        proptest::prop_assert_eq!(with(6), with(known));
    }
}
