//! What the black-box tests share: services to run against, the program as a process, records to
//! feed it, and ways to read back what it wrote.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses its own part of this"
)]

/// Aggregates as the Kinesis Producer Library writes them.
#[path = "../../src/source/kinesis/aggregate/written.rs"]
pub(crate) mod aggregate;
pub mod avro;
pub mod broker;
pub mod catalog;
pub mod config;
pub mod events;
pub mod http;
pub mod kinesis;
pub mod kcl;
pub mod leases;
pub mod objects;
pub mod output;
pub mod process;
pub mod program;
pub mod proxy;
pub mod random;
pub mod registry;
pub mod service;
pub mod target;

use std::time::{Duration, Instant};

/// Waits until `done` is true, or fails the test naming what was awaited.
pub fn eventually(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < limit,
            "waited {limit:?} in vain for: {what}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A number that a variable may set.
pub fn setting(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Err(_) => default,
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a whole number")),
    }
}

/// A name no other test, and no other run against the same services, uses.
pub fn unique(name: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let run = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() % 1_000_000;
    format!(
        "{name}-{run}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Seconds, for short.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
