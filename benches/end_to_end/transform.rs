//! Decoding, encoding and compressing alone: each on what the step before made, in memory, on one thread.
//!
//! Records are made and go through the steps as many at a time as in the program, which takes them from librdkafka like this and writes a batch
//! when it is whole: more at once would be measured as cache misses that the program does not have. Only what a step does itself is on its clock.

use std::sync::Arc;
use std::time::Duration;

use alluvium::decode::Decoder;
use alluvium::record::{Position, Record};
use alluvium::table::{ColumnSettings, Objects, TableBuilder};
use alluvium_objects::ObjectSettings;
use alluvium_objects::steps::{self, Compressor, PIECE_BYTES};
use alluvium_target::Table;
use arrow_array::RecordBatch;
use hashbrown::HashMap;

use crate::datasets::Dataset;
use crate::parts::column_settings;
use crate::support::process::own_cpu;

/// Records that go through the steps at a time.
const CHUNK: u64 = 512;
/// Rows of one batch, as in the program.
const BATCH_ROWS: usize = 2048;

/// The CPU time of each step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    pub(crate) decode: Duration,
    pub(crate) encode: Duration,
    pub(crate) compress: Duration,
}

/// Does the work of a dataset's records.
pub(crate) fn transform(dataset: &Dataset, events: u64, output: &ObjectSettings) -> Steps {
    let mut work = Work::new(dataset, output);
    let (mut payloads, mut chunk) = (dataset.payloads(), Chunk::default());
    let mut left = events;
    while left > 0 {
        chunk.clear();
        for _ in 0..left.min(CHUNK) {
            chunk.push(payloads.next());
        }
        left -= left.min(CHUNK);
        work.take(&chunk, left == 0);
    }
    assert_eq!(work.rows, events, "rows are missing");
    work.steps
}

/// Payloads one behind the other.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Chunk {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn push(&mut self, payload: &[u8]) {
        self.bytes.extend(payload);
        self.ends.push(self.bytes.len());
    }

    fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let payload = &self.bytes[start..end];
            start = end;
            payload
        })
    }
}

/// What stays between chunks.
struct Work<'a> {
    output: &'a ObjectSettings,
    decoder: Decoder,
    columns: Arc<ColumnSettings>,
    by_name: HashMap<Box<str>, usize>,
    tables: Vec<Making>,
    batches: Vec<(usize, RecordBatch)>,
    rows: u64,
    steps: Steps,
}

/// A table's rows on their way.
struct Making {
    table: Table,
    builder: TableBuilder,
    text: Vec<u8>,
    compressor: Compressor,
}

impl<'a> Work<'a> {
    fn new(dataset: &Dataset, output: &'a ObjectSettings) -> Self {
        Self {
            output,
            decoder: Decoder::new(dataset.decoder()),
            columns: Arc::new(column_settings(Objects::Map)),
            by_name: HashMap::new(),
            tables: Vec::new(),
            batches: Vec::new(),
            rows: 0,
            steps: Steps::default(),
        }
    }

    fn take(&mut self, chunk: &Chunk, last: bool) {
        // Batches die when the next ones are whole, as in the program: else the allocator would give their memory back to
        // the system each time, and get it again page by page.
        let before = std::mem::take(&mut self.batches);
        let start = own_cpu();
        self.decode(chunk);
        if last {
            self.finish();
        }
        let decoded = own_cpu();
        drop(before);
        let ready = own_cpu();
        self.encode();
        let encoded = own_cpu();
        self.compress(last);
        let compressed = own_cpu();
        self.steps.decode += decoded - start;
        self.steps.encode += encoded - ready;
        self.steps.compress += compressed - encoded;
    }

    fn decode(&mut self, chunk: &Chunk) {
        for payload in chunk.payloads() {
            let record = Record {
                position: Position::at(0),
                timestamp: None,
                key: None,
                payload: Some(payload),
                schema: None,
                origin: None,
            };
            let row = self.decoder.decode("events", &record).expect("a record");
            let at = match self.by_name.get(row.collection()) {
                Some(at) => *at,
                None => {
                    self.tables.push(Making {
                        table: Table::new(row.project(), row.collection()),
                        builder: TableBuilder::new(&self.columns, 1_700_000_000_000),
                        text: Vec::new(),
                        compressor: Compressor::new(self.output),
                    });
                    let at = self.tables.len() - 1;
                    self.by_name.insert(row.collection().into(), at);
                    at
                }
            };
            let builder = &mut self.tables[at].builder;
            builder.append(&row);
            if builder.rows() >= BATCH_ROWS || builder.full() {
                self.batches.push((at, builder.finish()));
            }
        }
    }

    fn finish(&mut self) {
        for (at, making) in self.tables.iter_mut().enumerate() {
            self.batches.push((at, making.builder.finish()));
        }
    }

    fn encode(&mut self) {
        for (at, batch) in &self.batches {
            let making = &mut self.tables[*at];
            steps::write_lines(self.output, &making.table, batch, &mut making.text)
                .expect("columns that have text");
            self.rows += batch.num_rows() as u64;
        }
    }

    fn compress(&mut self, last: bool) {
        for making in &mut self.tables {
            let whole = making.text.len() / PIECE_BYTES * PIECE_BYTES;
            let ready = if last { making.text.len() } else { whole };
            for piece in making.text[..ready].chunks(PIECE_BYTES) {
                let bytes = making.compressor.piece(piece);
                std::hint::black_box(bytes.expect("a compressor that works"));
            }
            making.text.drain(..ready);
        }
    }
}
