//! Black-box tests against real services: Apache Kafka, an S3 server, PostgreSQL, MariaDB and a schema registry. `make test` starts them.

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

mod catalog;
mod checks;
mod cost;
mod end_to_end;
mod examples;
mod failures;
mod historical;
mod idle;
mod poison;
mod readers;
mod recover;
mod registry;
mod restarts;
mod retention;
mod types;
mod versions;
