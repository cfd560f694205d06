//! A plan that cannot be finished is given up by a person, with the group's own brokers.

use crate::support::config::Config;
use crate::support::output::{scratch, table_rows};
use crate::support::program::{Program, alluvium, stderr};
use crate::support::service::shared_kafka;
use crate::support::{broker, eventually, seconds, unique};

#[test]
fn a_plan_is_given_up_only_when_nobody_reads_and_reading_goes_on_at_its_checkpoint() {
    let (kafka, topic) = (shared_kafka(), unique("recover"));
    let (_scratch, directory) = scratch();
    broker::create_topic(&kafka, &topic, 2);
    let config = Config::new(&directory, &kafka, &topic)
        .set("source.data-format.json.layout", "PLAIN")
        .set("kafka.session.timeout.ms", "6000");
    let sender = broker::Sender::new(&kafka, &topic);
    for number in 0..60 {
        let payload = format!("{{\"n\":{number}}}");
        sender.send(number % 2, None, Some(payload.as_bytes()));
    }
    sender.finish();
    broker::store(&kafka, &topic, (&topic, 0), 5, "alluvium/9 from the future");
    let file = config.write().display().to_string();
    let place = format!("{topic}-0");
    let recover = |more: &[&str]| {
        let arguments = [&["recover", "--config", file.as_str()], more].concat();
        let output = alluvium(&arguments);
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), shown + &stderr(&output))
    };

    // While a copy runs, its other partition is read, and no plan can be discarded.
    let mut program = Program::start(&config);
    program.wait_ready();
    eventually("the other partition", seconds(120), || {
        broker::committed(&kafka, &topic, &topic, 2).get(&1) == Some(&30)
    });
    let discard = ["--discard-plan", "--partition", place.as_str()];
    let (code, shown) = recover(&discard);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("stop all copies"), "{shown}");
    program.signal("TERM");
    assert_eq!(program.wait(seconds(120)), 1, "{}", program.log());

    // Not without naming it: nobody can tell where the outputs of such a plan are.
    let (code, shown) = recover(&["--discard-plan"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("nothing was changed") && shown.contains("--partition"),
        "{shown}"
    );
    let (code, shown) = recover(&discard);
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("plan discarded; reading begins at 5"),
        "{shown}"
    );

    Program::until_end(&config, seconds(120));
    assert_eq!(table_rows(&config.output()).len(), 25 + 30);
    assert_eq!(recover(&[]), (Some(0), "no open plans\n".into()));
}
