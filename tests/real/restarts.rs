//! The program stopped, killed, added and removed while records flow, under every way to be a member of a group.

use std::thread;

use crate::checks::Stream;
use crate::support::config::Config;
use crate::support::program::Program;
use crate::support::service::{Bucket, shared_kafka};
use crate::support::{eventually, seconds};

/// How processes are members of their group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// A new member at every start.
    Dynamic,
    /// The same member again after a restart (`group.instance.id`).
    Static,
    /// The protocol of KIP-848, in which the brokers assign.
    Consumer,
}

impl Membership {
    /// The configuration of the process called `name`.
    fn config(self, config: &Config, name: &str) -> Config {
        let config = config.clone();
        match self {
            Self::Dynamic => config.set("kafka.session.timeout.ms", "6000"),
            Self::Static => config
                .set("kafka.session.timeout.ms", "6000")
                .set("kafka.client.group.instance.id", name),
            // How long a session lasts is up to the brokers.
            Self::Consumer => config.set("kafka.client.group.protocol", "consumer"),
        }
    }

    fn stream(self, name: &str) -> Stream {
        let name = format!("{name}-{self:?}").to_lowercase();
        Stream::new(&name, &shared_kafka())
    }
}

/// Waits until the group has committed at least `records`, so that what follows happens in mid-stream.
fn wait_in_mid_stream(stream: &Stream, records: i64) {
    eventually("commits in mid-stream", seconds(180), || {
        let committed = stream.committed();
        committed.values().sum::<i64>() >= records
    });
}

/// SIGTERM in mid-stream, twice, and once SIGINT: every record exactly once.
#[test]
fn a_stop_in_mid_stream_neither_loses_nor_doubles() {
    let bucket = Bucket::shared();
    let stream = Stream::new("sigterm", &shared_kafka());
    let config = stream.config().s3(&bucket);
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(200_000, seconds(20)));
        for (stop, signal) in [(1, "TERM"), (2, "INT"), (3, "TERM")] {
            let mut program = Program::start(&config);
            // So much may be committed already, and it does not hear of signals from its first moment on.
            program.wait_ready();
            wait_in_mid_stream(&stream, stop * 40_000);
            program.signal(signal);
            assert_eq!(
                program.wait(seconds(120)),
                0,
                "SIG{signal} must end with exit 0; log:\n{}",
                program.log()
            );
        }
        feeder.join().unwrap();
    });
    Program::until_end(&config, seconds(180));
    assert!(stream.is_committed());
    stream.assert_exact(&stream.fetch(&bucket));
}

/// kill -9 in mid-stream, three times, and a new start at once: every record exactly once.
fn crash_in_mid_stream(membership: Membership) {
    let stream = membership.stream("crash");
    let config = membership.config(&stream.config(), "one");
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(150_000, seconds(20)));
        for crash in 1..=3 {
            let mut program = Program::start(&config);
            wait_in_mid_stream(&stream, crash * 25_000);
            program.kill();
        }
        feeder.join().unwrap();
    });
    Program::until_end(&config, seconds(180));
    assert!(stream.is_committed());
    stream.assert_exact(&config.output());
}

#[test]
fn a_crash_in_mid_stream_loses_nothing() {
    crash_in_mid_stream(Membership::Dynamic);
}

#[test]
fn a_crash_of_a_static_member_loses_nothing() {
    crash_in_mid_stream(Membership::Static);
}

#[test]
fn a_crash_under_the_consumer_protocol_loses_nothing() {
    crash_in_mid_stream(Membership::Consumer);
}

/// Starts a process that joins others, and waits until it has something to do.
fn joined(config: &Config) -> Program {
    let mut program = Program::start(config);
    program.wait_ready();
    eventually("the new process to get partitions", seconds(120), || {
        program.metrics().sum("alluvium_partitions", &[]) > 0.0
    });
    program
}

