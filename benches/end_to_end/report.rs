//! What was measured as tables, on the screen and in `target/bench/results.md`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::cases::Case;
use crate::goals;
use crate::matrix::programs;
use crate::run::Used;
use crate::spread::Spread;
use crate::stages::Stages;
use crate::standing::Standing;

/// What was measured of a case with a program.
pub(crate) struct Row {
    pub(crate) case: Case,
    pub(crate) program: OsString,
    /// Bytes of all payloads.
    pub(crate) bytes: u64,
    pub(crate) used: Vec<Used>,
    pub(crate) stages: Vec<Stages>,
}

/// All tables so far.
#[derive(Default)]
pub(crate) struct Report {
    totals: String,
    stages: String,
    standing: String,
    /// Goals that rows miss, a line for each.
    pub(crate) missed: Vec<String>,
}

const TOTALS: &str = "\
| case | records/s | MB/s in | CPU s per million records | records per CPU s | sum of stages, CPU s per million | CPU ÷ sum of stages | peak memory, MB | objects | MB written | text : stored |
|---|---|---|---|---|---|---|---|---|---|---|
";
const STAGES: &str = "\
| case | consume | decode | encode | compress | upload | sum |
|---|---|---|---|---|---|---|
";

impl Report {
    pub(crate) fn add(&mut self, rows: impl Iterator<Item = Row>) {
        for (number, row) in rows.enumerate() {
            let line = row.totals();
            print!("{TOTALS}{line}");
            self.totals.push_str(&line);
            self.missed.extend(goals::missed(&row));
            // The stages are the same whatever the program.
            if number == 0 {
                let line = row.stages();
                print!("{STAGES}{line}");
                self.stages.push_str(&line);
            }
        }
        self.write();
    }

    pub(crate) fn standing(&mut self, standing: &Standing) {
        writeln!(
            self.standing,
            "Start to first record: {} ms. Idle: {} % of a core.",
            standing.first_record, standing.idle
        )
        .expect("text");
        print!("{}", self.standing);
        self.write();
    }

    fn write(&self) {
        let mut text = String::new();
        if !self.totals.is_empty() {
            write!(
                text,
                "End to end: median (least to greatest)\n\n{TOTALS}{}\n\
                 Stages alone, CPU microseconds per record: median (least to greatest)\n\n{STAGES}{}\n",
                self.totals, self.stages
            )
            .expect("text");
        }
        text.push_str(&self.standing);
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../bench");
        std::fs::create_dir_all(&directory).expect("a directory for results");
        std::fs::write(directory.join("results.md"), text).expect("a file for results");
    }
}

impl Row {
    fn totals(&self) -> String {
        let events = self.case.dataset.events() as f64;
        let rate = |used: &Used| events / used.elapsed.as_secs_f64();
        let sum = Spread::new(self.stages.iter().map(Stages::sum), 2);
        let stock = self.used[0].stock;
        format!(
            "| {} | {} | {} | {} | {} | {sum} | {} | {} | {} | {} | {} |\n",
            self.name(),
            self.used(0, rate),
            self.used(1, |used| rate(used) * self.bytes as f64 / events / 1e6),
            self.used(2, |used| self.cpu(used)),
            self.records_per_cpu_second(),
            self.ratio(),
            self.peak(),
            self.used(0, |used| used.stock.objects as f64),
            self.used(1, |used| used.stock.bytes as f64 / 1e6),
            Spread::new([stock.text as f64 / stock.bytes as f64], 2),
        )
    }

    fn used(&self, decimals: usize, of: impl Fn(&Used) -> f64) -> Spread {
        Spread::new(self.used.iter().map(of), decimals)
    }

    /// CPU seconds per million records.
    fn cpu(&self, used: &Used) -> f64 {
        used.cpu.as_secs_f64() / self.case.dataset.events() as f64 * 1e6
    }

    pub(crate) fn records_per_cpu_second(&self) -> Spread {
        self.used(0, |used| 1e6 / self.cpu(used))
    }

    /// CPU time to the sum of the stages: round by round, each with the stages that ran beside it.
    pub(crate) fn ratio(&self) -> Spread {
        let pairs = self.used.iter().zip(&self.stages);
        Spread::new(pairs.map(|(used, stages)| self.cpu(used) / stages.sum()), 2)
    }

    /// The most memory that was ever resident, in megabytes.
    pub(crate) fn peak(&self) -> Spread {
        self.used(0, |used| used.memory as f64 / 1e6)
    }

    fn stages(&self) -> String {
        let stage = |of: &dyn Fn(&Stages) -> f64| Spread::new(self.stages.iter().map(of), 2);
        format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            self.case.name(),
            stage(&|stages| stages.consume),
            stage(&|stages| stages.decode),
            stage(&|stages| stages.encode),
            stage(&|stages| stages.compress),
            stage(&|stages| stages.upload),
            stage(&Stages::sum),
        )
    }

    /// The case, and the program if there are several.
    pub(crate) fn name(&self) -> String {
        let case = self.case.name();
        match programs().len() {
            1 => format!("`{case}`"),
            _ => format!("`{case}` {}", self.program.display()),
        }
    }
}
