//! The same records make the same rows as ever, or the revision of rows is raised.

use std::path::Path;

use alluvium_objects::{
    Compression, ContentHash, KeyTemplate, LineLayout, ObjectSettings, ObjectTarget,
};
use alluvium_target_file::FileStore;

use super::*;
use crate::deliver::{Plan, Planned};

/// Payloads whose rows are all there is to decide: types, promotions, misfits, names, dead letters.
const FIELDS: &[&str] = &[
    r#""n":1,"s":"text","b":true,"d":"2024-02-29","t":"2024-02-29T12:34:56.789Z","z":null"#,
    r#""n":2.5,"s":7,"b":"false","d":"not a date","t":1700000000000,"new":"later""#,
    r#""n":9007199254740993,"s":true,"b":3,"d":null,"t":"2024-02-29 12:34:56.7891""#,
    r#""n":1e300,"s":{"a":[1,{"b":null}]},"b":0,"d":"1969-12-31","t":"2024-02-29T12:34""#,
    r#""n":"12","N":13,"n":14,"s":"\u00e9\ud83d\ude00\"\\\n","_misfit":1,"_shard_time":2"#,
    r#""n":123456789012345678901234567890,"s":"","x":0.1,"y":-0,"w":1.0"#,
    r#""x":"0.1","y":5,"w":12345678901234567890.5,"_user":77,"_time":"2001-02-03T04:05:06Z""#,
    r#""tags":["x",null,7],"ids":[1,2],"days":["2024-02-29"],"by":{"x":1,"y":null},"in":{"x":[1],"y":{}},"e":[],"f":{}"#,
    r#""tags":[{"a":1}],"ids":[0.5,"x"],"days":["2024-03-01",5],"by":{"x":0.5,"x":1},"in":{"x":1},"e":[true],"f":[null]"#,
    r#""_user":"somebody","_time":981173106000,"x":3,"deep":[[[[]]]],"Größe":"ä""#,
];

fn payloads(layout: Layout) -> Vec<String> {
    let wrapped = FIELDS.iter().cycle().take(40).enumerate().map(|(at, fields)| {
        let collection = ["one", "Two", "three"][at % 3];
        match layout {
            Layout::Rakam => format!(
                r#"{{"properties":{{{fields}}},"project":"p","collection":"{collection}"}}"#
            ),
            Layout::Fabric => format!(
                r#"{{"id":{at},"data":{{"_project":"p","_collection":"{collection}",{fields}}}}}"#
            ),
            Layout::Plain => format!(r#"{{"c":"{collection}",{fields}}}"#),
        }
    });
    let broken = ["{", "", "[1]", "\u{feff}{}", r#"{"c":1}"#].map(str::to_owned);
    wrapped.chain(broken).collect()
}

fn rows_of(layout: Layout, lines: LineLayout, directory: &Path) -> String {
    let template = "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson";
    let settings = ObjectSettings {
        key: KeyTemplate::parse(template).unwrap(),
        layout: lines,
        compression: Compression::None,
        level: 1,
        time_field: "_time".into(),
        user_field: "_user".into(),
    };
    let target = ObjectTarget::new(FileStore::new(directory), settings).unwrap();
    let json = JsonSettings {
        layout,
        project: "p".into(),
        collection_field: Some("c".into()),
        max_bytes: 1 << 20,
    };
    let shape = Shape::new("fixed", Arc::new(target), columns(), json);
    let spans = [(20, 1_700_000_000_000), (45, 1_700_000_060_000)].map(|(to, opened_ms)| Planned {
        to: Position::at(to),
        opened_ms,
        unreadable: None,
    });
    let note = Plan::text(shape.print, &spans, "");
    let mut bench = Bench::shaped(MemoryTarget::new(), shape, policy(), 1 << 30, None);
    bench.source.produce(0, payloads(layout));
    bench.source.assign_with(0, 0, &note, 0);
    bench.turn_until("the plan", |bench| bench.source.checkpoint(0) == Some(45));
    let mut files = Vec::new();
    collect(directory, directory, &mut files);
    files.sort();
    files.join("\n")
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().display();
            files.push(format!("{name}\n{text}"));
        }
    }
}

#[test]
fn rows_are_what_they_were() {
    let mut all = String::new();
    for layout in [Layout::Rakam, Layout::Fabric, Layout::Plain] {
        for lines in [LineLayout::Rakam, LineLayout::Flat] {
            let directory = tempfile::tempdir().unwrap();
            all += &rows_of(layout, lines, directory.path());
        }
    }
    let hash = ContentHash::of(all.lines().map(str::as_bytes)).to_string();
    assert_eq!(
        hash, EXPECTED,
        "the same records make other rows than before. If that is meant, raise ROWS_REVISION in src/worker/shape.rs, so that \
         plans of the release before are not finished with other rows, and put the new hash here. The rows:\n{all}"
    );
}

/// Of revision 2.
const EXPECTED: &str = "xxh3-128-sum:3898c84df78ca59387f21ea070372eaf";
