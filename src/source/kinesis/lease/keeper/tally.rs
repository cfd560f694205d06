//! What has come of a worker's work with leases, for those who look from outside.

use std::time::Duration;

/// Counts since a worker began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Leases it holds now.
    pub held: u64,
    /// How often it took one.
    pub taken: u64,
    /// How often it lost one, to others or because it could not renew it in time.
    pub lost: u64,
    /// Attempts to renew one that failed.
    pub failed: u64,
    /// How long the last renewal took.
    pub renewal: Duration,
    /// Looks at the whole table that are over, with all that was taken because of them.
    pub looks: u64,
    /// The last of those.
    pub look: Seen,
}

/// What a look at the table has shown, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Leases there are.
    pub leases: u64,
    /// Those that anybody may take.
    pub free: u64,
    /// Those of them that have been free for very long.
    pub very_old: u64,
    /// Workers there are.
    pub workers: u64,
    /// Leases it wanted to take.
    pub wanted: u64,
    /// Leases it took.
    pub taken: u64,
    /// How long the look took; nothing more is known of one that failed.
    pub took: Duration,
    /// Whether it came to its end.
    pub success: bool,
}
