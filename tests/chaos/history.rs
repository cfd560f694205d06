//! What was done to the program, and when.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crate::support::proxy;

pub(crate) struct History {
    start: Instant,
    lines: Mutex<Vec<String>>,
    faults: Mutex<BTreeMap<String, u64>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    /// Something that is no fault by itself.
    pub(crate) fn note(&self, text: &str) {
        let line = format!("{:9.3} s  {text}", self.start.elapsed().as_secs_f64());
        if std::env::var_os("CHAOS_SHOW").is_some() {
            eprintln!("{line}");
        }
        self.lines.lock().unwrap().push(line);
    }

    /// A fault, counted by its kind.
    pub(crate) fn fault(&self, kind: &str, text: &str) {
        self.note(&format!("{kind} {text}"));
        let mut faults = self.faults.lock().unwrap();
        *faults.entry(kind.to_owned()).or_default() += 1;
    }

    pub(crate) fn faults(&self) -> u64 {
        self.faults.lock().unwrap().values().sum()
    }

    /// Faults by kind.
    pub(crate) fn by_kind(&self) -> BTreeMap<String, u64> {
        self.faults.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap().join("\n");
        format!("{lines}\nfaults: {}", proxy::shown(&self.by_kind()))
    }
}
