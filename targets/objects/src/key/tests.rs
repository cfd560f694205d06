use std::collections::HashMap;

use alluvium_target::{Partition, PartitionId, Position};
use proptest::prelude::*;

use super::*;

const TAIL: &str = "{topic}-{partition}-{from}-{to}.ndjson.gz";

fn span(topic: &str, number: i32, from: i64, to: i64) -> Span {
    Span {
        partition: Partition::new(topic, number),
        from: Position::at(from),
        to: Position::at(to),
    }
}

fn key(template: &str, table: &Table) -> String {
    KeyTemplate::parse(template)
        .unwrap()
        .key(table, &span("events", 3, 10, 20))
}

#[test]
fn default_keys() {
    let table = Table::new("shop", "page_view");
    for (compression, expected) in [
        (Compression::Gzip, "shop/page_view/events-3-10-20.ndjson.gz"),
        (
            Compression::Zstd,
            "shop/page_view/events-3-10-20.ndjson.zst",
        ),
        (Compression::None, "shop/page_view/events-3-10-20.ndjson"),
    ] {
        assert_eq!(
            key(KeyTemplate::default_text(compression), &table),
            expected
        );
    }
}

#[test]
fn braces_and_fixed_text() {
    let table = Table::new("../x", "_dead_letters");
    let template = format!("raw/{{{{p}}}}={{project}}/c={{collection}}/{TAIL}");
    assert_eq!(
        key(&template, &table),
        "raw/{p}=%2E.%2Fx/c=%5Fdead_letters/events-3-10-20.ndjson.gz"
    );
    assert_eq!(KeyTemplate::parse(&template).unwrap().to_string(), template);
}

#[test]
fn dead_letters_have_their_own_place() {
    let span = span("ev/ents", 3, 10, 20);
    assert_eq!(
        dead_letters_key(&span, Compression::Gzip),
        "_dead_letters/ev%2Fents-3-10-20.ndjson.gz"
    );
    assert_eq!(
        dead_letters_key(&span, Compression::Zstd),
        "_dead_letters/ev%2Fents-3-10-20.ndjson.zst"
    );
    assert_eq!(
        dead_letters_key(&span, Compression::None),
        "_dead_letters/ev%2Fents-3-10-20.ndjson"
    );
}

#[test]
fn refuses_what_could_lose_rows() {
    let long = "x".repeat(240);
    let with_tail = |head: &str| format!("{head}{TAIL}");
    let cases = [
        (
            with_tail("{when}/"),
            KeyError::UnknownPlaceholder("when".into()),
        ),
        (
            with_tail("{}/"),
            KeyError::UnknownPlaceholder(String::new()),
        ),
        (format!("{TAIL}{{"), KeyError::LoneBrace('{')),
        (with_tail("a}b/"), KeyError::LoneBrace('}')),
        (String::new(), KeyError::Missing("topic")),
        (
            "{project}/{topic}-{partition}-{from}.gz".into(),
            KeyError::Missing("to"),
        ),
        (
            "{project}/{topic}-{from}-{to}.gz".into(),
            KeyError::Missing("partition"),
        ),
        (
            "{project}/{partition}-{from}-{to}.gz".into(),
            KeyError::Missing("topic"),
        ),
        (
            with_tail("{project}.{collection}/"),
            KeyError::TwoNames("project", "collection"),
        ),
        (
            with_tail("{project}-"),
            KeyError::TwoNames("project", "topic"),
        ),
        (
            "{topic}{partition}-{from}-{to}".into(),
            KeyError::Adjacent("topic", "partition"),
        ),
        (
            "{topic}-{partition}-{from}{to}".into(),
            KeyError::Adjacent("from", "to"),
        ),
        (
            "{topic}-{partition}-{from}-0{to}".into(),
            KeyError::Adjacent("from", "to"),
        ),
        (
            "{topic}-{partition}-{from}0-{to}".into(),
            KeyError::Adjacent("from", "to"),
        ),
        (with_tail("/"), KeyError::BadSegment(String::new())),
        (with_tail("a//"), KeyError::BadSegment(String::new())),
        (format!("{TAIL}/"), KeyError::BadSegment(String::new())),
        (with_tail("a/../"), KeyError::BadSegment("..".into())),
        (with_tail("./"), KeyError::BadSegment(".".into())),
        (with_tail("a/.{project}/"), KeyError::BadSegment(".".into())),
        (with_tail("a\\b/"), KeyError::BadCharacter('\\')),
        (with_tail("a\0/"), KeyError::BadCharacter('\0')),
        (with_tail("_dead_letters/"), KeyError::Reserved),
        (with_tail("_dead_letters/more/"), KeyError::Reserved),
        (with_tail("_dead_{project}/"), KeyError::Reserved),
        (with_tail("_{project}/"), KeyError::Reserved),
        (
            with_tail(&format!("{{project}}-{}/", &long[..110])),
            KeyError::TooLong {
                what: "a part between slashes",
                len: 261,
                max: 255,
            },
        ),
        (
            with_tail(&format!("{long}/{long}/{long}/{{project}}/")),
            KeyError::TooLong {
                what: "the key",
                len: 1088,
                max: 1024,
            },
        ),
    ];
    for (template, expected) in cases {
        assert_eq!(KeyTemplate::parse(&template), Err(expected), "{template}");
    }
    for fine in [
        "_raw/",
        "_dead_letters2/",
        "v1{project}/",
        "{project}/{collection}/{project}/",
    ] {
        assert!(KeyTemplate::parse(&with_tail(fine)).is_ok(), "{fine}");
    }
}

