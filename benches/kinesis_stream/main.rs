//! From a Kinesis to columns, and to S3: what a record of a stream costs the program, beside what one of Kafka's does.
//!
//! A server in this process ([`server`]) has a stream of twelve shards ready in memory, as answers in the service's protocol. One worker as the
//! program has them ([`reading`]) reads it over HTTP with the AWS SDK, by asking, as fast as the readers of shards let it: they keep to the
//! service's 2 MiB a second of each shard, so the rate says nothing, and the CPU time is the number to compare. The server runs on one
//! thread of its own, whose CPU time is taken from that of the process and shown beside it. What the kernel does to hand over what is sent
//! on a loopback connection is mostly the sender's, here the server's.
//!
//! Cases are called by target, format and the producer: `aggregated` are [`stock::USERS`] events in a record, as the producer's library packs them. The
//! events are those of `make bench`'s `json-400-5-gzip1`, but every shard has the same ones. `columns` are thrown away when they are whole; the
//! cases of `s3` need the server that `ALLUVIUM_TEST_S3_*` name. `make bench-kinesis` starts it and runs this.
//!
//! | variable | meaning |
//! |---|---|
//! | `ALLUVIUM_BENCH_ONLY` | the name of the one case that runs |
//! | `ALLUVIUM_BENCH_ROUNDS` | how often each case runs (3); shown are the median, the least and the greatest |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a benchmark on its own data"
)]

#[path = "../data/mod.rs"]
#[allow(
    clippy::duplicate_mod,
    reason = "other benchmarks include it by itself"
)]
mod data;
#[path = "../parts/mod.rs"]
mod parts;
#[path = "../end_to_end/spread.rs"]
#[allow(dead_code, reason = "its other user compares")]
mod spread;
#[path = "../../tests/support/mod.rs"]
mod support;

mod reading;
mod server;
mod stock;

use std::time::Duration;

use self::reading::{Used, Way};
use self::server::Server;
use self::spread::Spread;
use self::stock::Producer;

/// What `cargo bench` adds to the arguments, and `cargo test`, which runs benches too, does not.
const WANTED: &str = "--bench";

const CASES: [(&str, Way, Producer); 4] = [
    ("columns-json-400-5", Way::Columns, Producer::Plain),
    (
        "columns-json-400-5-aggregated",
        Way::Columns,
        Producer::Aggregating,
    ),
    ("s3-json-400-5-gzip1", Way::S3, Producer::Plain),
    (
        "s3-json-400-5-aggregated-gzip1",
        Way::S3,
        Producer::Aggregating,
    ),
];

fn main() {
    if !std::env::args().any(|argument| argument == WANTED) {
        return;
    }
    let only = std::env::var("ALLUVIUM_BENCH_ONLY").ok();
    println!(
        "| case | records/s | CPU s per million records | records per CPU s | the server's CPU s per million, not in it |"
    );
    println!("|---|---|---|---|---|");
    for (name, way, producer) in CASES {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(name, way, producer);
        }
    }
}

fn measure(name: &str, way: Way, producer: Producer) {
    let answers = stock::answers(producer);
    let rounds = support::setting("ALLUVIUM_BENCH_ROUNDS", 3);
    let server = Server::start(answers);
    let used: Vec<Used> = (0..rounds).map(|_| reading::read(&server, way)).collect();
    let millions = stock::RECORDS as f64 / 1e6;
    let spread = |decimals, of: &dyn Fn(&Used) -> f64| Spread::new(used.iter().map(of), decimals);
    let each = |time: Duration| time.as_secs_f64() / millions;
    println!(
        "| `{name}` | {} | {} | {} | {} |",
        spread(0, &|used| stock::RECORDS as f64
            / used.elapsed.as_secs_f64()),
        spread(2, &|used| each(used.program)),
        spread(0, &|used| stock::RECORDS as f64
            / used.program.as_secs_f64()),
        spread(2, &|used| each(used.server)),
    );
}