/// Two more processes join the group under load and leave it again, one cleanly, one by a crash.
fn added_and_removed(membership: Membership) {
    let stream = membership.stream("rebalance");
    let base = stream.config().set("kafka.workers", "2");
    let first = membership.config(&base, "one");
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(200_000, seconds(40)));
        let mut one = Program::start(&first);
        wait_in_mid_stream(&stream, 10_000);
        let mut two = joined(&membership.config(&base, "two").another());
        let mut three = joined(&membership.config(&base, "three").another());
        wait_in_mid_stream(&stream, 60_000);
        two.stop();
        three.kill();
        feeder.join().unwrap();
        stream.wait_committed(seconds(180));
        one.stop();
    });
    stream.assert_exact(&first.output());
}

#[test]
fn processes_added_and_removed_under_load_lose_nothing() {
    added_and_removed(Membership::Dynamic);
}

#[test]
fn static_members_added_and_removed_under_load_lose_nothing() {
    added_and_removed(Membership::Static);
}

#[test]
fn processes_added_and_removed_under_the_consumer_protocol_lose_nothing() {
    added_and_removed(Membership::Consumer);
}

/// A process is frozen beyond its session, with writes and commits under way, and wakes up when others have gone on with its
/// partitions. Three times.
fn frozen_and_woken(membership: Membership) {
    let stream = membership.stream("frozen");
    let base = stream.config().set("kafka.workers", "2");
    let first = membership.config(&base, "one");
    thread::scope(|scope| {
        let feeder = scope.spawn(|| stream.feed(200_000, seconds(60)));
        let mut one = Program::start(&first);
        let mut two = joined(&membership.config(&base, "two").another());
        for round in 1..=3 {
            wait_in_mid_stream(&stream, round * 20_000);
            two.signal("STOP");
            thread::sleep(seconds(11));
            two.signal("CONT");
        }
        feeder.join().unwrap();
        stream.wait_committed(seconds(180));
        one.stop();
        two.stop();
    });
    stream.assert_exact(&first.output());
}

#[test]
fn a_process_that_freezes_and_wakes_up_does_no_harm() {
    frozen_and_woken(Membership::Dynamic);
}

#[test]
fn a_static_member_that_freezes_and_wakes_up_does_no_harm() {
    frozen_and_woken(Membership::Static);
}

#[test]
fn a_process_that_freezes_under_the_consumer_protocol_does_no_harm() {
    frozen_and_woken(Membership::Consumer);
}

/// A static member that is killed and comes back within its session is given what it had, and nobody else is
/// disturbed: the other process sees no rebalance.
#[test]
fn a_static_member_that_returns_in_time_disturbs_nobody() {
    let stream = Membership::Static.stream("returns");
    let member = |name| {
        Membership::Static
            .config(&stream.config().set("kafka.workers", "1"), name)
            .set("kafka.session.timeout.ms", "120000")
    };
    let (first, second) = (member("one"), member("two").another());
    thread::scope(|scope| {
        let mut one = joined(&first);
        let mut two = joined(&second);
        // Moving partitions takes more than one round.
        let shares = |one: &Program, two: &Program| {
            [one, two].map(|program| program.metrics().sum("alluvium_partitions", &[]))
        };
        eventually("an even share", seconds(120), || {
            shares(&one, &two) == [6.0, 6.0]
        });
        // Not before: how long it takes to get here is up to the machine.
        let feeder = scope.spawn(|| stream.feed(150_000, seconds(40)));
        wait_in_mid_stream(&stream, 5_000);
        let rebalances = two.metrics().sum("alluvium_rebalances_total", &[]);

        one.kill();
        let mut one = joined(&first);
        eventually("the same share as before", seconds(180), || {
            shares(&one, &two) == [6.0, 6.0]
        });
        assert_eq!(
            two.metrics().sum("alluvium_rebalances_total", &[]),
            rebalances,
            "the other process was disturbed"
        );
        feeder.join().unwrap();
        stream.wait_committed(seconds(180));
        one.stop();
        two.stop();
    });
    stream.assert_exact(&first.output());
}