#[test]
fn flat_rows_need_their_table_in_the_key() {
    let project_only = KeyTemplate::parse(&format!("{{project}}/{TAIL}")).unwrap();
    assert_eq!(project_only.suits(LineLayout::Rakam), Ok(()));
    assert_eq!(
        project_only.suits(LineLayout::Flat),
        Err(KeyError::MissingForFlat("collection"))
    );
    let both = KeyTemplate::parse(KeyTemplate::default_text(Compression::Gzip)).unwrap();
    assert_eq!(both.suits(LineLayout::Flat), Ok(()));
}

#[test]
fn tables_share_an_object_where_the_key_does_not_name_them() {
    let template = KeyTemplate::parse(&format!("{{project}}/{TAIL}")).unwrap();
    let of =
        |project: &str, collection: &str| template.representative(&Table::new(project, collection));
    assert_eq!(of("a", "x"), of("a", "y"));
    assert_ne!(of("a", "x"), of("b", "x"));
    assert_ne!(
        template.representative(&Table::dead_letters()),
        of("a", "x")
    );
    let template = KeyTemplate::parse(TAIL).unwrap();
    let of =
        |project: &str, collection: &str| template.representative(&Table::new(project, collection));
    assert_eq!(of("a", "x"), of("b", "y"));
    assert!(!of("a", "x").is_dead_letters());
}

#[test]
fn keys_are_read_back() {
    let template =
        KeyTemplate::parse("raw/{{1}}{project}/{topic}-{partition}-{from}-{to}.gz").unwrap();
    assert_eq!(template.prefix(), "raw/{1}");
    let parts = |topic: &str| KeyParts {
        topic: topic.to_owned(),
        partition: PartitionId::Number(3),
        from: Position::at(10),
        to: Position::at(20),
    };
    assert_eq!(
        template.read("raw/{1}shop/a-b-3-10-20.gz", Numbers::Offsets),
        Some(parts("a-b"))
    );
    assert_eq!(
        template.read("raw/{1}shop/a-7-3-10-20.gz", Numbers::Offsets),
        Some(parts("a-7"))
    );
    for other in [
        "",
        "raw/{1}shop/a-b-3-10-20",
        "raw/{1}shop/a-b-3-10-20.gz/",
        "raw/{1}shop/more/a-b-3-10-20.gz",
        "raw/{1}/a-b-3-10-20.gz",
        "raw/{1}shop/-3-10-20.gz",
        "raw/{1}shop/a-b-03-10-20.gz",
        "raw/{1}shop/a-b-3-10-99999999999999999999.gz",
        "raw/{1}shop/a b-3-10-20.gz",
        "raw/{1}_dead_letters/a-b-3-10-20.gz",
    ] {
        assert_eq!(template.read(other, Numbers::Offsets), None, "{other}");
    }
    // A number that stands there twice is one number.
    let twice = KeyTemplate::parse("{from}/{topic}-{partition}-{from}-{to}5").unwrap();
    assert_eq!(twice.prefix(), "");
    assert_eq!(
        twice.read("10/a-b-3-10-205", Numbers::Offsets),
        Some(parts("a-b"))
    );
    assert_eq!(twice.read("11/a-b-3-10-205", Numbers::Offsets), None);
    assert_eq!(
        read_dead_letters_key("_dead_letters/a-b-3-10-20.ndjson", Numbers::Offsets),
        Some(parts("a-b"))
    );
    assert_eq!(
        read_dead_letters_key("_dead_letters/a-b-3-10-20", Numbers::Offsets),
        None
    );
    assert_eq!(
        read_dead_letters_key("shop/a-b-3-10-20.ndjson", Numbers::Offsets),
        None
    );
}

/// Templates of the accepted kind, some of them far from the default.
const TEMPLATES: [&str; 7] = [
    "{project}/{collection}/{topic}-{partition}-{from}-{to}.ndjson.gz",
    "{partition}-{from}-{project}-{to}/{collection}/{topic}",
    "p={project}/c={collection}/t={topic}/{partition}/{from}/{to}",
    "{to}.{from}.{topic}.{partition}/1{collection}2/3{project}4",
    "x/{from}-{to}/{partition}_{topic}/{project}.{partition}/{collection}",
    "{collection}/{project}/{from}-{topic}/{partition}-{to}-{from}",
    "7{from}-{to}8/9{partition}0/1{topic}2/{project}/{collection}/3",
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a0./-]{0,6}",
        "[0-9-]{0,6}",
        any::<String>(),
        "_dead_letters[-0-9/]{0,4}",
        "[a-c漢/]{140,300}",
    ]
}

