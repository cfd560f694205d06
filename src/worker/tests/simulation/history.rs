//! What has happened in a simulated world, line by line: kept only when asked for, but always part of a hash.

use std::fmt::{self, Write};
use std::time::Duration;

/// The story of one seed.
pub(super) struct History {
    hash: u64,
    /// Nothing if lines are not kept.
    lines: Option<Vec<String>>,
    pub(super) events: u64,
}

impl History {
    pub(super) fn new(keep: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: keep.then(Vec::new),
            events: 0,
        }
    }

    pub(super) fn note(&mut self, now: Duration, what: fmt::Arguments<'_>) {
        self.events += 1;
        let _ = write!(Hashing(&mut self.hash), "{} {what}", now.as_millis());
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9.3}s  {what}", now.as_secs_f64()));
        }
    }

    /// Stands for everything that has happened.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// FNV-1a over what is written.
struct Hashing<'a>(&'a mut u64);

impl Write for Hashing<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.0 = (*self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(())
    }
}
