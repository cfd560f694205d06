//! Avro events to rows and to record batches: what a record costs at each step.
//!
//! The events are about 213 bytes and have 13 to 18 fields: 13, and up to five that may be null. `cargo bench --bench avro`
//! prints the time for [`RECORDS`] of them; the counter is records per second, on one core. Lines with a 3 have three schemas, one record
//! after the other.

#![expect(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a benchmark on its own data"
)]

use std::sync::Arc;

use alluvium::decode::avro::{
    AvroDecoder, AvroSettings, Collection, Encoding, Found, Schema, SchemaId, Schemas,
};
use alluvium::table::{ColumnSettings, Objects, TableBuilder, UserType, Zone};
use divan::Bencher;
use divan::counter::ItemsCount;

/// Records per measured round.
const RECORDS: usize = 20_000;
/// Rows per batch.
const BATCH: usize = 4_000;

fn main() {
    let events = events(1);
    let bytes: usize = events.iter().map(Vec::len).sum();
    eprintln!("{RECORDS} records of {} bytes on average", bytes / RECORDS);
    divan::main();
}

#[divan::bench(args = [1, 3])]
fn decode(bencher: Bencher<'_, '_>, schemas: u8) {
    let events = events(schemas);
    let mut decoder = decoder();
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        let mut fields = 0;
        for event in &events {
            let row = decoder.decode("events", Some(event), None).expect("valid");
            fields += row.values().len();
        }
        fields
    });
}

#[divan::bench(args = [1, 3])]
fn decode_append_finish(bencher: Bencher<'_, '_>, schemas: u8) {
    let events = events(schemas);
    let mut decoder = decoder();
    let mut table = builder();
    // A batch is dropped when the next one is whole, as if it were written meanwhile.
    let mut batch = None;
    bencher.counter(ItemsCount::new(RECORDS)).bench_local(|| {
        for event in &events {
            let row = decoder.decode("events", Some(event), None).expect("valid");
            table.append(&row);
            if table.rows() == BATCH {
                batch = divan::black_box(Some(table.finish()));
            }
        }
    });
    drop(batch);
}

fn builder() -> TableBuilder {
    let settings = Arc::new(ColumnSettings {
        checkpoint_field: "_shard_time".into(),
        time_field: "_time".into(),
        user_field: "_user".into(),
        user_type: UserType::String,
        zone: Zone::UTC,
        objects: Objects::Map,
    });
    TableBuilder::new(&settings, 1_700_000_000_000)
}

#[derive(Debug)]
struct One(Arc<Schema>);

impl Schemas for One {
    fn find(&self, _: SchemaId) -> Found {
        Found::Schema(self.0.clone())
    }
}

fn decoder() -> AvroDecoder {
    let schema = Schema::parse(&schema(), &[]).expect("a schema");
    AvroDecoder::new(AvroSettings {
        encoding: Encoding::Confluent,
        project: "demo".into(),
        collection: Collection::Topic,
        reader: None,
        schemas: Arc::new(One(Arc::new(schema))),
        max_bytes: 1 << 20,
    })
}

fn schema() -> String {
    let mut fields = vec![
        r#"{"name":"_time","type":{"type":"long","logicalType":"timestamp-millis"}}"#.to_owned(),
    ];
    let texts = [
        "_user", "_session", "url", "referrer", "country", "platform", "version",
    ];
    fields.extend(texts.map(|name| format!(r#"{{"name":"{name}","type":"string"}}"#)));
    let others = [
        ("screen_width", "int"),
        ("duration_ms", "long"),
        ("price", "double"),
        ("logged_in", "boolean"),
        ("quantity", "int"),
    ];
    fields.extend(others.map(|(name, kind)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#)));
    fields.extend((0..5).map(|n| format!(r#"{{"name":"more{n}","type":["null","string"]}}"#)));
    format!(
        r#"{{"type":"record","name":"Event","fields":[{}]}}"#,
        fields.join(",")
    )
}

fn events(schemas: u8) -> Vec<Vec<u8>> {
    let mut random = Random(42);
    (0..RECORDS)
        .map(|n| event(&mut random, n, schemas))
        .collect()
}

fn event(random: &mut Random, n: usize, schemas: u8) -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, (n % usize::from(schemas)) as u8];
    long(&mut out, 1_769_835_600_000 + n as i64);
    text(&mut out, &format!("user-{:06}", random.below(50_000)));
    text(&mut out, &format!("{:016x}", random.next()));
    text(
        &mut out,
        &format!(
            "https://shop.example/products/of-this-year-or-last/{}",
            random.below(2000)
        ),
    );
    text(
        &mut out,
        &format!(
            "https://search.example/?q={}&page={}",
            random.below(300),
            random.below(9)
        ),
    );
    text(&mut out, ["DE", "TR", "US", "FR", "JP"][random.below(5)]);
    text(&mut out, ["ios", "android", "web"][random.below(3)]);
    text(
        &mut out,
        &format!("{}.{}.0", random.below(4), random.below(20)),
    );
    long(&mut out, 320 + random.below(1600) as i64);
    long(&mut out, random.below(100_000) as i64);
    out.extend((random.below(50_000) as f64 / 100.0).to_le_bytes());
    out.push(random.below(2) as u8);
    long(&mut out, random.below(9) as i64);
    for _ in 0..5 {
        if random.below(2) == 0 {
            out.push(0);
        } else {
            out.push(2);
            text(&mut out, &format!("campaign-{:08x}", random.next() as u32));
        }
    }
    out
}

fn long(out: &mut Vec<u8>, value: i64) {
    let mut word = (value << 1 ^ value >> 63).cast_unsigned();
    while word >= 0x80 {
        out.push(word as u8 | 0x80);
        word >>= 7;
    }
    out.push(word as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    long(out, text.len() as i64);
    out.extend(text.as_bytes());
}

/// A small generator of numbers that are random enough, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
