//! What is open or damaged is shown, and finished, given up or mended.

use std::collections::BTreeMap;

use serde_json::json;

use super::Bench;
use crate::support::output::{files, text};
use crate::support::program::{Program, alluvium, stderr};
use crate::support::{eventually, seconds};

impl Bench {
    /// Exit code and all that is said.
    fn try_ask(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let file = self.config.write().display().to_string();
        let output = alluvium(&[arguments, &["--config", &file]].concat());
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), shown + &stderr(&output))
    }

    /// Runs until a point of the protocol is passed, which is the end of the process.
    fn die_at(&self, point: &str) {
        let environment = [("ALLUVIUM_FAILPOINT", point)];
        let mut program = Program::start_in(&self.config, &["--until-end"], &environment);
        assert_eq!(program.wait(seconds(120)), -1, "{}", program.log());
    }

    /// The objects in the target.
    fn objects(&self) -> BTreeMap<String, String> {
        let directory = self.config.output();
        let mut names = files(&directory);
        names.retain(|name| !name.starts_with(".alluvium"));
        let with_text = |name: String| {
            let text = text(&directory.join(&name));
            (name, text)
        };
        names.into_iter().map(with_text).collect()
    }
}

#[test]
fn a_plan_that_a_killed_process_left_is_shown_and_the_next_finishes_it() {
    let mut bench = Bench::new(1);
    bench.send(300);
    let states = [
        ("planned:1", "nothing is in the target"),
        ("written:1", "complete in the target, 1 objects"),
    ];
    for (point, state) in states {
        bench.die_at(point);
        let shown = bench.ask(&["recover"]);
        let place = format!("{}-shardId-000000000000", bench.stream);
        let head = format!("{place}: an open plan, made with the present settings");
        assert!(shown.contains(&head) && shown.contains(state), "{shown}");
        assert!(shown.contains("nothing was changed"), "{shown}");
        Program::until_end(&bench.config, seconds(120));
        bench.assert_all();
        assert_eq!(bench.ask(&["recover"]), "no open plans\n");
        bench.ask(&["verify", "--deep"]);
        bench.send(200);
    }
    Program::until_end(&bench.config, seconds(120));
    bench.assert_all();
}

#[test]
fn a_plan_is_given_up_only_when_nobody_reads_and_its_records_are_read_again() {
    let mut bench = Bench::new(2);
    bench.send(100);
    Program::until_end(&bench.config, seconds(120));
    let folder = bench.config.output().join("shop");
    let aside = bench.config.directory.join("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "a file where a directory should be").unwrap();

    let mut program = Program::start(&bench.config);
    bench.send(100);
    let plans = || bench.ask(&["recover"]).matches(": an open plan").count();
    eventually("two plans", seconds(120), || plans() == 2);
    let (code, shown) = bench.try_ask(&["recover", "--discard-plan"]);
    assert_eq!(code, Some(1), "{shown}");
    assert!(shown.contains("stop all copies"), "{shown}");
    assert_eq!(plans(), 2);
    program.kill();

    let place = format!("{}-shardId-000000000001", bench.stream);
    let shown = bench.ask(&["recover", "--discard-plan", "--partition", &place]);
    let said = format!("{place}: plan discarded; reading begins at ");
    assert!(shown.contains(&said), "{shown}");
    assert_eq!(plans(), 1);
    let shown = bench.ask(&["recover", "--discard-plan"]);
    assert!(
        shown.contains("shardId-000000000000: plan discarded"),
        "{shown}"
    );
    assert_eq!(bench.ask(&["recover"]), "no open plans\n");

    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    bench.send(100);
    Program::until_end(&bench.config, seconds(120));
    bench.assert_all();
    bench.ask(&["verify", "--deep"]);
}

#[test]
fn a_lost_object_is_found_out_and_written_again_as_it_was() {
    let mut bench = Bench::new(2);
    // One span of each shard and round, however long a round takes.
    bench.config = bench.config.set("middleware.max-flush-duration", "10m");
    for round in 0..2 {
        bench.send(60);
        let other = |n: u32| {
            let data = json!({"_project": "shop", "_collection": "view", "n": round * 100 + n});
            (format!("v{n}"), json!({ "data": data }).to_string().into())
        };
        bench.put(&(0..60).map(other).collect::<Vec<_>>());
        Program::until_end(&bench.config, seconds(120));
    }
    bench.ask(&["verify", "--deep"]);
    let whole = bench.objects();
    // Two tables, shards and rounds.
    assert_eq!(whole.len(), 8, "{:?}", whole.keys());

    // The spans of a shard by where they begin: before the first record, and behind an earlier span.
    let place = format!("{}-shardId-000000000001", bench.stream);
    let head = format!("shop/click/{place}-");
    let names: Vec<_> = whole
        .keys()
        .filter(|name| name.starts_with(&head))
        .collect();
    assert_eq!(names.len(), 2);
    for name in names {
        std::fs::remove_file(bench.config.output().join(name)).unwrap();
        let ends = name[head.len()..].strip_suffix(".ndjson.gz").unwrap();
        let (from, to) = ends.split_once('-').unwrap();
        let (code, shown) = bench.try_ask(&["verify"]);
        assert_eq!(code, Some(1), "{shown}");
        let said = format!("VIOLATION {place} [{from}, {to}): 1 of 2 objects");
        assert!(shown.contains(&said), "{said}: {shown}");
        let replay = ["replay", "--partition", &place, "--from", from, "--to", to];
        let shown = bench.ask(&replay);
        assert!(shown.contains("1 spans, 2 objects with "), "{shown}");
        assert_eq!(bench.objects(), whole);
        bench.ask(&["verify", "--deep"]);
    }
    // No checkpoint has moved: there is nothing to be read again.
    Program::until_end(&bench.config, seconds(120));
    assert_eq!(bench.objects(), whole);
}
