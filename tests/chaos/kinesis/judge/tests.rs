//! The judge must find what it is there to find.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const RECORDS: Records = Records {
    seed: 7,
    late: false,
    repeats: false,
};

fn place(n: usize) -> Place {
    let sequence = (5 + n / 4).to_string().parse().unwrap();
    Place {
        shard: 3,
        position: Position::in_shard(sequence, n as u64 % 4),
    }
}

/// The first sequences of producer 0 that become rows of table 0.
fn rows() -> Vec<u64> {
    let is_row = |n: &u64| RECORDS.class(0, *n) == Class::Row { table: 0 };
    (0..40).filter(is_row).collect()
}

fn line(sequence: u64) -> String {
    let value = RECORDS.value(0, sequence);
    format!("{{\"properties\":{{\"id\":\"r0-{sequence}\",\"v\":{value}}}}}\n")
}

/// Judges objects of lines, of a stream of nothing but the rows of table 0.
fn judged(objects: &[(&str, &str)]) -> Vec<&'static str> {
    let sent = (0..40).map(place).collect();
    let judge = Judge::new(RECORDS, "s", vec![sent]);
    for n in (0..40).filter(|n| !rows().contains(n)) {
        judge.seen[0][n as usize].store(true, Ordering::Relaxed);
    }
    for (key, text) in objects {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        judge.object(key, &gzip.finish().unwrap());
    }
    let _ = judge.verdict();
    judge.offences.counts().into_keys().collect()
}

const KEY: &str = "chaos/t0/s-shardId-000000000003-0.0-99.0.ndjson.gz";

#[test]
fn whatever_is_wrong_is_found() {
    let rows = rows();
    let all: String = rows.iter().map(|n| line(*n)).collect();
    assert_eq!(judged(&[(KEY, &all)]), [""; 0]);
    assert_eq!(judged(&[]), ["missing"]);
    let again = "chaos/t0/s-shardId-000000000003-99.0-100.0.ndjson.gz";
    let doubled = judged(&[(KEY, &all), (again, &line(rows[0]))]);
    assert_eq!(doubled, ["doubled", "misplaced"]);
    let backwards: String = rows.iter().rev().map(|n| line(*n)).collect();
    assert_eq!(judged(&[(KEY, &backwards)]), ["reordered"]);
    for key in [
        KEY.replace("t0", "t1"),
        KEY.replace("03-0.0", "04-0.0"),
        KEY.replace("-0.0-", "-7.0-"),
    ] {
        assert_eq!(judged(&[(&key, &all)]), ["misplaced"], "{key}");
    }
    let changed = all.replace("\"v\":", "\"v\":1");
    assert_eq!(judged(&[(KEY, &changed)]), ["changed"]);
    let strange = line(99_999) + &all;
    assert_eq!(judged(&[(KEY, &strange)]), ["foreign"]);
    assert_eq!(judged(&[(KEY, all.trim_end())]), ["unreadable"]);
    assert_eq!(judged(&[(KEY, &all), ("chaos/x", &all)]), ["foreign"]);
}
