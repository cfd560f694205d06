//! Black-box tests against real services: Apache Kafka, an S3 server, PostgreSQL, MariaDB, a schema registry, DynamoDB Local and a Kinesis. `make test` starts them.

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
mod kcl;
mod leases;
mod kinesis;
mod kinesis_bulk;
mod poison;
mod readers;
mod recover;
mod registry;
mod restarts;
mod retention;
mod stream;
mod types;
mod versions;
