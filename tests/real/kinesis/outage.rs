//! The table of leases is away for a minute.

use std::time::{Duration, Instant};

use super::Bench;
use crate::support::program::Program;
use crate::support::proxy::{Fault, Proxy};
use crate::support::service::given;
use crate::support::{eventually, seconds};

const AWAY: Duration = seconds(60);

#[test]
fn a_minute_without_the_lease_table_holds_what_is_read_and_doubles_nothing() {
    let mut bench = Bench::new(2);
    let table = Proxy::new(&given("ALLUVIUM_TEST_DYNAMODB"), 1);
    bench.config = bench
        .config
        .set("aws.dynamodb-endpoint", &table.door().endpoint())
        .set("middleware.max-flush-duration", "500ms")
        .set("kinesis.workers", "1");
    let mut programs = [
        Program::start(&bench.config),
        Program::start(&bench.config.another()),
    ];
    bench.send(500);
    bench.wait_for_all();

    // Silence at first, so that whoever waits for an answer waits in vain; then nobody is there.
    table.set_hang(seconds(20));
    table.set(Fault::Hang, 1_000);
    let since = Instant::now();
    bench.send(300);
    std::thread::sleep(AWAY / 2);
    table.set(Fault::Hang, 0);
    table.set(Fault::Reset, 1_000);
    bench.send(300);
    std::thread::sleep(AWAY.saturating_sub(since.elapsed()));
    // A plan must be stored before anything is written.
    assert_eq!(bench.numbers().len(), 500);
    for program in &mut programs {
        assert!(program.is_running(), "{}", program.log());
    }
    // Each worker looks about once in a failover time.
    let log = programs[0].log() + &programs[1].log();
    let failed = log.matches("cannot look at the lease table").count();
    assert!((4..100).contains(&failed), "{failed} times: {log}");

    table.calm();
    let back = Instant::now();
    bench.wait_for_all();
    eprintln!(
        "all is there {:.1?} after the table is back",
        back.elapsed()
    );
    bench.send(200);
    bench.wait_for_all();
    let [one, other] = &mut programs;
    one.stop();
    eventually("all records in the target", seconds(120), || {
        bench.numbers().len() >= bench.sent as usize
    });
    other.stop();
    bench.assert_all();
    bench.ask(&["verify", "--deep"]);
    assert_eq!(bench.ask(&["recover"]), "no open plans\n");
}
