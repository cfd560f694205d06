//! Black-box tests without services: librdkafka's in-process mock cluster as broker, files as target.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod avro;
mod bound;
mod catalog;
mod cli;
mod delivery;
mod docs;
mod formats;
mod names;
mod repair;
mod repeats;
mod seen;
