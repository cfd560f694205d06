//! What was seen each second, and its file.

use std::fmt::Write as _;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Since the load began.
    pub(super) seconds: f64,
    /// Records a second since the sample before: sent to the topic, and taken from it.
    pub(super) sent_rate: f64,
    pub(super) taken_rate: f64,
    /// Records that were sent and not taken yet.
    pub(super) lag: f64,
    /// Age of the oldest record that is not committed, in seconds; 0 if all are.
    pub(super) latency: f64,
    /// Resident memory in MB.
    pub(super) memory: f64,
    /// CPU of the program in cores.
    pub(super) cpu: f64,
}

pub(super) const HEADER: &str =
    "seconds,sent per second,taken per second,lag records,latency seconds,resident MB,CPU cores\n";

impl Sample {
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        writeln!(
            line,
            "{:.1},{:.0},{:.0},{:.0},{:.2},{:.1},{:.2}",
            self.seconds,
            self.sent_rate,
            self.taken_rate,
            self.lag,
            self.latency,
            self.memory,
            self.cpu
        )
        .expect("text");
        line
    }
}

/// The value that so many in a hundred do not exceed.
pub(super) fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}
