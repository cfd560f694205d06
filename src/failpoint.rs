//! Points at which a test can let the process die, as if its power was cut.
//!
//! Only with the feature `failpoints`. `ALLUVIUM_FAILPOINT=planned:3` kills the process when it passes the point `planned` for the
//! third time. The points are the arrows of the protocol: `sealed`, `planned`, `written`, `committed`.

/// Passes a point.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var("ALLUVIUM_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), count.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let Some((chosen, count)) = &*CHOSEN else {
        return;
    };
    if chosen == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *count {
        // As hard as kill -9: no destructor runs, nothing is flushed, and nobody is told.
        std::process::abort();
    }
}

/// Passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn pass(_: &str) {}