/// A table and a span; small numbers, so that they run into each other if they can.
fn source() -> impl Strategy<Value = (Table, Span)> {
    let number = prop_oneof![
        0..30_i64,
        100..130_i64,
        any::<i64>().prop_map(i64::saturating_abs)
    ];
    (
        "[^\0]{1,3}|[a0/.-]{1,6}",
        name(),
        name(),
        0..30_i32,
        number.clone(),
        number,
        any::<bool>(),
    )
        .prop_map(|(project, collection, topic, number, from, to, sharded)| {
            let span = match sharded {
                true => of_shard(&topic, number, from, to),
                false => span(&topic, number, from, to),
            };
            (Table::new(project, collection), span)
        })
}

/// A span of a shard: sequence numbers as short as offsets, which makes them harder to tell apart.
fn of_shard(stream: &str, number: i32, from: i64, to: i64) -> Span {
    let place = |number: i64| {
        let sequence = (number / 3).to_string().parse().unwrap();
        Position::in_shard(sequence, (number % 3).unsigned_abs())
    };
    Span {
        partition: Partition::shard(stream, u64::from(number.unsigned_abs())),
        from: place(from),
        to: place(to),
    }
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Offsets), Just(Numbers::Sequences)]
}

#[test]
fn keys_of_shards_say_stream_shard_and_sequence_numbers() {
    let [from, to] = [
        "49590338271490256608559692538361571095921575989136588898",
        "49590338271490256608559692540925702759324208523137515618",
    ];
    let span = Span {
        partition: Partition::shard("clicks", 12),
        from: Position::in_shard(from.parse().unwrap(), 1),
        to: Position::in_shard(to.parse().unwrap(), 7),
    };
    let key = KeyTemplate::parse(KeyTemplate::default_text(Compression::Gzip))
        .unwrap()
        .key(&Table::new("shop", "view"), &span);
    assert_eq!(
        key,
        format!("shop/view/clicks-shardId-000000000012-{from}.1-{to}.7.ndjson.gz")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn different_tables_and_spans_never_share_a_key(
        sources in prop::collection::vec(source(), 2..40),
        template in prop::sample::select(&TEMPLATES[..]),
    ) {
        let template = KeyTemplate::parse(template).unwrap();
        let mut seen = HashMap::new();
        for source in sources {
            let key = template.key(&source.0, &source.1);
            let letters = dead_letters_key(&source.1, Compression::Gzip);
            if let Some(other) = seen.insert(key, Some(source.clone())) {
                prop_assert_eq!(other, Some(source.clone()));
            }
            let of_span = (Table::dead_letters(), source.1);
            if let Some(other) = seen.insert(letters, Some(of_span.clone())) {
                prop_assert_eq!(other, Some(of_span));
            }
        }
    }

    #[test]
    fn every_key_is_read_back((table, span) in source(), template in prop::sample::select(&TEMPLATES[..])) {
        let numbers = match span.partition.id() {
            PartitionId::Number(_) => Numbers::Offsets,
            PartitionId::Shard(_) => Numbers::Sequences,
        };
        let template = KeyTemplate::parse(template).unwrap();
        let parts = Some(KeyParts {
            topic: KeyTemplate::topic_text(span.partition.topic()),
            partition: span.partition.id(),
            from: span.from,
            to: span.to,
        });
        let key = template.key(&table, &span);
        prop_assert!(key.starts_with(template.prefix()));
        prop_assert_eq!(&template.read(&key, numbers), &parts);
        prop_assert_eq!(read_dead_letters_key(&key, numbers), None);
        for compression in Compression::ALL {
            let letters = dead_letters_key(&span, compression);
            prop_assert_eq!(&read_dead_letters_key(&letters, numbers), &parts);
            prop_assert_eq!(template.read(&letters, numbers), None);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(key in any::<String>(), numbers in numbers(), template in prop::sample::select(&TEMPLATES[..])) {
        let _ = KeyTemplate::parse(template).unwrap().read(&key, numbers);
        let _ = read_dead_letters_key(&key, numbers);
    }

    #[test]
    fn keys_stay_within_bounds((table, span) in source(), template in prop::sample::select(&TEMPLATES[..])) {
        let key = KeyTemplate::parse(template).unwrap().key(&table, &span);
        for key in [key, dead_letters_key(&span, Compression::Gzip)] {
            prop_assert!(key.len() <= MAX_KEY);
            prop_assert!(!key.chars().any(|c| c.is_control() || c == '\\'));
            for segment in key.split('/') {
                prop_assert!(!segment.is_empty() && segment.len() <= MAX_SEGMENT);
                prop_assert!(!segment.starts_with('.'));
            }
        }
    }

    #[test]
    fn parsing_never_panics(text in any::<String>(), pieces in prop::collection::vec(prop::sample::select(
        &["{topic}", "{partition}", "{from}", "{to}", "{project}", "/", "-", "{", "}", "{{", "0", ".", "_dead_letters"][..]
    ), 0..14)) {
        for text in [text, pieces.concat()] {
            if let Ok(template) = KeyTemplate::parse(&text) {
                prop_assert_eq!(KeyTemplate::parse(&template.to_string()), Ok(template));
            }
        }
    }
}
