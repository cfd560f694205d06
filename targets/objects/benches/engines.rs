//! What our deflate and zlib-rs make of the seeded 400-byte events, and what they cost.
//!
//! `make engines` runs it in turn with engines in C (`scripts/engines`). Two verbs: `write PATH` writes the
//! pieces of text that all engines get, each behind its length (4 bytes, the lowest first); `round` compresses them once
//! with each engine at each level and prints, separated by tabs, engine, level, rows, bytes before, bytes after,
//! and microseconds of this thread's CPU time. `EVENT_BYTES` (150, 400 or 2000) chooses other events.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark may panic and prints"
)]

use std::io::Write as _;

use alluvium_objects::deflate::Deflater;
use flate2::{Compress, Compression, FlushCompress};
use rustix::time::{ClockId, clock_gettime};

#[path = "../../../benches/data/mod.rs"]
#[allow(unreachable_pub, reason = "shared with other benchmarks")]
mod data;

use data::{Event, Events, Size, Value};

const ROWS: usize = 40_000;

/// As objects are cut.
const PIECE: usize = 240 * 1024;

fn main() {
    let args: Vec<String> = std::env::args().filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["write", path] => write(path),
        ["round"] => round(),
        _ => println!("verbs: write PATH, round (make engines runs both)"),
    }
}

fn write(path: &str) {
    let mut bytes = Vec::new();
    for piece in pieces() {
        bytes.extend_from_slice(&(piece.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&piece);
    }
    std::fs::write(path, bytes).expect("a path that can be written");
}

fn round() {
    let pieces = pieces();
    for level in 1..=9 {
        let mut deflater = Deflater::new(level);
        measure("alluvium", level, &pieces, |piece| {
            deflater.compress(piece).len()
        });
        let mut state = Compress::new(Compression::new(level), false);
        let mut out = Vec::with_capacity(2 * PIECE);
        measure("zlib-rs", level, &pieces, |piece| {
            out.clear();
            state.reset();
            state
                .compress_vec(piece, &mut out, FlushCompress::Sync)
                .expect("a compressor that works");
            out.len()
        });
    }
}

fn measure(engine: &str, level: u32, pieces: &[Vec<u8>], mut compress: impl FnMut(&[u8]) -> usize) {
    let start = cpu();
    let after: usize = pieces.iter().map(|piece| compress(piece)).sum();
    let spent = cpu() - start;
    let before: usize = pieces.iter().map(Vec::len).sum();
    println!("{engine}\t{level}\t{ROWS}\t{before}\t{after}\t{spent:.0}");
}

/// Microseconds of CPU that this thread has had.
fn cpu() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

fn pieces() -> Vec<Vec<u8>> {
    let size = match std::env::var("EVENT_BYTES").as_deref() {
        Ok("150") => Size::Bytes150,
        Ok("2000") => Size::Bytes2000,
        _ => Size::Bytes400,
    };
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    for event in Events::new(1, size, 5).take(ROWS) {
        write_line(&event, &mut text).expect("memory takes what is written");
        if text.len() >= PIECE {
            pieces.push(std::mem::take(&mut text));
        }
    }
    pieces.push(text);
    pieces
}

/// An event as a line of the flat layout, with the names of its schema and table.
fn write_line(event: &Event, out: &mut Vec<u8>) -> std::io::Result<()> {
    let table = &event.table;
    write!(out, "{{\"$schema\":\"bench\",\"$table\":\"{table}\"")?;
    for (name, value) in &event.fields {
        match value {
            Some(Value::Text(text)) => write!(out, ",\"{name}\":\"{text}\"")?,
            Some(Value::Long(long)) => write!(out, ",\"{name}\":{long}")?,
            Some(Value::Double(double)) => write!(out, ",\"{name}\":{double}")?,
            Some(Value::Bool(bool)) => write!(out, ",\"{name}\":{bool}")?,
            None => {}
        }
    }
    writeln!(out, "}}")
}
