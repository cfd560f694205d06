//! Whether memory or latency have grown: the last third of the run against the first.

use super::samples::{Sample, percentile};

/// What may be more in the last third.
const TOLERANCE: f64 = 1.10;
/// Fewer teeth than this, the first left out, say nothing about growth.
const LEAST_TEETH: usize = 6;

/// Prints what was seen; fails if something has grown, or if that cannot be told.
pub(super) fn judge(samples: &[Sample], period: u64) {
    // Until it has been through one tooth the program is warming up.
    let warm = samples.get(period as usize..).unwrap_or_default();
    let teeth = warm.len() / period as usize;
    let third = teeth / 3 * period as usize;
    let (first, last) = (&warm[..third], &warm[warm.len().saturating_sub(third)..]);
    let memory = grown("resident MB", first, last, |sample| sample.memory);
    let latency = grown("latency, s", first, last, |sample| sample.latency);
    let rates = percentile(samples.iter().map(|sample| sample.taken_rate), 99);
    println!("taken at most (99 in 100 seconds): {rates:.0} records/s");
    assert!(
        teeth >= LEAST_TEETH,
        "{teeth} teeth behind the first are too few to judge: at least {LEAST_TEETH} are needed"
    );
    assert!(memory <= TOLERANCE, "memory has grown to {memory:.2} times");
    assert!(
        latency <= TOLERANCE,
        "latency has grown to {latency:.2} times"
    );
}

/// How much more it is in the last third, by what 95 in 100 seconds do not exceed.
fn grown(what: &str, first: &[Sample], last: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let of_third = |third: &[Sample], percent| percentile(third.iter().map(&of), percent);
    println!(
        "{what}: median and 95th percentile {:.1} and {:.1} in the first third, {:.1} and {:.1} in the last",
        of_third(first, 50),
        of_third(first, 95),
        of_third(last, 50),
        of_third(last, 95),
    );
    of_third(last, 95) / of_third(first, 95).max(f64::MIN_POSITIVE)
}
