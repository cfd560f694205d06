//! What rows must come to on a machine that does nothing else.
//!
//! Medians are judged, and of memory the most that any round had: nobody is spared that one.

use crate::report::Row;

/// CPU time of the program to that of the bare stages.
const RATIO: f64 = 1.25;
/// Resident memory, in megabytes; the budget is 128 MiB.
const PEAK: f64 = 150.0;
/// Records per CPU second of rows that have such a goal.
const RATES: [(&str, f64); 2] = [
    ("json-400-5-gzip1", 350_000.0),
    ("avro-400-5-gzip1", 450_000.0),
];

/// What a row misses, a line for each.
pub(crate) fn missed(row: &Row) -> Vec<String> {
    let name = row.name();
    let mut missed = Vec::new();
    let mut judge = |met: bool, what: String| {
        if !met {
            missed.push(format!("{name}: {what}"));
        }
    };
    if row.case.compression == "gzip" {
        let (ratio, peak) = (row.ratio().median(), row.peak().greatest());
        judge(
            ratio <= RATIO,
            format!("{ratio:.2} times the CPU of its stages; the goal is {RATIO}"),
        );
        judge(
            peak < PEAK,
            format!("{peak:.0} MB resident; the goal is less than {PEAK}"),
        );
    }
    let goal = RATES.iter().find(|(case, _)| *case == row.case.name());
    if let Some((_, goal)) = goal {
        let rate = row.records_per_cpu_second().median();
        judge(
            rate >= *goal,
            format!("{rate:.0} records per CPU second; the goal is {goal:.0}"),
        );
    }
    missed
}
